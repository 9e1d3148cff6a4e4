// The launcher that an extension takes along (templates/torch_extension/launch.cpp) against the
// product's own: the same grids and arguments, and which kernel of a table serves a call.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "codegen/compiler.h"
#include "core/random_task.h"
#include "cuda/launch.h"
#include "templates/torch_extension/launch.h"

namespace grkan_extension {

namespace {

Problem problem_of(const grkan::Problem& p) {
  return {p.numerator_degree,
          p.denominator_degree,
          grkan::to_string(p.variant)[0],
          p.channels,
          p.numerator_groups,
          p.denominator_groups,
          Type(p.x_type),
          Type(p.y_type),
          Type(p.coefficient_type()),
          p.layout == grkan::Layout::channels_first};
}

// A row of the table in kernels.cpp.
Kernel kernel_of(const char* task_text, unsigned gradients, int capability,
                 std::array<std::int64_t, 2> rows, std::int64_t inner, int columns, int narrow) {
  const grkan::Task task = grkan::parse_task(task_text);
  Kernel kernel{};
  kernel.task = task_text;
  kernel.schedule = "";
  kernel.problem = problem_of(task.problem);
  kernel.gradients = gradients;
  kernel.capability = capability;
  kernel.rows[0] = rows[0];
  kernel.rows[1] = rows[1];
  kernel.inner = inner;
  kernel.launch.columns = columns;
  kernel.narrow = narrow;
  return kernel;
}

constexpr const char* kForward = "forward/p5q4-A-c768-g1x8-f32-last";
constexpr const char* kBackward = "backward.dx.da.db/p5q4-A-c768-g1x8-f32-last";
constexpr const char* kFirst = "forward/p3q2-B-c6-g6-f32-first";

}  // namespace

// The table of these tests; by its places.
const Kernel kKernels[] = {
    kernel_of(kForward, 0, 80, {1, 100}, 1, 4, -1),
    kernel_of(kForward, 0, 80, {101, 4096}, 1, 4, -1),
    kernel_of(kForward, 0, 90, {1, 4096}, 1, 4, -1),
    kernel_of(kBackward, 7, 80, {1, 4096}, 1, 4, -1),
    kernel_of("backward.da/p5q4-A-c768-g1x8-f32-last", 2, 80, {1, 4096}, 1, 4, -1),
    [] {
      Kernel narrow = kernel_of(kFirst, 0, 80, {5, 5}, 48, 1, -1);
      narrow.task = "";
      return narrow;
    }(),
    kernel_of(kFirst, 0, 80, {5, 5}, 48, 4, 5),
    kernel_of(kFirst, 0, 80, {5, 5}, 3136, 4, 5),
};
const int kKernelCount = int(std::size(kKernels));

namespace {

// The place of the kernel for a call; -1: none.
int place(const char* task_text, unsigned gradients, int capability, std::int64_t rows,
          std::int64_t inner = 1) {
  const Kernel* found =
      find(problem_of(grkan::parse_task(task_text).problem), gradients, capability, rows, inner);
  return found == nullptr ? -1 : int(found - kKernels);
}

TEST(ExtensionLaunch, FindsTheKernelOfACall) {
  EXPECT_EQ(place(kForward, 0, 80, 1), 0);
  EXPECT_EQ(place(kForward, 0, 89, 100), 0);
  EXPECT_EQ(place(kForward, 0, 80, 101), 1);
  EXPECT_EQ(place(kForward, 0, 80, 1'000'000), 1);
  EXPECT_EQ(place(kForward, 0, 90, 1), 2);
  EXPECT_EQ(place(kForward, 0, 120, 300), 2);
  EXPECT_EQ(place(kForward, 0, 75, 1), -1);
  EXPECT_EQ(place(kBackward, kDx | kDa | kDb, 90, 5), 3);
  EXPECT_EQ(place(kBackward, kDx, 90, 5), 3);
  EXPECT_EQ(place(kBackward, kDa, 90, 5), 4);
  EXPECT_EQ(place("forward/p5q4-A-c768-g1x8-bf16-last", 0, 90, 5), -1);
  EXPECT_EQ(place("forward/p5q4-B-c768-g1x8-f32-last", 0, 90, 5), -1);
  EXPECT_EQ(place(kFirst, 0, 90, 5, 48), 6);
  EXPECT_EQ(place(kFirst, 0, 90, 5, 196), 6);  // two octaves, against four
  EXPECT_EQ(place(kFirst, 0, 90, 5, 1024), 7);
  EXPECT_EQ(place(kFirst, 0, 90, 5, 49), 5);  // no multiple of 4 columns
  EXPECT_EQ(place("backward.dx/p3q2-B-c6-g6-f32-first", kDx, 90, 5, 48), -1);
}

TEST(ExtensionLaunch, SaysWhyThereIsNone) {
  const Problem other = problem_of(grkan::parse_problem("p5q4-A-c512-g8-f32-last"));
  const std::string unknown = why_none(other, kDx | kDb, 90);
  for (const char* words :
       {"backward.dx.db/p5q4-A-c512-g8-f32-last", kForward, kBackward, kFirst}) {
    EXPECT_NE(unknown.find(words), std::string::npos) << unknown;
  }
  const std::string old = why_none(problem_of(grkan::parse_task(kForward).problem), 0, 75);
  EXPECT_NE(old.find("compute capability 8.0 and later"), std::string::npos) << old;
  EXPECT_NE(old.find("7.5"), std::string::npos) << old;
}

unsigned long seed() {
  const char* given = std::getenv("GRKAN_SEED");
  const unsigned long value =
      given != nullptr ? std::strtoul(given, nullptr, 10) : std::random_device{}();
  std::printf("GRKAN_SEED=%lu\n", value);
  return value;
}

// The row that `grkan emit --torch-extension` writes.
Kernel row_of(const grkan::Task& task, const grkan::Schedule& schedule,
              const grkan::Target& target) {
  const auto json = nlohmann::json::parse(grkan::emit(task, schedule, target, "launch"));
  const auto number = [&](const char* name) { return json.at(name).get<int>(); };
  const std::vector<std::string> sums = {"none", "twopass", "programmatic", "lastblock",
                                         "blockatomics"};
  const auto kind = std::find(sums.begin(), sums.end(), json.at("sums").get<std::string>());
  Kernel kernel{};
  kernel.problem = problem_of(task.problem);
  kernel.gradients = task.gradients.bits();
  kernel.launch = {number("columns"),
                   number("rows_in_flight"),
                   number("tile_columns"),
                   number("tile_rows"),
                   number("tile_segments"),
                   number("run"),
                   number("sum_terms"),
                   number("blocks"),
                   number("slab"),
                   Sums(kind - sums.begin()),
                   number("second_pass_blocks"),
                   number("second_pass_threads")};
  return kernel;
}

TEST(ExtensionLaunch, RandomCallsAreLaunchedAsTheProductLaunchesThem) {
  grkan::RandomGenerator generator(seed());
  const grkan::Target target{"sm_100"};
  static_assert(sizeof(CudaCall) == sizeof(grkan::CudaCall));
  for (int i = 0; i < 300; ++i) {
    const grkan::Task task = grkan::random_task(generator);
    const auto determinism = grkan::Determinism(i % 3);
    const grkan::Schedule schedule = random_schedule(generator, task, target, determinism);
    const Kernel kernel = row_of(task, schedule, target);
    const std::int64_t rows = 1 + std::int64_t(generator() % (i % 2 == 0 ? 500 : 300'000));
    const bool first = task.problem.layout == grkan::Layout::channels_first;
    const std::int64_t inner = first ? 1 + std::int64_t(generator() % 300) : 1;
    const int multiprocessors = 1 + int(generator() % 160);
    SCOPED_TRACE(fmt::format("{} {} {} rows {} inner {} multiprocessors", to_string(task),
                             to_string(schedule), rows, inner, multiprocessors));
    EXPECT_EQ(to_string(kernel.problem), to_string(task.problem));

    const grkan::CudaSchedule cuda(schedule);
    const grkan::CudaLaunch expected = cuda_launch(task, cuda, rows, inner, multiprocessors);
    const Grid grid = grid_of(kernel, rows, inner, multiprocessors);
    EXPECT_EQ(grid.x, expected.grid_x);
    EXPECT_EQ(grid.y, expected.grid_y);
    EXPECT_EQ(grid.workspace, std::size_t(expected.workspace_bytes));
    EXPECT_EQ(unsigned(kernel.launch.tile_columns * kernel.launch.tile_rows), expected.threads);
    EXPECT_EQ(unsigned(kernel.launch.second_pass_blocks), expected.second_pass_blocks);
    EXPECT_EQ(unsigned(kernel.launch.second_pass_threads), expected.second_pass_threads);

    std::vector<char> memory(64);
    const std::int64_t stride = task.problem.channels * inner;
    const auto at = [&](std::size_t offset) { return memory.data() + offset; };
    const grkan::Call call{.rows = rows,
                           .inner = inner,
                           .x = at(0),
                           .x_stride = stride,
                           .dy = at(1),
                           .dy_stride = stride,
                           .out = at(2),
                           .out_stride = stride,
                           .a = at(3),
                           .b = at(4),
                           .da = at(5),
                           .db = at(6)};
    const grkan::CudaCall wanted = cuda_call(task, cuda, expected, call, at(8));
    Call dense;
    dense.rows = rows;
    dense.inner = inner;
    dense.x = call.x;
    dense.dy = call.dy;
    dense.out = call.out;
    dense.a = call.a;
    dense.b = call.b;
    dense.da = call.da;
    dense.db = call.db;
    const CudaCall made = argument_of(kernel, grid, dense, at(8));
    EXPECT_EQ(std::memcmp(&made, &wanted, sizeof made), 0);
    const auto clears = cuda_clears(task, cuda, expected, wanted);
    if (kernel.launch.sums == lastblock && clears[0].bytes != 0) {
      EXPECT_EQ(made.counters, clears[0].memory);
      EXPECT_EQ(grid.counter_bytes, std::size_t(clears[0].bytes));
    }
    if (testing::Test::HasFailure()) return;
  }
}

TEST(ExtensionLaunch, MoreThanCudaLaunchesIsNoGrid) {
  const grkan::Task task = grkan::parse_task(kForward);
  const grkan::Target target{"sm_90"};
  const Kernel kernel = row_of(task, default_schedule(task, target, 1), target);
  EXPECT_EQ(grid_of(kernel, std::int64_t{1} << 31, 1, 132).x, 0U);
  EXPECT_GT(grid_of(kernel, (std::int64_t{1} << 31) - 1, 1, 132).x, 0U);
}

}  // namespace
}  // namespace grkan_extension
