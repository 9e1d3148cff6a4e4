// A covering set: few legal schedules of a space, in which every pair of values of two parameters
// meets at least once, where some legal schedule has it. Most faults of generated code come of one
// value or of two that meet; so tests run this set where the whole space is too large.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/schedule.h"
#include "core/target.h"
#include "core/task.h"

namespace grkan {

// Values of two parameters; `first` < `second` are their places in the table.
struct ValuePair {
  std::size_t first = 0;
  int first_value = 0;
  std::size_t second = 0;
  int second_value = 0;
  auto operator<=>(const ValuePair&) const = default;
};

// One value for each parameter.
using Row = std::vector<int>;

// All pairs of a row, and of a schedule: launch parameters included.
std::vector<ValuePair> value_pairs(const Row& row);
std::vector<ValuePair> value_pairs(const Schedule& schedule);

// Rows over `values` (of each parameter, none twice) that cover every pair which a legal row has;
// `start`, which is legal, is the first. Greedy; the same seed gives the same rows.
// why_illegal gives an empty text for legal rows, else a reason that names the values it is about:
// what leaves it as it is can't make the row legal. A pair is given up as illegal when a few legal
// rows, with the pair put in, don't become legal by changing two more parameters.
std::vector<Row> covering_rows(const std::vector<std::vector<int>>& values, const Row& start,
                               const std::function<std::string(const Row&)>& why_illegal,
                               std::uint64_t seed);

// The same for a task: the values of the backend's table and the default's, legal by
// why_illegal. The default schedule (which depends on rows and inner) is the first.
std::vector<Schedule> covering_schedules(const Task& task, const Target& target,
                                         Determinism determinism, std::int64_t rows,
                                         std::int64_t inner, std::uint64_t seed);

}  // namespace grkan
