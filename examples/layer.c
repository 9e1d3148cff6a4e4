/* One GR-KAN activation, forward and backward: 128 rows of 768 channels in 8 groups.
 *   cc layer.c -lgrkan -o layer */
#include <stdio.h>
#include <stdlib.h>

#include "grkan.h"

enum { ROWS = 128, CHANNELS = 768, COUNT = ROWS * CHANNELS };
static float x[COUNT], y[COUNT], dy[COUNT], dx[COUNT], a[8 * 6], b[8 * 4], da[8 * 6], db[8 * 4];

static void check(grkan_status status) {
  if (status == GRKAN_OK) return;
  fprintf(stderr, "%s: %s\n", grkan_status_name(status), grkan_last_error());
  exit(1);
}

int main(void) {
  grkan_context* context = NULL;
  grkan_plan* plan = NULL;
  grkan_problem problem;
  for (int i = 0; i < COUNT; ++i) x[i] = (float)(i % 7) - 3, dy[i] = 1;
  for (int g = 0; g < 8; ++g) a[6 * g + 1] = 1, b[4 * g] = 1; /* y = x / (1 + |x|) */

  check(grkan_context_create(NULL, &context));
  check(grkan_problem_parse("p5q4-A-c768-g8-f32-last", &problem));
  check(grkan_plan_create(context, &problem, "cpu", GRKAN_DX | GRKAN_DA | GRKAN_DB, &plan));
  check(grkan_plan_prepare(plan, 1, ROWS, 1, 1));
  size_t forward_bytes = 0, backward_bytes = 0;
  check(grkan_plan_workspace_size(plan, GRKAN_FORWARD, 1, &forward_bytes));
  check(grkan_plan_workspace_size(plan, GRKAN_BACKWARD, 1, &backward_bytes));
  const size_t bytes = forward_bytes > backward_bytes ? forward_bytes : backward_bytes;
  void* workspace = aligned_alloc(64, bytes / 64 * 64 + 64);

  check(grkan_forward(plan, &(grkan_forward_args){.size = sizeof(grkan_forward_args),
                                                  .rows = ROWS,
                                                  .x = x,
                                                  .x_stride = CHANNELS,
                                                  .y = y,
                                                  .y_stride = CHANNELS,
                                                  .a = a,
                                                  .b = b,
                                                  .workspace = workspace,
                                                  .workspace_size = bytes}));
  check(grkan_backward(plan, &(grkan_backward_args){.size = sizeof(grkan_backward_args),
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
                                                    .workspace_size = bytes}));
  printf("x %g: y %g, dx %g; da[0][1] %.4g, db[0][0] %.4g\n", x[0], y[0], dx[0], da[1], db[0]);

  free(workspace);
  check(grkan_plan_destroy(plan));
  check(grkan_context_destroy(context));
  return 0;
}
