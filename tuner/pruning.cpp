#include "tuner/pruning.h"

namespace grkan {

PruningBuilder::PruningBuilder(Trial& trial, const TuneRequest& request, const Schedule& standard)
    : trial_(trial), request_(request), standard_(standard) {}

StepResult PruningBuilder::build(const Schedule& schedule) {
  StepResult built = step(CandidateStatus::compile_failed, [&] { trial_.build(schedule); });
  if (built.status != CandidateStatus::ok || schedule == standard_) return built;
  const std::optional<KernelResources> kernel = resources(schedule);
  const std::optional<KernelResources>& standard = standard_resources();
  if (!kernel || !standard) return built;
  built.why =
      schedule.backend->why_pruned({schedule, *kernel}, {standard_, *standard}, request_.target,
                                   request_.gpu ? &*request_.gpu : nullptr);
  if (!built.why.empty()) built.status = CandidateStatus::pruned;
  return built;
}

std::optional<KernelResources> PruningBuilder::resources(const Schedule& schedule) {
  std::optional<KernelResources> told;
  step(CandidateStatus::launch_failed, [&] { told = trial_.resources(schedule); });
  return told;
}

const std::optional<KernelResources>& PruningBuilder::standard_resources() {
  const std::lock_guard lock(mutex_);
  if (!asked_) standard_resources_ = resources(standard_);
  asked_ = true;
  return standard_resources_;
}

}  // namespace grkan
