// Pruning: candidates that are not worth a timing, by what the compiler said of their kernels.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "core/binary.h"
#include "core/gpu_models.h"
#include "core/schedule.h"
#include "tuner/candidate_calls.h"
#include "tuner/request.h"
#include "tuner/space.h"

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

// Builds candidates by the caller's functions; those ruled out get the status `pruned`. Of a CPU,
// or where the caller tells nothing of its kernels, none. May be called from several threads.
class PruningBuilder {
 public:
  // All but the schedule must outlive it.
  PruningBuilder(const CandidateCalls& calls, const TuneRequest& request, const Schedule& standard);
  StepResult build(const Schedule& schedule);

 private:
  [[nodiscard]] std::optional<CompilerReport> report(const Schedule& schedule) const;
  const std::optional<CompilerReport>& standard_report();

  const CandidateCalls& calls_;
  const GpuModel* gpu_;  // null: nothing is pruned
  Schedule standard_;
  std::mutex mutex_;
  bool asked_ = false;
  std::optional<CompilerReport> standard_report_;
};

// The space as answers have it, and what of the candidates (of any type with status and why) was
// refused once it was compiled, by reason.
template <class Candidates>
nlohmann::ordered_json space_json(const Space& space, const Candidates& candidates) {
  nlohmann::ordered_json refused = nlohmann::ordered_json::object();
  for (const auto& c : candidates) {
    const bool by_compiler = c.status == CandidateStatus::compile_failed ||
                             c.status == CandidateStatus::exceeds_device ||
                             c.status == CandidateStatus::pruned;
    if (!by_compiler) continue;
    auto& count = refused[without_numbers(c.why)];
    count = count.is_null() ? 1 : count.template get<int>() + 1;
  }
  return {{"tried", space.tried + 1},  // and the default
          {"candidates", space.schedules.size()},
          {"left_out", space.left_out},
          {"refused", refused}};
}

}  // namespace grkan
