// What a steady call costs beside the kernel itself: the same call through a plan (C++ and C ABI)
// and straight into the kernel, rows = 1. Time of plan - time of kernel is the dispatch.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "cpu/loader.h"
#include "grkan.h"
#include "runtime/plan.h"

namespace grkan {
namespace {

constexpr std::int64_t kChannels = 768;
constexpr const char* kProblem = "p5q4-A-c768-g8-f32-last";

// One row of a layer.
struct Row {
  std::vector<float> x = std::vector<float>(kChannels, 0.5F);
  std::vector<float> y = std::vector<float>(kChannels);
  std::vector<float> dx = std::vector<float>(kChannels);
  std::vector<float> a = std::vector<float>(48, 0.1F);
  std::vector<float> b = std::vector<float>(32, 0.1F);
  std::vector<float> da = std::vector<float>(48);
  std::vector<float> db = std::vector<float>(32);
  void* space = nullptr;
  std::size_t bytes = 0;

  explicit Row(std::size_t workspace)
      : space(std::aligned_alloc(64, workspace / 64 * 64 + 64)), bytes(workspace) {}
  ~Row() { std::free(space); }
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  Call forward() {
    return {.rows = 1,
            .x = x.data(),
            .x_stride = kChannels,
            .out = y.data(),
            .out_stride = kChannels,
            .a = a.data(),
            .b = b.data()};
  }
  Call backward() {
    return {.rows = 1,
            .x = x.data(),
            .x_stride = kChannels,
            .dy = y.data(),
            .dy_stride = kChannels,
            .out = dx.data(),
            .out_stride = kChannels,
            .a = a.data(),
            .b = b.data(),
            .da = da.data(),
            .db = db.data()};
  }
};

struct Fixture {
  Context context;
  Plan plan{context, parse_problem(kProblem), "cpu", {true, true, true}};
  Row row{plan.workspace_size(Direction::forward) + plan.workspace_size(Direction::backward)};
  Fixture() { plan.prepare({1, 1}, {1, 1}); }
};

// The generated code alone, called as an executor's only slice.
void kernel_forward(benchmark::State& state) {
  Fixture f;
  const Choice choice = f.plan.choose(Direction::forward, 1, 1);
  const Task task = f.plan.task(Direction::forward);
  const CpuModule module(
      f.context.binaries().get(task, choice.schedule, f.plan.device().target()).code);
  const CpuKernel kernel = module.entry(kernel_symbol(task, compiled_text(choice.schedule)));
  alignas(64) static std::byte scratch[kCpuScratchBytes];
  const Problem& p = task.problem;
  CpuCall call{};
  call.x = f.row.x.data();
  call.out = f.row.y.data();
  call.a = f.row.a.data();
  call.b = f.row.b.data();
  call.scratch = scratch;
  call.rows = 1;
  call.x_stride = call.out_stride = kChannels;
  call.width = p.segment_width();
  call.segment_end = p.segments();
  call.column_end = p.segment_width();
  for (auto _ : state) {
    kernel(&call);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(kernel_forward);

void plan_forward(benchmark::State& state) {
  Fixture f;
  const Call call = f.row.forward();
  const Workspace workspace{.data = f.row.space, .size = f.row.bytes};
  for (auto _ : state) {
    f.plan.run(Direction::forward, call, workspace);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(plan_forward);

void plan_backward(benchmark::State& state) {
  Fixture f;
  const Call call = f.row.backward();
  const Workspace workspace{.data = f.row.space, .size = f.row.bytes};
  for (auto _ : state) {
    f.plan.run(Direction::backward, call, workspace);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(plan_backward);

void c_abi_forward(benchmark::State& state) {
  Row row(std::size_t{64} << 20);
  grkan_context* context = nullptr;
  grkan_plan* plan = nullptr;
  grkan_problem problem;
  grkan_context_create(nullptr, &context);
  grkan_problem_parse(kProblem, &problem);
  grkan_plan_create(context, &problem, "cpu", 0, &plan);
  if (grkan_plan_prepare(plan, 1, 1, 1, 1) != GRKAN_OK) state.SkipWithError(grkan_last_error());
  const grkan_forward_args args = {.size = sizeof(args),
                                   .rows = 1,
                                   .inner = 1,
                                   .x = row.x.data(),
                                   .x_stride = kChannels,
                                   .y = row.y.data(),
                                   .y_stride = kChannels,
                                   .a = row.a.data(),
                                   .b = row.b.data(),
                                   .workspace = row.space,
                                   .workspace_size = row.bytes,
                                   .stream = nullptr,
                                   .threads = 0,
                                   .reserved = 0};
  for (auto _ : state) {
    grkan_forward(plan, &args);
    benchmark::ClobberMemory();
  }
  grkan_plan_destroy(plan);
  grkan_context_destroy(context);
}
BENCHMARK(c_abi_forward);

}  // namespace
}  // namespace grkan

BENCHMARK_MAIN();
