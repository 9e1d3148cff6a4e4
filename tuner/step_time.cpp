#include "tuner/step_time.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/error.h"

namespace grkan {
namespace {

constexpr double kMostWeight = 1e6;

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

std::vector<StepLayer> layers_of(const std::vector<StepCall>& calls, const StepWeights& weights) {
  std::vector<StepLayer> layers;
  for (const StepCall& call : calls) {
    const auto& [task, rows, inner, count] = call.listed;
    const std::string problem = to_string(task.problem);
    auto layer = std::find_if(layers.begin(), layers.end(), [&](const StepLayer& l) {
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
                   [](const StepLayer& a, const StepLayer& b) { return a.ns > b.ns; });
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

Step step_of(const std::vector<StepCall>& calls, const StepWeights& weights) {
  Step step{.weights = weights, .layers = layers_of(calls, weights)};
  for (const StepLayer& layer : step.layers) {
    step.ns += layer.ns;
    step.default_ns += layer.default_ns;
  }
  for (const StepCall& call : calls) {
    step.calls += weights.of(call.listed.task.direction) * double(call.listed.count);
    step.measured = step.measured && call.measured;
  }
  return step;
}

}  // namespace grkan
