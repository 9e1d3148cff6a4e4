// Where in a range of rows the winner changes. Tuned at both ends and at a few sizes between them;
// between two whose winners differ, these two alone are compared, halving until the place is known
// within a tenth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/range.h"

namespace grkan {

// Schedules are numbers here.
struct CrossoverFunctions {
  // Tunes at a size: the winner.
  std::function<std::size_t(std::int64_t rows)> tune;
  // Time of schedule b over that of a at a size; NaN where they could not be compared.
  std::function<double(std::int64_t rows, std::size_t a, std::size_t b)> compare;
  std::function<bool()> stopped;  // ends with the stretches found so far
};

// Rows for which one schedule wins, and the size at which it was tuned, within them.
struct Stretch {
  Range rows;
  std::int64_t tuned = 1;

  bool operator==(const Stretch&) const = default;
};

// Stretches side by side, from rows.low to rows.high (less when stopped). A winner that is as fast
// as its neighbour's (within 1 %) where that was tuned takes its place: fewer kernels.
std::vector<Stretch> find_stretches(Range rows, const CrossoverFunctions& functions);

}  // namespace grkan
