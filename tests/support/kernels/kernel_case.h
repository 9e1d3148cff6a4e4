// One CUDA kernel on one call: generated, compiled by NVRTC, run on the virtual GPU with every
// check on, and held against the reference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/sample.h"
#include "core/target.h"
#include "core/task.h"
#include "cuda/schedule.h"

namespace grkan {

// What decides a case, and all that repeats it.
struct KernelCase {
  Task task;
  SampleOptions sample;  // at least one element
  Target target;
  CudaSchedule schedule;
  // Of the order of blocks and warps, and of the number of multiprocessors. Odd: approximate
  // instructions are off by up to one unit in the last place.
  std::uint64_t seed = 1;
};

struct CaseResult {
  TensorErrors error;   // the largest scaled error of each tensor over all runs
  std::string failure;  // a line each; empty: passed
};

// The schedule that a plan runs for a call: the narrow one where vectors don't fit it.
CudaSchedule serving_schedule(const Task& task, const CudaSchedule& schedule, const Call& call);

// A call and its reference, for many kernels one after another.
class CaseRunner {
 public:
  CaseRunner(const Task& task, const SampleOptions& options);

  // Runs the schedule that serves in two orders of blocks and warps, with odd seeds once more with
  // inexact approximations. Failures: an illegal schedule, what the generator or the compiler
  // refused, findings of the virtual GPU, errors past their bounds, bytes written that must not be,
  // and, where the schedule promises equal bits (run_to_run: between orders; gpu_to_gpu: also with
  // the default schedule of that promise), others.
  CaseResult run(const Target& target, const CudaSchedule& schedule, std::uint64_t seed);

 private:
  // What a run wrote: y or dx, then da and db.
  struct Bits {
    std::vector<std::byte> out, sums;
    bool operator==(const Bits&) const = default;
  };
  [[nodiscard]] Bits bits() const;
  const Bits& gpu_to_gpu_bits();

  Sample sample_;
  Reference reference_;
  std::optional<Bits> gpu_to_gpu_bits_;
};

CaseResult run_case(const KernelCase& one);

// Takes over each tensor's error where its scaled one is larger.
void keep_worst(TensorErrors& worst, const TensorErrors& error);

}  // namespace grkan
