#include "tuner/pruning.h"

namespace grkan {

PruningBuilder::PruningBuilder(Trial& trial, const TuneRequest& request, const Schedule& standard)
    : trial_(trial), request_(request), standard_(standard) {}

StepResult PruningBuilder::build(const Schedule& schedule) {
  StepResult built = step(CandidateStatus::compile_failed, [&] { trial_.build(schedule); });
  if (built.status != CandidateStatus::ok || schedule == standard_) return built;
  const std::optional<CompilerReport> kernel = report(schedule);
  const std::optional<CompilerReport>& standard = standard_report();
  if (!kernel || !standard) return built;
  built.why =
      schedule.backend->why_pruned({schedule, *kernel}, {standard_, *standard}, request_.target,
                                   request_.gpu ? &*request_.gpu : nullptr);
  if (!built.why.empty()) built.status = CandidateStatus::pruned;
  return built;
}

std::optional<CompilerReport> PruningBuilder::report(const Schedule& schedule) {
  std::optional<CompilerReport> told;
  step(CandidateStatus::launch_failed, [&] { told = trial_.report(schedule); });
  return told;
}

const std::optional<CompilerReport>& PruningBuilder::standard_report() {
  const std::lock_guard lock(mutex_);
  if (!asked_) standard_report_ = report(standard_);
  asked_ = true;
  return standard_report_;
}

}  // namespace grkan
