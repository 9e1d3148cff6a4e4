#include "cli/step_result.h"

#include <fmt/format.h>

#include <vector>

namespace grkan::cli {
namespace {

const char* evidence_of(const Step& step) { return step.measured ? "measured" : "predicted"; }

}  // namespace

Json step_json(const Step& step) {
  if (step.layers.empty()) return nullptr;
  Json json = {
      {"weights", {{"forward", step.weights.forward}, {"backward", step.weights.backward}}},
      {"calls", step.calls},
      {"evidence", evidence_of(step)},
      {"time_ns", step.ns},
      {"default_time_ns", step.default_ns},
      {"gain", step.ns > 0 ? Json(step.default_ns / step.ns) : Json()},
      {"layers", Json::array()}};
  for (const StepLayer& layer : step.layers) {
    json["layers"].push_back({{"problem", layer.problem},
                              {"rows", layer.rows},
                              {"inner", layer.inner},
                              {"time_ns", layer.ns},
                              {"default_time_ns", layer.default_ns},
                              {"share", step.ns > 0 ? Json(layer.ns / step.ns) : Json()}});
  }
  return json;
}

std::string step_text(const Step& step) {
  if (step.layers.empty()) return {};
  std::string text =
      fmt::format("a step of {:g} calls: {} ({}), {} with the default schedules\n", step.calls,
                  duration_text(step.ns), evidence_of(step), duration_text(step.default_ns));
  std::vector<std::vector<std::string>> rows;
  for (const StepLayer& layer : step.layers) {
    rows.push_back({"  " + layer.problem, fmt::format("{} rows", layer.rows),
                    duration_text(layer.ns),
                    step.ns > 0 ? fmt::format("{:.0f} %", 100 * (layer.ns / step.ns)) : ""});
  }
  return text + table(rows);
}

}  // namespace grkan::cli
