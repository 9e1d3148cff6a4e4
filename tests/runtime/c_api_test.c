/* The C ABI from a C11 program that sees grkan.h alone: forward and backward against plain loops.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grkan.h"

#define CHANNELS 96
#define GROUPS 4
#define WIDTH (CHANNELS / GROUPS)
#define ROWS 301
#define M 5
#define N 4

static int failures = 0;

#define EXPECT(condition)                                                  \
  do {                                                                     \
    if (!(condition)) {                                                    \
      printf("%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                          \
    }                                                                      \
  } while (0)

#define OK(call)                                                                             \
  do {                                                                                       \
    const grkan_status ok_status = (call);                                                   \
    if (ok_status != GRKAN_OK) {                                                             \
      printf("%s:%d: %s: %s: %s\n", __FILE__, __LINE__, #call, grkan_status_name(ok_status), \
             grkan_last_error());                                                            \
      ++failures;                                                                            \
    }                                                                                        \
  } while (0)

static float uniform(void) {
  static unsigned state = 12345;
  state = state * 1664525u + 1013904223u;
  return (float)(state >> 8) / 8388608.0f - 1.0f;
}

static float* numbers(size_t count) {
  float* p = malloc(count * sizeof(float));
  for (size_t i = 0; i < count; ++i) p[i] = 2.0f * uniform();
  return p;
}

static double sign(double value) { return value < 0 ? -1 : 1; }

/* Doubles, element by element, straight from the formulas of variant A. */
static void reference(const float* x, const float* dy, const float* a, const float* b, double* y,
                      double* dx, double* da, double* db) {
  for (size_t i = 0; i < (size_t)ROWS * CHANNELS; ++i) {
    const size_t g = i % CHANNELS / WIDTH;
    double p = 0, dp = 0, q = 1, dq = 0;
    for (int k = 0; k <= M; ++k) p += a[g * (M + 1) + k] * pow(x[i], k);
    for (int k = 1; k <= M; ++k) dp += k * a[g * (M + 1) + k] * pow(x[i], k - 1);
    for (int k = 1; k <= N; ++k) q += fabs(b[g * N + k - 1]) * pow(fabs(x[i]), k);
    for (int k = 1; k <= N; ++k) dq += k * fabs(b[g * N + k - 1]) * pow(fabs(x[i]), k - 1);
    dq *= sign(x[i]);
    const double w = dy[i] / q;
    y[i] = p / q;
    dx[i] = w * dp - w * y[i] * dq;
    for (int k = 0; k <= M; ++k) da[g * (M + 1) + k] += w * pow(x[i], k);
    for (int k = 1; k <= N; ++k) {
      db[g * N + k - 1] -= w * y[i] * sign(b[g * N + k - 1]) * pow(fabs(x[i]), k);
    }
  }
}

static double worst(const float* got, const double* expected, size_t count) {
  double most = 0;
  for (size_t i = 0; i < count; ++i) {
    const double error = fabs(got[i] - expected[i]) / (1 + fabs(expected[i]));
    if (error > most) most = error;
  }
  return most;
}

static void test_layer(grkan_context* context) {
  const size_t elements = (size_t)ROWS * CHANNELS;
  float *x = numbers(elements), *dy = numbers(elements);
  float *a = numbers(GROUPS * (M + 1)), *b = numbers(GROUPS * N);
  float *y = numbers(elements), *dx = numbers(elements);
  float da[GROUPS * (M + 1)], db[GROUPS * N];
  double* expected = calloc(2 * elements, sizeof(double));
  double expected_da[GROUPS * (M + 1)] = {0}, expected_db[GROUPS * N] = {0};
  reference(x, dy, a, b, expected, expected + elements, expected_da, expected_db);

  grkan_problem problem;
  grkan_plan* plan = NULL;
  OK(grkan_problem_parse("p5q4-A-c96-g4-f32-last", &problem));
  OK(grkan_plan_create(context, &problem, "cpu", GRKAN_DX | GRKAN_DA | GRKAN_DB, &plan));
  OK(grkan_plan_prepare(plan, 1, 1024, 1, 1));
  size_t forward_size = 0, backward_size = 0;
  OK(grkan_plan_workspace_size(plan, GRKAN_FORWARD, 1, &forward_size));
  OK(grkan_plan_workspace_size(plan, GRKAN_BACKWARD, 1, &backward_size));
  const size_t size = (forward_size > backward_size ? forward_size : backward_size) + 64;
  void* workspace = aligned_alloc(64, size / 64 * 64);

  grkan_forward_args forward = {.size = sizeof(forward),
                                .rows = ROWS,
                                .x = x,
                                .x_stride = CHANNELS,
                                .y = y,
                                .y_stride = CHANNELS,
                                .a = a,
                                .b = b,
                                .workspace = workspace,
                                .workspace_size = size - 64};
  OK(grkan_forward(plan, &forward));
  EXPECT(worst(y, expected, elements) < 1e-4);

  grkan_backward_args backward = {.size = sizeof(backward),
                                  .rows = ROWS,
                                  .x = x,
                                  .x_stride = CHANNELS,
                                  .dy = dy,
                                  .dy_stride = CHANNELS,
                                  .dx = dx,
                                  .dx_stride = CHANNELS,
                                  .a = a,
                                  .b = b,
                                  .da = da,
                                  .db = db,
                                  .workspace = workspace,
                                  .workspace_size = size - 64};
  OK(grkan_backward(plan, &backward));
  EXPECT(worst(dx, expected + elements, elements) < 1e-4);
  EXPECT(worst(da, expected_da, GROUPS * (M + 1)) < 1e-4);
  EXPECT(worst(db, expected_db, GROUPS * N) < 1e-4);

  backward.accumulate = 1;
  OK(grkan_backward(plan, &backward));
  for (int i = 0; i < GROUPS * (M + 1); ++i) expected_da[i] *= 2;
  EXPECT(worst(da, expected_da, GROUPS * (M + 1)) < 1e-4);

  /* In place. */
  forward.y = x;
  OK(grkan_forward(plan, &forward));
  EXPECT(memcmp(x, y, elements * sizeof(float)) == 0);

  grkan_text text = {NULL, 0};
  OK(grkan_plan_explain(plan, GRKAN_FORWARD, ROWS, 1, &text));
  EXPECT(text.data != NULL && text.data[0] == '{' && strlen(text.data) == text.size);
  grkan_text_free(&text);
  OK(grkan_plan_export(plan, &text));
  OK(grkan_plan_import(plan, text.data, text.size));
  EXPECT(grkan_plan_import(plan, text.data, text.size / 2) == GRKAN_INVALID_ARGUMENT);
  grkan_text_free(&text);
  grkan_text_free(&text);

  OK(grkan_plan_destroy(plan));
  free(workspace);
  free(expected);
  free(x);
  free(dy);
  free(y);
  free(dx);
  free(a);
  free(b);
}

