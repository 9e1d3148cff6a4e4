// Transfer: what a device's measurements of other problems say of the next one's schedules, beside
// what a model predicts of them.
//
// How far the logarithm of a measured time is from the predicted one is taken for a sum: a constant
// of the problem, and a term for each value of each parameter, shrunk towards none (ridge
// regression: Hoerl and Kennard, 1970), which holds for other problems too.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <span>

#include "core/schedule.h"

namespace grkan {

// A schedule that was timed.
struct TransferSample {
  std::size_t problem = 0;  // one task at one size: those of one have one constant
  Schedule schedule;
  double miss = 0;  // the logarithm of measured over predicted, up to that constant
};

class Transfer {
 public:
  Transfer() = default;
  // Schedules of one backend.
  explicit Transfer(std::span<const TransferSample> samples);

  // What is to be added to the logarithm of a predicted cost, up to a constant; 0 without samples.
  [[nodiscard]] double correction(const Schedule& schedule) const;

 private:
  // Of a parameter, by its value.
  std::array<std::map<int, double>, kMostParameters> terms_;
};

}  // namespace grkan
