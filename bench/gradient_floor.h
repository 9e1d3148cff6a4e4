// The floor of f32 arithmetic under da and db: the terms in f32, their sum exact. Mean errors of
// sums are judged beside it; a bound on every single sum says little of an order of summation.
// Degrees (5,4), version A, f32, channels-last, equally many groups for both.
#pragma once

#include <cstdint>
#include <vector>

#include "core/sample.h"

namespace grkan {

// A value for each group and term: da0 to da5, then db1 to db4.
using GradientSums = std::vector<double>;

// What a kernel left in the sample.
GradientSums gradient_sums(const Sample& sample);

struct ExactSums {
  GradientSums terms_64;  // of terms in double: what da and db are
  GradientSums terms_32;  // of terms rounded as f32 arithmetic does, in the kernels' order
};
// Throws invalid_argument for another kind of task.
ExactSums exact_sums(const Sample& sample);

// |error| summed over all that was added.
struct GradientError {
  double da = 0;
  double db = 0;
  void add(const GradientSums& got, const GradientSums& exact);
};

// Coefficients of swish(x) = x / 2 + x / 2 tanh(x / 2), with the Pade approximant
// tanh(u) = u (105 + 10 u^2) / (105 + 45 u^2 + u^4), in every group.
void set_swish(Sample& sample);

}  // namespace grkan
