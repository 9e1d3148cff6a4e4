// TuneRequest: what a tuning was asked for, and the marks on recorded lines by which a later tuning
// knows its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/gpu_models.h"
#include "core/schedule.h"
#include "core/target.h"
#include "core/task.h"
#include "tuner/effort.h"
#include "tuner/space.h"
#include "tuner/strategy.h"

namespace grkan {

struct TuneRequest {
  Task task;
  Target target;
  std::optional<GpuModel> gpu;  // predict for it; none: measure
  Determinism determinism = Determinism::run_to_run;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  TuneEffort effort = TuneEffort::quick;
  double budget_seconds = 0;
  std::int64_t seed = 1;
  std::string compiler;
  std::string generator;
  std::vector<Schedule> schedules;  // all that is looked at, beside the default; empty: the space
  std::vector<nlohmann::ordered_json> resume;
};

// tuner/tune.h describes the text. Throws invalid_argument naming the field.
TuneRequest parse_tune_request(std::string_view text);

// What there is to look at, and in which order.
Space request_space(const TuneRequest& request);
std::unique_ptr<Strategy> request_strategy(const TuneRequest& request, const Space& space);

// What a recorded line begins with.
nlohmann::ordered_json line_head(const TuneRequest& request, std::string_view default_schedule);

// The lines of request.resume that were recorded for such a request (of the same code, beside the
// same default, for the same device and size), in order, with the place that their schedule has in
// `schedules`, the default first.
struct OwnLine {
  std::size_t schedule = 0;
  const nlohmann::ordered_json& line;
};
std::vector<OwnLine> own_lines(const TuneRequest& request,
                               const std::vector<std::string>& schedules);

// What an answer begins with: the request's own.
nlohmann::ordered_json answer_head(const TuneRequest& request);

// Null for infinities and NaN.
nlohmann::ordered_json finite_json(double value);

}  // namespace grkan
