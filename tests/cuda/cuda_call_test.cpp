// The launch of CUDA kernels: grids, workspace, alignment, errors.
#include <gtest/gtest.h>

#include "core/error.h"
#include "cuda/launch.h"

namespace grkan {
namespace {

const Target kTarget{"sm_90"};
CudaSchedule schedule_of(const char* text) { return CudaSchedule(parse_schedule(text, kTarget)); }

TEST(CudaLaunch, FillsEachMultiprocessorOnce) {
  const Task task = parse_task("backward.dx.da.db/p5q4-A-c768-g8-f32-last");
  const CudaSchedule s = schedule_of("v4_r2_x48_y4_newton_run16_twopass@blocks4");
  const CudaLaunch launch = cuda_launch(task, s, 25216, 1, 132);
  EXPECT_EQ(launch.grid_x, 4U);  // 768 / (48 * 4)
  EXPECT_EQ(launch.grid_y, 132U);
  EXPECT_EQ(launch.threads, 192U);
  EXPECT_EQ(launch.second_pass_blocks, 80U);
  EXPECT_EQ(launch.workspace_bytes, 10 * 8 * 132 * 8);
}

TEST(CudaLaunch, FewRowsGetFewBlocks) {
  const Task task = parse_task("forward/p5q4-A-c192-g8-f32-last");
  const CudaSchedule s = schedule_of("v4_r2_x48_y4_newton@blocks4");
  EXPECT_EQ(cuda_launch(task, s, 1, 1, 132).grid_y, 1U);
  EXPECT_EQ(cuda_launch(task, s, 16, 1, 132).grid_y, 2U);  // 8 groups of rows, 4 a block
  // 4 rows a thread before a second block comes to a multiprocessor; 8 where sums are added.
  EXPECT_EQ(cuda_launch(task, s, 132 * 4 * 4 * 2 - 1, 1, 132).grid_y, 132U);
  EXPECT_EQ(cuda_launch(task, s, 132 * 4 * 4 * 2, 1, 132).grid_y, 264U);
  EXPECT_EQ(cuda_launch(task, s, 1, 1, 132).second_pass_blocks, 0U);
  const Task sums = parse_task("backward.dx.da.db/p5q4-A-c192-g8-f32-last");
  const CudaSchedule t = schedule_of("v4_r2_x48_y4_newton_run16_twopass@blocks4");
  EXPECT_EQ(cuda_launch(sums, t, 132 * 4 * 8 * 2 - 1, 1, 132).grid_y, 132U);
  EXPECT_EQ(cuda_launch(sums, t, 132 * 4 * 8 * 2, 1, 132).grid_y, 264U);
}

// A grid of slabs is the same on every device, and has a bound.
TEST(CudaLaunch, SlabsDoNotDependOnTheDevice) {
  const Task task = parse_task("backward.dx.da.db/p5q4-A-c768-g8-f32-last");
  const CudaSchedule s = schedule_of("v4_r2_x48_y4_newton_run16_twopass@blocks4_slab512");
  EXPECT_EQ(cuda_launch(task, s, 25216, 1, 132).grid_y, 50U);  // 25216 / 512
  EXPECT_EQ(cuda_launch(task, s, 25216, 1, 16), cuda_launch(task, s, 25216, 1, 132));
  EXPECT_EQ(cuda_launch(task, s, 2000000000, 1, 132).grid_y, kMostSlabs / 4);
}

TEST(CudaLaunch, WhatEachWayOfSummingNeeds) {
  const Task task = parse_task("backward.dx.da.db/p5q4-A-c768-g8-f32-last");
  float da[48];
  float db[32];
  const Call call{.rows = 25216, .da = da, .db = db};
  alignas(8) static char workspace[1 << 17];
  const auto clears_of = [&](const char* sums, bool accumulate) {
    const CudaSchedule s =
        schedule_of(("v4_r2_x48_y4_newton_run16_" + std::string(sums) + "@blocks4").c_str());
    const CudaLaunch launch = cuda_launch(task, s, 25216, 1, 132);
    Call one = call;
    one.accumulate = accumulate;
    return cuda_clears(task, s, launch, cuda_call(task, s, launch, one, workspace));
  };
  EXPECT_EQ(clears_of("twopass", false)[0].bytes, 0);
  EXPECT_EQ(clears_of("lastblock", false)[0].bytes, (4 + 1) * 4);  // columns of tiles, and one more
  EXPECT_EQ(clears_of("lastblock", false)[0].memory,
            workspace + 10 * 8 * 132 * 8 + 10 * 8 * 8);  // behind the sums of blocks and of tiles
  EXPECT_EQ(clears_of("blockatomics", false)[0].memory, da);
  EXPECT_EQ(clears_of("blockatomics", false)[0].bytes, 8 * 6 * 4);
  EXPECT_EQ(clears_of("blockatomics", false)[1].memory, db);
  EXPECT_EQ(clears_of("blockatomics", false)[1].bytes, 8 * 4 * 4);
  EXPECT_EQ(clears_of("blockatomics", true)[0].bytes, 0);
}

TEST(CudaLaunch, RaggedTiles) {
  const Task last = parse_task("backward.da/p5q4-A-c40-g5-f32-last");
  const CudaSchedule s = schedule_of("v4_r2_x6_y3_newton_run16_twopass");
  EXPECT_EQ(cuda_tile(last, s).segments, 3);
  EXPECT_TRUE(cuda_tile(last, s).ragged);
  EXPECT_EQ(cuda_launch(last, s, 100, 1, 1).grid_x, 2U);
  const Task first = parse_task("backward.da/p5q4-A-c6-g2-f32-first");
  EXPECT_EQ(cuda_launch(first, s, 100, 9, 1).grid_x, 4U);  // 2 segments of 27: 24 and 3
  EXPECT_EQ(cuda_launch(first, s, 100, 9, 1).workspace_bytes,
            6 * 2 * 2 * 8 * std::int64_t{cuda_launch(first, s, 100, 9, 1).grid_y});
}

TEST(CudaLaunch, ErrorsNameTheValues) {
  const Task task = parse_task("forward/p5q4-A-c192-g8-f32-last");
  const CudaSchedule s = schedule_of("v4_r2_x48_y4_newton");
  const auto status_of = [&](std::int64_t rows, const Task& of) {
    try {
      cuda_launch(of, s, rows, 1, 132);
    } catch (const Error& error) {
      return std::string(status_name(error.status())) + ": " + error.what();
    }
    return std::string("no error");
  };
  EXPECT_EQ(status_of(0, task),
            "invalid_argument: a launch needs rows, inner and multiprocessors of at least 1; they "
            "are 0, 1, 132");
  EXPECT_EQ(status_of(std::int64_t{1} << 31, task),
            "unsupported: 2147483648 rows are more than one CUDA launch takes; split them below "
            "2147483648");
  EXPECT_EQ(status_of((std::int64_t{1} << 31) - 1, task), "no error");
}

TEST(CudaCall, StepsAreBytes) {
  const Task task = parse_task("forward/p5q4-A-c192-g8-f32:bf16-last");
  const CudaSchedule s = schedule_of("v4_r2_x48_y4_newton");
  Call call;
  call.rows = 101;
  call.x_stride = 200;
  call.out_stride = 192;
  const CudaLaunch launch = cuda_launch(task, s, call.rows, 1, 2);
  const CudaCall c = cuda_call(task, s, launch, call, nullptr);
  EXPECT_EQ(c.groups, 50U);
  EXPECT_EQ(c.group_step, launch.grid_y * 4);
  EXPECT_EQ(c.x_stride, 800);
  EXPECT_EQ(c.out_stride, 384);
  EXPECT_EQ(c.x_step, std::int64_t{c.group_step} * 2 * 800);
  EXPECT_EQ(c.out_step, std::int64_t{c.group_step} * 2 * 384);
  EXPECT_EQ(c.width, 24);
}

TEST(CudaVectors, FitOnlyWhereEveryAccessIsAligned) {
  const Task task = parse_task("forward/p5q4-A-c192-g8-f32-last");
  const CudaSchedule s = schedule_of("v4_r2_x48_y4_newton");
  alignas(16) static float data[64];
  Call call{.rows = 2, .x = data, .x_stride = 192, .out = data, .out_stride = 192};
  EXPECT_TRUE(cuda_vectors_fit(task, s, call));
  call.x = data + 1;
  EXPECT_FALSE(cuda_vectors_fit(task, s, call));
  EXPECT_TRUE(cuda_vectors_fit(task, schedule_of("v1_r2_x24_y4_newton"), call));
  call.x = data;
  call.out_stride = 193;
  EXPECT_FALSE(cuda_vectors_fit(task, s, call));
  call.rows = 1;  // a single row has no stride
  EXPECT_TRUE(cuda_vectors_fit(task, s, call));
  const Task first = parse_task("forward/p5q4-A-c8-g8-f32-first");
  call.inner = 3;
  EXPECT_FALSE(cuda_vectors_fit(first, s, call));
}

}  // namespace
}  // namespace grkan
