// Pruning: candidates that are not worth a timing, by what the compiler said of their kernels.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "core/binary.h"
#include "core/gpu_models.h"
#include "core/schedule.h"
#include "tuner/request.h"
#include "tuner/trial.h"

namespace grkan {

// A schedule, and what the compiler reported of its main kernel.
struct CompiledCandidate {
  CudaSchedule schedule;
  CompilerReport kernel;
};

// Why a candidate can't win beside the default, with the figures; empty: it may. No block of it
// fits on a multiprocessor; it spills more than the default and a few registers; or it leaves a
// multiprocessor fewer than two warps a scheduler, and fewer than the default does. What the
// compiler did not tell rules nothing out.
std::string why_pruned(const CompiledCandidate& candidate, const CompiledCandidate& standard,
                       const GpuModel& gpu);

// Builds the candidates of a trial; those ruled out get the status `pruned`. Of a CPU, or where
// nothing is told of its kernels, none. May be called from several threads.
class PruningBuilder {
 public:
  // All but the schedule must outlive it.
  PruningBuilder(Trial& trial, const TuneRequest& request, const Schedule& standard);
  StepResult build(const Schedule& schedule);

 private:
  std::optional<CompilerReport> report(const Schedule& schedule);
  const std::optional<CompilerReport>& standard_report();

  Trial& trial_;
  const GpuModel* gpu_;  // null: nothing is pruned
  Schedule standard_;
  std::mutex mutex_;
  bool asked_ = false;
  std::optional<CompilerReport> standard_report_;
};

}  // namespace grkan
