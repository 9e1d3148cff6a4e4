/* The first forward of a fresh process that finds its kernel in the cache: from dlopen of libgrkan
 * to the end of a call with one row of 768 channels. Each start is a process of its own; prints the
 * median, minimum and maximum.
 *
 *   build/bin/grkan tune forward/p5q4-A-c768-g8-f32-last --rows 1
 *   build/bin/bench_cached_start build/lib/libgrkan.so [starts] */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "grkan.h"

enum { CHANNELS = 768, STAGES = 4, MOST_STARTS = 1000 };
static const char* const kStages[STAGES] = {"dlopen", "context", "plan", "first call"};

struct start {
  double stage_ms[STAGES];
  double total_ms;
};

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Copies a function's address; a cast from void* is not C. */
static int find(void* library, const char* name, void* function) {
  void* symbol = dlsym(library, name);
  memcpy(function, &symbol, sizeof symbol);
  return symbol == NULL;
}

/* What the child does; 0, or the number of the step that failed. */
static int start_once(const char* path, struct start* out) {
  static float x[CHANNELS], y[CHANNELS], a[8 * 6], b[8 * 4];
  grkan_status (*context_create)(const grkan_context_options*, grkan_context**);
  grkan_status (*problem_parse)(const char*, grkan_problem*);
  grkan_status (*plan_create)(grkan_context*, const grkan_problem*, const char*, int32_t,
                              grkan_plan**);
  grkan_status (*workspace_size)(const grkan_plan*, int32_t, int64_t, size_t*);
  grkan_status (*forward)(grkan_plan*, const grkan_forward_args*);
  double at[STAGES + 1];
  at[0] = now_ms();
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return 1;
  if (find(library, "grkan_context_create", &context_create) ||
      find(library, "grkan_problem_parse", &problem_parse) ||
      find(library, "grkan_plan_create", &plan_create) ||
      find(library, "grkan_plan_workspace_size", &workspace_size) ||
      find(library, "grkan_forward", &forward)) {
    return 2;
  }
  at[1] = now_ms();
  grkan_context* context = NULL;
  if (context_create(NULL, &context) != GRKAN_OK) return 3;
  at[2] = now_ms();
  grkan_problem problem;
  grkan_plan* plan = NULL;
  size_t bytes = 0;
  if (problem_parse("p5q4-A-c768-g8-f32-last", &problem) != GRKAN_OK ||
      plan_create(context, &problem, "cpu", 0, &plan) != GRKAN_OK ||
      workspace_size(plan, GRKAN_FORWARD, 1, &bytes) != GRKAN_OK) {
    return 4;
  }
  void* workspace = aligned_alloc(64, bytes / 64 * 64 + 64);
  at[3] = now_ms();
  const grkan_forward_args args = {.size = sizeof args,
                                   .rows = 1,
                                   .x = x,
                                   .x_stride = CHANNELS,
                                   .y = y,
                                   .y_stride = CHANNELS,
                                   .a = a,
                                   .b = b,
                                   .workspace = workspace,
                                   .workspace_size = bytes};
  if (forward(plan, &args) != GRKAN_OK) return 5;
  at[4] = now_ms();
  for (int i = 0; i < STAGES; ++i) out->stage_ms[i] = at[i + 1] - at[i];
  out->total_ms = at[STAGES] - at[0];
  return 0;
}

static int by_total(const void* a, const void* b) {
  const double x = ((const struct start*)a)->total_ms;
  const double y = ((const struct start*)b)->total_ms;
  return (x > y) - (x < y);
}

/* One start in a child process; its times come back through a pipe. */
static int measure(const char* path, struct start* out) {
  int ends[2];
  if (pipe(ends) != 0) return 1;
  const pid_t child = fork();
  if (child == 0) {
    const int failed = start_once(path, out);
    if (failed == 0 && write(ends[1], out, sizeof *out) != (ssize_t)sizeof *out) _exit(9);
    _exit(failed);
  }
  close(ends[1]);
  const ssize_t got = read(ends[0], out, sizeof *out);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (got == (ssize_t)sizeof *out && status == 0) return 0;
  fprintf(stderr, "a start failed at step %d\n", WEXITSTATUS(status));
  return 1;
}

int main(int argc, char** argv) {
  const int starts = argc > 2 ? atoi(argv[2]) : 20;
  if (argc < 2 || starts < 1 || starts > MOST_STARTS) {
    fprintf(stderr, "usage: %s libgrkan.so [starts, 1 to %d]\n", argv[0], MOST_STARTS);
    return 2;
  }
  static struct start all[MOST_STARTS + 1];
  for (int i = 0; i <= starts; ++i) { /* the first warms the file cache and isn't counted */
    if (measure(argv[1], &all[i == 0 ? 0 : i - 1]) != 0) return 1;
  }
  qsort(all, (size_t)starts, sizeof all[0], by_total);
  const struct start* median = &all[starts / 2];
  printf("%d starts: median %.2f ms, min %.2f, max %.2f; the median's parts:", starts,
         median->total_ms, all[0].total_ms, all[starts - 1].total_ms);
  for (int i = 0; i < STAGES; ++i) printf(" %s %.2f", kStages[i], median->stage_ms[i]);
  printf("\n");
  return 0;
}
