// A sweep over the family of CUDA kernels: problems x architectures x schedules, each a case of
// kernel_case.h. bench/sweep.cpp runs it whole, kernel_sweep_test a sample of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/kernels/kernel_case.h"

namespace grkan {

struct SweepOptions {
  int problems = 60;
  int limit = 18;  // schedules of a problem on an architecture, at most
  std::uint64_t seed = 1;
  std::vector<Target> targets = {{"sm_80"}, {"sm_90"}, {"sm_100"}};
};

// Every other problem is one of KAT's layers (192, 768 and 3072 channels; 8 groups, or one
// numerator for 8 denominators; f32 and bf16) until those are used up; the others are
// random_task's. Tens of thousands of elements at most; empty calls, which reach no kernel, are
// left out.
//
// Schedules come from covering_schedules() under not_guaranteed: first those that add most pairs of
// values to what the sweep has on that architecture.
struct SweepPlan {
  std::vector<KernelCase> cases;   // those of a problem follow each other
  std::size_t pairs_covered = 0;   // pairs of values in the cases, counted for each architecture
  std::size_t pairs_possible = 0;  // in the covering sets
};
SweepPlan plan_sweep(const SweepOptions& options);

struct SweepOutcome {
  std::size_t failed = 0;
  TensorErrors worst;
};
// Runs the cases on all processors. `failed` is told each failure, one at a time.
SweepOutcome run_sweep(const std::vector<KernelCase>& cases,
                       const std::function<void(const KernelCase&, const CaseResult&)>& failed);

// The command that runs a case again, and what a failure of it prints.
std::string command_line(const KernelCase& one);
std::string failure_text(const KernelCase& one, const CaseResult& result);
// "y 0.52, dx 0.4, da 0.1, db 0.1": each tensor's largest error over its bound.
std::string worst_text(const TensorErrors& worst);

}  // namespace grkan
