// A sample of the sweep of bench/sweep.cpp.
#include "tests/support/kernels/kernel_sweep.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "codegen/cuda/nvrtc.h"

namespace grkan {
namespace {

TEST(KernelSweep, PlanIsTheSeedsAndHoldsCallsThatReachKernels) {
  const SweepPlan plan = plan_sweep({.problems = 12, .limit = 3});
  const SweepPlan again = plan_sweep({.problems = 12, .limit = 3});
  EXPECT_EQ(plan.cases.size(), 12U * 3 * 3);
  ASSERT_EQ(plan.cases.size(), again.cases.size());
  int kat = 0;
  for (std::size_t i = 0; i < plan.cases.size(); ++i) {
    const KernelCase& one = plan.cases[i];
    EXPECT_EQ(command_line(one), command_line(again.cases[i]));
    EXPECT_EQ(
        why_illegal(one.task, Schedule(one.schedule), one.target, Determinism::not_guaranteed), "");
    EXPECT_GE(one.sample.rows * one.sample.inner, 1);
    EXPECT_EQ(one.seed % 2, i % 2);
    const Problem& p = one.task.problem;
    if (p.denominator_groups == 8 && (p.numerator_groups == 1 || p.numerator_groups == 8)) ++kat;
  }
  EXPECT_GE(kat, 6 * 9);
  EXPECT_NE(command_line(plan.cases[0]),
            command_line(plan_sweep({.problems = 1, .limit = 1, .seed = 2}).cases[0]));
}

TEST(KernelSweep, PlanWithoutALimitCoversEveryPair) {
  const SweepPlan whole = plan_sweep({.problems = 3, .limit = 1000});
  EXPECT_EQ(whole.pairs_covered, whole.pairs_possible);
  EXPECT_GT(whole.pairs_possible, 1000U);
  const SweepPlan part = plan_sweep({.problems = 3, .limit = 1});
  EXPECT_LT(part.pairs_covered, part.pairs_possible);
  EXPECT_EQ(part.pairs_possible, whole.pairs_possible);
}

TEST(KernelSweep, FailuresAreToldWithTheCommandThatRepeatsThem) {
  const KernelCase one{parse_task("backward.dx.da.db/p5q4-A-c24-g8-f32-last"),
                       {.rows = 3, .seed = 5, .padding = 2, .in_place = true},
                       {"sm_90"},
                       {.columns = 8},
                       7};
  const CaseResult result = run_case(one);
  EXPECT_EQ(result.failure, "8 columns are 32 bytes, more than one access of 16");
  const std::string text = failure_text(one, result);
  EXPECT_NE(text.find(result.failure), std::string::npos);
  for (const char* words : {"--task backward.dx.da.db/p5q4-A-c24-g8-f32-last ", "--arch sm_90 ",
                            "--schedule v8_r2_x32_y8_newton@blocks4 ", "--seed 7 ", "--rows 3 ",
                            "--data-seed 5 ", "--padding 2 ", "--in-place"}) {
    EXPECT_NE(text.find(words), std::string::npos) << words << " in " << text;
  }
}

TEST(KernelSweep, RandomSample) {
  if (find_nvrtcs().empty()) GTEST_SKIP() << "SKIP: no NVRTC on this machine";
  const char* given = std::getenv("GRKAN_SEED");
  SweepOptions options{.problems = 34, .limit = 2};
  if (std::getenv("GRKAN_LONG") != nullptr) options = {};
  options.seed = given != nullptr ? std::strtoul(given, nullptr, 10) : 1;
  std::printf("GRKAN_SEED=%llu\n", static_cast<unsigned long long>(options.seed));
  const SweepPlan plan = plan_sweep(options);
  EXPECT_GE(plan.cases.size(), 190U);
  const SweepOutcome outcome =
      run_sweep(plan.cases, [](const KernelCase& one, const CaseResult& result) {
        ADD_FAILURE() << failure_text(one, result);
      });
  EXPECT_TRUE(outcome.worst.y && outcome.worst.dx && outcome.worst.da && outcome.worst.db);
  std::printf("%zu cases; largest error over its bound: %s\n", plan.cases.size(),
              worst_text(outcome.worst).c_str());
}

}  // namespace
}  // namespace grkan
