// Step time: what the tuned calls of a model take together, as one training step makes them. A
// step's time is a sum over calls that share nothing but the memory, so the schedules that make it
// least are those that make each call least; what the sum adds is what each of them is worth.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tuner/problem_list.h"

namespace grkan {

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
  bool measured = true;  // both times; else predicted
  double ns = 0;         // of one call
  double default_ns = 0;
};

// Both directions of a problem at one size.
struct StepLayer {
  std::string problem;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  double ns = 0;
  double default_ns = 0;
};

// Counts and weights are in all times.
struct Step {
  StepWeights weights;
  double calls = 0;
  bool measured = true;  // all of it
  double ns = 0;
  double default_ns = 0;
  std::vector<StepLayer> layers;  // that with the greatest share first; none without calls
};

Step step_of(const std::vector<StepCall>& calls, const StepWeights& weights);

}  // namespace grkan
