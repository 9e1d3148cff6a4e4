#include "cli/step_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/error.h"

namespace grkan::cli {
namespace {

constexpr double kMostWeight = 1e6;

// Both directions of a problem at one size.
struct Layer {
  std::string problem;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  double ns = 0;
  double default_ns = 0;
};

double parse_weight(const std::string& text, const std::string& all) {
  std::size_t end = 0;
  double weight = -1;
  try {
    weight = std::stod(text, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  if (end == 0 || end != text.size() || !(weight >= 0 && weight <= kMostWeight)) {
    fail_argument(
        "weights '{}' are not how often a step calls forward and backward; use 1:1 or 2:1", all);
  }
  return weight;
}

std::vector<Layer> layers_of(const std::vector<StepCall>& calls, const StepWeights& weights) {
  std::vector<Layer> layers;
  for (const StepCall& call : calls) {
    const auto& [task, rows, inner, count] = call.listed;
    const std::string problem = to_string(task.problem);
    auto layer = std::find_if(layers.begin(), layers.end(), [&](const Layer& l) {
      return std::tie(l.problem, l.rows, l.inner) == std::tie(problem, rows.high, inner);
    });
    if (layer == layers.end()) {
      layer = layers.insert(layers.end(), {.problem = problem, .rows = rows.high, .inner = inner});
    }
    const double times = weights.of(task.direction) * double(count);
    layer->ns += times * call.ns;
    layer->default_ns += times * call.default_ns;
  }
  std::stable_sort(layers.begin(), layers.end(),
                   [](const Layer& a, const Layer& b) { return a.ns > b.ns; });
  return layers;
}

}  // namespace

StepWeights parse_weights(const std::string& text) {
  const std::size_t colon = text.find(':');
  const StepWeights weights{
      .forward = parse_weight(text.substr(0, colon), text),
      .backward = parse_weight(colon == std::string::npos ? "" : text.substr(colon + 1), text)};
  if (weights.forward + weights.backward > 0) return weights;
  fail_argument("weights '{}' leave nothing of a step; use 1:1 or 2:1", text);
}

Json step_json(const std::vector<StepCall>& calls, const StepWeights& weights) {
  if (calls.empty()) return nullptr;
  double ns = 0;
  double default_ns = 0;
  double count = 0;
  const std::vector<Layer> layers = layers_of(calls, weights);
  for (const Layer& layer : layers) {
    ns += layer.ns;
    default_ns += layer.default_ns;
  }
  for (const StepCall& call : calls) {
    count += weights.of(call.listed.task.direction) * double(call.listed.count);
  }
  // The weakest: measured before predicted.
  const bool measured = std::all_of(
      calls.begin(), calls.end(), [](const StepCall& call) { return call.evidence == "measured"; });
  Json json = {{"weights", {{"forward", weights.forward}, {"backward", weights.backward}}},
               {"calls", count},
               {"evidence", measured ? "measured" : "predicted"},
               {"time_ns", ns},
               {"default_time_ns", default_ns},
               {"gain", ns > 0 ? Json(default_ns / ns) : Json()},
               {"layers", Json::array()}};
  for (const Layer& layer : layers) {
    json["layers"].push_back({{"problem", layer.problem},
                              {"rows", layer.rows},
                              {"inner", layer.inner},
                              {"time_ns", layer.ns},
                              {"default_time_ns", layer.default_ns},
                              {"share", ns > 0 ? Json(layer.ns / ns) : Json()}});
  }
  return json;
}

std::string step_text(const Json& step) {
  if (step.is_null()) return {};
  std::string text =
      fmt::format("a step of {:g} calls: {} ({}), {} with the default schedules\n",
                  step.at("calls").get<double>(), duration_text(step.at("time_ns").get<double>()),
                  step.at("evidence").get<std::string>(),
                  duration_text(step.at("default_time_ns").get<double>()));
  std::vector<std::vector<std::string>> rows;
  for (const Json& layer : step.at("layers")) {
    const Json& share = layer.at("share");
    rows.push_back({"  " + layer.at("problem").get<std::string>(),
                    fmt::format("{} rows", layer.at("rows").get<std::int64_t>()),
                    duration_text(layer.at("time_ns").get<double>()),
                    share.is_null() ? "" : fmt::format("{:.0f} %", 100 * share.get<double>())});
  }
  return text + table(rows);
}

}  // namespace grkan::cli
