// Pruning: candidates that are not worth a timing, by what the compiler said of their kernels.
#pragma once

#include <mutex>
#include <optional>

#include "core/backend.h"
#include "tuner/request.h"
#include "tuner/trial.h"

namespace grkan {

// Builds the candidates of a trial; those that the backend rules out (Backend::why_pruned) get the
// status `pruned`; where nothing is told of their kernels, none. May be called from several
// threads.
class PruningBuilder {
 public:
  // All but the schedule must outlive it.
  PruningBuilder(Trial& trial, const TuneRequest& request, const Schedule& standard);
  StepResult build(const Schedule& schedule);

 private:
  std::optional<KernelResources> resources(const Schedule& schedule);
  const std::optional<KernelResources>& standard_resources();

  Trial& trial_;
  const TuneRequest& request_;
  Schedule standard_;
  std::mutex mutex_;
  bool asked_ = false;
  std::optional<KernelResources> standard_resources_;
};

}  // namespace grkan
