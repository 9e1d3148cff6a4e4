// Step time: what the tuned calls of a model take together, as one training step makes them. A
// step's time is a sum over calls that share nothing but the memory, so the schedules that make it
// least are those that make each call least; what the sum adds is what each of them is worth.
#pragma once

#include <string>
#include <vector>

#include "cli/report.h"
#include "tuner/problem_list.h"

namespace grkan::cli {

// How often a step makes each call: 2:1 recomputes the forward for the backward.
struct StepWeights {
  double forward = 1;
  double backward = 1;

  [[nodiscard]] double of(Direction direction) const {
    return direction == Direction::forward ? forward : backward;
  }
};

// "1:1"; throws invalid_argument.
StepWeights parse_weights(const std::string& text);

struct StepCall {
  ListedTask listed;
  std::string evidence;  // of both times
  double ns = 0;         // of one call
  double default_ns = 0;
};

// The documented `step`: {weights, calls, time_ns, default_time_ns, gain, evidence, layers
// [{problem, rows, inner, time_ns, default_time_ns, share}]}, the layer with the greatest share
// first. Counts and weights are in all times. Null without calls.
Json step_json(const std::vector<StepCall>& calls, const StepWeights& weights);
std::string step_text(const Json& step);

}  // namespace grkan::cli
