// TuneRequest: what a tuning is asked for at one size.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cost_model.h"
#include "core/effort.h"
#include "core/gpu_models.h"
#include "core/schedule.h"
#include "core/target.h"
#include "core/task.h"
#include "tuner/search/strategy.h"
#include "tuner/space.h"

namespace grkan {

struct TuneRequest {
  Task task;
  Target target;
  std::optional<GpuModel> gpu;  // predict for it; none: measure
  Determinism determinism = Determinism::run_to_run;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  // instant measures nothing and answers with the default, or predicts and executes nothing; quick
  // and thorough begin with starting points or a random sample and then look where it may be
  // fastest; exhaustive looks at everything.
  Effort effort = Effort::quick;
  double budget_seconds = 0;  // 0: the effort's own; of a prediction: none
  std::uint64_t seed = 1;
  std::string compiler;   // its name and build: what another one's kernels took says nothing here
  std::string generator;  // the code that makes kernels: the same
  // All that is looked at beside the default, at any effort but instant; empty: the space.
  std::vector<Schedule> schedules;
  // What orders the candidates before they are looked at; null: nothing does.
  std::shared_ptr<const CostModel> model = nullptr;
  // Lines of earlier tunings (records.h), of other problems and foreign ones too: what is known
  // already, and what orders the candidates besides the model.
  std::vector<std::string> recorded;
};

// What there is to look at, and in which order.
Space request_space(const TuneRequest& request);
std::unique_ptr<Strategy> request_strategy(const TuneRequest& request, const Space& space);

// The budget in seconds; infinite where nothing ends it but the space.
double request_budget(const TuneRequest& request);

}  // namespace grkan
