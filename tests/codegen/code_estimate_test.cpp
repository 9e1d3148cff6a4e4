// What is estimated of a schedule alone, beside what the compiler makes of it: random tasks and
// schedules, compiled by NVRTC for an H200 and counted in machine code.
#include "cuda/code_estimate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "codegen/compiler.h"
#include "codegen/cuda/sass.h"
#include "core/error.h"
#include "core/random_task.h"

namespace grkan {
namespace {

struct Ratios {
  std::vector<double> instructions;
  std::vector<double> warps;  // resident on a multiprocessor

  static double middle(std::vector<double> values) {
    std::ranges::sort(values);
    return values.at(values.size() / 2);
  }
  // The share of those within a factor of 1.
  static double within(const std::vector<double>& values, double factor) {
    const auto near = std::ranges::count_if(
        values, [&](double v) { return std::abs(std::log(v)) <= std::log(factor); });
    return double(near) / double(values.size());
  }
};

TEST(CodeEstimate, IsNearTheCompilersCounts) {
  const char* given = std::getenv("GRKAN_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 15;
  std::printf("GRKAN_SEED=%lu\n", seed);
  RandomGenerator generator(seed);
  const GpuModel& gpu = gpu_model("h200");
  const Target target = {"sm_90"};
  Ratios ratios;
  while (ratios.instructions.size() < 40) {
    const Task task = random_task(generator);
    GpuCall call{.task = task,
                 .schedule = CudaSchedule(random_schedule(generator, task, target)),
                 .gpu = gpu,
                 .rows = 25216,
                 .inner = task.problem.layout == Layout::channels_last ? 1 : 64};
    const int multiprocessors = int(gpu.multiprocessors.value);
    std::vector<LaunchFacts> counted;
    try {
      const Binary binary = compile_cuda(task, call.schedule, target);
      counted = static_facts(
          call, count_instructions(binary, call.schedule, call.rows, call.inner, multiprocessors));
    } catch (const Error& error) {
      if (error.status() == Status::unsupported) continue;  // not counted, or no place for a block
      GTEST_SKIP() << "SKIP: " << error.what();
    }
    const CudaLaunch launch =
        cuda_launch(task, call.schedule, call.rows, call.inner, multiprocessors);
    const std::vector<LaunchFacts> estimated = estimated_facts(call, launch);
    ASSERT_EQ(estimated.size(), counted.size());
    for (std::size_t i = 0; i < counted.size(); ++i) {
      EXPECT_EQ(estimated[i].blocks, counted[i].blocks);
      EXPECT_EQ(estimated[i].dram_bytes, counted[i].dram_bytes);
      EXPECT_EQ(estimated[i].round_trips, counted[i].round_trips);
    }
    const auto main = std::ranges::find_if(counted, [](const auto& f) { return f.blocks > 0; });
    const LaunchFacts& mine = estimated[std::size_t(main - counted.begin())];
    ratios.instructions.push_back(mine.instructions.issued() / main->instructions.issued());
    ratios.warps.push_back(double(mine.resident_blocks) / main->resident_blocks);
  }
  EXPECT_NEAR(Ratios::middle(ratios.instructions), 1, 0.25);
  EXPECT_NEAR(Ratios::middle(ratios.warps), 1, 0.25);
  EXPECT_GE(Ratios::within(ratios.instructions, 1.6), 0.8);
  EXPECT_GE(Ratios::within(ratios.warps, 1.6), 0.7);
}

}  // namespace
}  // namespace grkan