static void test_texts(void) {
  grkan_problem problem;
  grkan_text text = {NULL, 0};
  OK(grkan_problem_parse("p3q2-B-c64-g1x8-f32:bf16-first", &problem));
  EXPECT(problem.size == sizeof(problem) && problem.variant == GRKAN_VARIANT_B);
  EXPECT(problem.x_type == GRKAN_F32 && problem.y_type == GRKAN_BF16);
  EXPECT(problem.layout == GRKAN_CHANNELS_FIRST && problem.denominator_groups == 8);
  OK(grkan_problem_validate(&problem));
  OK(grkan_problem_print(&problem, &text));
  EXPECT(strcmp(text.data, "p3q2-B-c64-g1x8-f32:bf16-first") == 0);
  grkan_text_free(&text);
  OK(grkan_problem_parse("p5q4-A-c8-g2-bf16:bf16:bf16-last", &problem));
  EXPECT(problem.coefficient_type == GRKAN_BF16);
  problem.coefficient_type = 0;
  OK(grkan_problem_print(&problem, &text));
  EXPECT(strcmp(text.data, "p5q4-A-c8-g2-bf16-last") == 0);
  grkan_text_free(&text);
  EXPECT(strcmp(grkan_status_name(GRKAN_NO_DEVICE), "no_device") == 0);
  EXPECT(strcmp(grkan_status_name(99), "unknown") == 0);
  EXPECT(grkan_version()[0] >= '0' && grkan_version()[0] <= '9');
}

static void test_structs(void) {
  struct {
    grkan_problem problem;
    char tail[16];
  } newer;
  memset(&newer, 0, sizeof(newer));
  OK(grkan_problem_parse("p5q4-A-c96-g4-f32-last", &newer.problem));
  newer.problem.size = sizeof(newer);
  OK(grkan_problem_validate(&newer.problem));
  newer.tail[3] = 1;
  EXPECT(grkan_problem_validate(&newer.problem) == GRKAN_INVALID_ARGUMENT);
  EXPECT(strstr(grkan_last_error(), "non-zero byte") != NULL);
  /* A program built before coefficient_type was there. */
  newer.problem.size = offsetof(grkan_problem, coefficient_type);
  newer.problem.coefficient_type = 77;
  OK(grkan_problem_validate(&newer.problem));
  newer.problem.size = sizeof(grkan_problem);
  EXPECT(grkan_problem_validate(&newer.problem) == GRKAN_INVALID_ARGUMENT);
  EXPECT(strcmp(grkan_last_error_field(), "coefficient_type") == 0);
  newer.problem.coefficient_type = GRKAN_BF16;
  EXPECT(grkan_problem_validate(&newer.problem) == GRKAN_INVALID_ARGUMENT);
  EXPECT(strstr(grkan_last_error(), "use f32") != NULL);
  newer.problem.size = 8;
  EXPECT(grkan_problem_validate(&newer.problem) == GRKAN_INVALID_ARGUMENT);
  EXPECT(strstr(grkan_last_error(), "size is 8") != NULL);
  EXPECT(grkan_problem_validate(NULL) == GRKAN_INVALID_ARGUMENT);
}

int main(void) {
  grkan_context* context = NULL;
  const grkan_context_options options = {.size = sizeof(options), .threads = 2};
  test_texts();
  test_structs();
  OK(grkan_context_create(&options, &context));
  if (context != NULL) test_layer(context);
  OK(grkan_context_destroy(context));
  OK(grkan_context_destroy(NULL));
  if (failures > 0) printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
