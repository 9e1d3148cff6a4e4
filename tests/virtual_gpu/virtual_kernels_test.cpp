// This project's kernels, compiled by NVRTC and executed by the virtual GPU with every check on,
// against the reference.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "codegen/cuda/binary.h"
#include "core/check.h"
#include "core/random_task.h"
#include "tests/support/virtual_sample.h"
#include "tests/virtual_gpu/findings.h"

namespace grkan {
namespace {

#define SKIP_WITHOUT_NVRTC() \
  if (find_nvrtcs().empty()) GTEST_SKIP() << "SKIP: no NVRTC on this machine"

struct Options {
  std::int64_t rows = 37;
  std::int64_t inner = 1;
  bool accumulate = false;
  bool in_place = false;
};

void check_kernel(const char* text, const char* architecture, const Options& sizes) {
  const Task task = parse_task(text);
  const Target target{architecture};
  const auto schedule = CudaSchedule(default_schedule(task, target, sizes.rows * sizes.inner));
  const CudaBuild build = build_cuda(task, schedule, target);
  SampleOptions sample_options;
  sample_options.rows = sizes.rows;
  sample_options.inner = sizes.inner;
  sample_options.accumulate = sizes.accumulate;
  sample_options.in_place = sizes.in_place;
  Sample sample(task, sample_options);
  const Reference reference = make_reference(task, sample.call());
  vgpu::Memory memory(std::size_t{1} << 30);
  const vgpu::Module module(build.output.ptx, memory);
  EXPECT_EQ(fmt::format("sm_{}", module.target()), architecture);
  for (const std::uint64_t seed : {0, 7}) {
    for (const int threads : {1, 2}) {
      sample.reset();
      vgpu::VirtualSample device(sample, memory);
      vgpu::LaunchOptions options;
      options.seed = seed;
      options.threads = threads;
      options.approximation_ulps = seed == 0 ? 0 : 1;
      for (const vgpu::LaunchResult& result : device.run(module, schedule, 3, options)) {
        EXPECT_EQ(describe(result.findings), "") << text << " " << architecture;
        EXPECT_EQ(result.trap, "");
        EXPECT_EQ(result.counts.atomics, 0U);
        EXPECT_GT(result.counts.instructions, 0U);
      }
      device.read_back();
      const TensorErrors errors = compare(task, Schedule(schedule), reference, sample.call());
      EXPECT_TRUE(errors.passes()) << text << " " << architecture << ": " << errors.why_failed();
      EXPECT_EQ(sample.why_damaged(), "") << text;
    }
  }
}

TEST(VirtualKernels, Forward) {
  SKIP_WITHOUT_NVRTC();
  for (const char* architecture : {"sm_75", "sm_90", "sm_100"}) {
    check_kernel("forward/p5q4-A-c192-g8-f32-last", architecture, {});
    check_kernel("forward/p3q3-B-c255-g5-bf16-last", architecture, {.rows = 19});
  }
  check_kernel("forward/p5q4-A-c96-g1x8-f16:f16:f16-last", "sm_80", {});
  check_kernel("forward/p5q4-A-c64-g1x8-f32:bf16:bf16-first", "sm_100", {.rows = 3, .inner = 20});
  check_kernel("forward/p5q4-A-c6-g2x3-f16-first", "sm_80", {.rows = 5, .inner = 56});
  check_kernel("forward/p5q4-C-c24-g2-f64-last", "sm_120", {.in_place = true});
}

TEST(VirtualKernels, Backward) {
  SKIP_WITHOUT_NVRTC();
  for (const char* architecture : {"sm_75", "sm_90", "sm_100"}) {
    check_kernel("backward.dx.da.db/p5q4-A-c192-g8-f32-last", architecture, {.rows = 203});
    check_kernel("backward.dx.da.db/p5q4-A-c48-g1x2-f32:bf16-last", architecture,
                 {.rows = 65, .accumulate = true});
    check_kernel("backward.dx.da.db/p5q4-A-c48-g1x2-f32:bf16:bf16-last", architecture,
                 {.rows = 65, .accumulate = true});
    check_kernel("backward.da.db/p3q3-S-c32-g4-f16:f16:f16-last", architecture, {.rows = 33});
  }
  check_kernel("backward.dx.da.db/p5q4-C-c24-g24x3-f64-last", "sm_90", {});
  check_kernel("backward.dx.da.db/p3q2-N-c6-g2x3-f32-first", "sm_90", {.rows = 5, .inner = 52});
  check_kernel("backward.da/p5q4-A-c24-g3-f16-last", "sm_90", {});
}

struct Bits {
  std::vector<std::byte> dx, da, db;
  bool operator==(const Bits&) const = default;
};

// What a schedule gives in a device with that many multiprocessors, blocks and warps in the order
// of `seed`.
Bits bits_of(const Task& task, const CudaSchedule& schedule, const char* architecture,
             int multiprocessors, std::uint64_t seed, std::uint64_t* atomics = nullptr) {
  const CudaBuild build = build_cuda(task, schedule, Target{architecture});
  SampleOptions sample_options;
  sample_options.rows = 1300;
  sample_options.inner = task.problem.layout == Layout::channels_first ? 20 : 1;
  Sample sample(task, sample_options);
  const Reference reference = make_reference(task, sample.call());
  vgpu::Memory memory(std::size_t{1} << 30);
  const vgpu::Module module(build.output.ptx, memory);
  vgpu::VirtualSample device(sample, memory);
  vgpu::LaunchOptions options;
  options.seed = seed;
  for (const vgpu::LaunchResult& r : device.run(module, schedule, multiprocessors, options)) {
    EXPECT_EQ(describe(r.findings), "") << build.source.symbol;
    if (atomics != nullptr) *atomics += r.counts.atomics;
  }
  device.read_back();
  const TensorErrors errors = compare(task, Schedule(schedule), reference, sample.call());
  EXPECT_TRUE(errors.passes()) << build.source.symbol << ": " << errors.why_failed();
  const auto copy = [](const SampleBuffer& buffer) {
    const auto* first = static_cast<const std::byte*>(buffer.data());
    return std::vector<std::byte>(first, first + buffer.bytes());
  };
  return {copy(sample.out), copy(sample.da), copy(sample.db)};
}

TEST(VirtualKernels, WaysOfSumming) {
  SKIP_WITHOUT_NVRTC();
  for (const char* text :
       {"backward.dx.da.db/p5q4-A-c192-g8-f32-last", "backward.dx.da.db/p5q4-A-c40-g1x5-bf16-last",
        "backward.da.db/p3q2-B-c6-g2x3-f32-first"}) {
    const Task task = parse_task(text);
    auto schedule = CudaSchedule(default_schedule(task, Target{"sm_90"}, 1300));
    const Bits two_pass = bits_of(task, schedule, "sm_90", 3, 0);
    for (const int sums : {CudaSchedule::programmatic, CudaSchedule::last_block}) {
      schedule.sums = sums;
      const Bits first = bits_of(task, schedule, "sm_90", 3, 0);
      EXPECT_TRUE(first == bits_of(task, schedule, "sm_90", 3, 7)) << text << " depends on order";
      EXPECT_TRUE(sums != CudaSchedule::programmatic || first == two_pass) << text;
    }
    if (task.problem.layout == Layout::channels_first) continue;
    schedule.sums = CudaSchedule::block_atomics;
    std::uint64_t atomics = 0;
    bits_of(task, schedule, "sm_90", 3, 0, &atomics);
    const CudaLaunch launch = cuda_launch(task, schedule, 1300, 1, 3);
    const Problem& p = task.problem;
    EXPECT_EQ(atomics, std::uint64_t(task.sum_terms()) * std::uint64_t(p.segments()) *
                           launch.grid_y *
                           std::uint64_t(cuda_tiles_of_segment(task, schedule, p.segment_width())));
  }
}

// Class gpu_to_gpu: the same bits on devices that have nothing in common.
TEST(VirtualKernels, SameBitsOnEveryGpu) {
  SKIP_WITHOUT_NVRTC();
  for (const char* text : {"backward.dx.da.db/p5q4-A-c192-g8-f32-last",
                           "backward.dx.da.db/p5q4-C-c48-g1x2-bf16-last"}) {
    const Task task = parse_task(text);
    const auto schedule = [&](const char* architecture, Determinism determinism) {
      return CudaSchedule(default_schedule(task, Target{architecture}, 1300, 1, determinism));
    };
    const auto fixed = schedule("sm_75", Determinism::gpu_to_gpu);
    const Bits bits = bits_of(task, fixed, "sm_75", 3, 0);
    EXPECT_TRUE(bits == bits_of(task, schedule("sm_100", Determinism::gpu_to_gpu), "sm_100", 40, 5))
        << text;
    const auto usual = schedule("sm_75", Determinism::run_to_run);
    EXPECT_FALSE(bits_of(task, usual, "sm_75", 3, 0) == bits_of(task, usual, "sm_75", 40, 0))
        << text << ": the other class does differ, or this test says nothing";
  }
}

// The same counts and results for any number of host threads.
TEST(VirtualKernels, CountsDoNotDependOnThreads) {
  SKIP_WITHOUT_NVRTC();
  const Task task = parse_task("backward.dx.da.db/p5q4-A-c192-g8-f32-last");
  const Target target{"sm_90"};
  const auto schedule = CudaSchedule(default_schedule(task, target, 500));
  const CudaBuild build = build_cuda(task, schedule, target);
  SampleOptions sample_options;
  sample_options.rows = 500;
  vgpu::Memory memory(std::size_t{1} << 30);
  const vgpu::Module module(build.output.ptx, memory);
  std::vector<vgpu::Counts> counts;
  for (const int threads : {1, 3}) {
    Sample sample(task, sample_options);
    vgpu::VirtualSample device(sample, memory);
    vgpu::LaunchOptions options;
    options.threads = threads;
    for (const vgpu::LaunchResult& r : device.run(module, schedule, 5, options)) {
      counts.push_back(r.counts);
    }
  }
  ASSERT_EQ(counts.size(), 4U);
  EXPECT_EQ(counts[0], counts[2]);
  EXPECT_EQ(counts[1], counts[3]);
  EXPECT_GE(counts[0].stores.sectors * 32, counts[0].stores.bytes);
  EXPECT_GT(counts[0].stores.bytes, 500U * 192 * 4);
  EXPECT_GT(counts[0].loads.bytes, 2U * 500 * 192 * 4);
}

}  // namespace
}  // namespace grkan
