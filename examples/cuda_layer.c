/* One GR-KAN activation on a CUDA device, forward and backward: queued in a stream, then captured
 * as a graph and replayed. virtual:h200 executes on the CPU and needs no driver.
 *   cc cuda_layer.c -lgrkan -ldl -o cuda_layer
 *   ./cuda_layer [cuda:0] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grkan.h"
#include "grkan_cuda.h"

enum { ROWS = 128, CHANNELS = 768, COUNT = ROWS * CHANNELS };
struct inputs {
  float x[COUNT], dy[COUNT], a[8 * 6], b[8 * 4];
};
struct outputs {
  float y[COUNT], dx[COUNT], da[8 * 6], db[8 * 4];
};
static struct inputs in;
static struct outputs out, replayed;
static grkan_cuda gpu;

static void check(grkan_status status) {
  if (status == GRKAN_OK) return;
  fprintf(stderr, "%s: %s\n", grkan_status_name(status), grkan_last_error());
  exit(1);
}

static void check_cuda(int result) {
  const char* text = "unknown error";
  if (result == 0) return;
  gpu.error_text(result, &text);
  fprintf(stderr, "CUDA error %d: %s\n", result, text);
  exit(1);
}

int main(int count, char** arguments) {
  const char* device = count > 1 ? arguments[1] : "virtual:h200";
  grkan_context* context = NULL;
  grkan_plan* plan = NULL;
  grkan_problem problem;
  for (int i = 0; i < COUNT; ++i) in.x[i] = (float)(i % 7) - 3, in.dy[i] = 1;
  for (int g = 0; g < 8; ++g) in.a[6 * g + 1] = 1, in.b[4 * g] = 1; /* y = x / (1 + |x|) */

  check(grkan_context_create(NULL, &context));
  check(grkan_problem_parse("p5q4-A-c768-g8-f32-last", &problem));
  check(grkan_plan_create(context, &problem, device, GRKAN_DX | GRKAN_DA | GRKAN_DB, &plan));
  check(grkan_plan_prepare(plan, ROWS, ROWS, 1, 1)); /* a capture can't compile */
  size_t forward_bytes = 0, backward_bytes = 0;
  check(grkan_plan_workspace_size(plan, GRKAN_FORWARD, 1, &forward_bytes));
  check(grkan_plan_workspace_size(plan, GRKAN_BACKWARD, 1, &backward_bytes));
  const size_t bytes = forward_bytes > backward_bytes ? forward_bytes : backward_bytes;

  if (grkan_cuda_open(&gpu, device) != 0) {
    fprintf(stderr, "%s\n", gpu.error);
    return 1;
  }
  void *stream = NULL, *workspace = NULL, *memory = NULL;
  check_cuda(gpu.stream_create(&stream, 1));
  check_cuda(gpu.allocate(&workspace, bytes));
  check_cuda(gpu.allocate(&memory, sizeof in));
  const struct inputs* from = memory; /* addresses of the device: not to be followed here */
  check_cuda(gpu.allocate(&memory, sizeof out));
  struct outputs* to = memory;
  check_cuda(gpu.copy_in((void*)from, &in, sizeof in));
  const grkan_forward_args forward = {.size = sizeof forward,
                                      .rows = ROWS,
                                      .x = from->x,
                                      .x_stride = CHANNELS,
                                      .y = to->y,
                                      .y_stride = CHANNELS,
                                      .a = from->a,
                                      .b = from->b,
                                      .workspace = workspace,
                                      .workspace_size = bytes,
                                      .stream = stream};
  const grkan_backward_args backward = {.size = sizeof backward,
                                        .rows = ROWS,
                                        .x = from->x,
                                        .x_stride = CHANNELS,
                                        .dy = from->dy,
                                        .dy_stride = CHANNELS,
                                        .dx = to->dx,
                                        .dx_stride = CHANNELS,
                                        .a = from->a,
                                        .b = from->b,
                                        .da = to->da,
                                        .db = to->db,
                                        .workspace = workspace,
                                        .workspace_size = bytes,
                                        .stream = stream};

  check(grkan_forward(plan, &forward));
  check(grkan_backward(plan, &backward));
  check_cuda(gpu.stream_synchronize(stream));
  check_cuda(gpu.copy_out(&out, to, sizeof out));
  printf("x %g: y %g, dx %g; da[0][1] %.4g, db[0][0] %.4g\n", in.x[0], out.y[0], out.dx[0],
         out.da[1], out.db[0]);

  void *graph = NULL, *executable = NULL;
  check_cuda(gpu.copy_in(to, &replayed, sizeof replayed)); /* zeros */
  check_cuda(gpu.capture_begin(stream, 1));
  check(grkan_forward(plan, &forward));
  check(grkan_backward(plan, &backward));
  check_cuda(gpu.capture_end(stream, &graph));
  check_cuda(gpu.graph_instantiate(&executable, graph, 0));
  check_cuda(gpu.graph_launch(executable, stream));
  check_cuda(gpu.stream_synchronize(stream));
  check_cuda(gpu.copy_out(&replayed, to, sizeof replayed));
  const int same = memcmp(&out, &replayed, sizeof out) == 0;
  printf("the graph, replayed, gave %s\n", same ? "the same bits" : "other bits");

  check_cuda(gpu.executable_destroy(executable));
  check_cuda(gpu.graph_destroy(graph));
  check_cuda(gpu.stream_destroy(stream));
  check_cuda(gpu.free(workspace));
  check_cuda(gpu.free((void*)from));
  check_cuda(gpu.free(to));
  grkan_cuda_close(&gpu);
  check(grkan_plan_destroy(plan));
  check(grkan_context_destroy(context));
  return same ? 0 : 1;
}
