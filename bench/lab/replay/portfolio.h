// Portfolio: which few schedules together serve many recorded tables best.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "bench/lab/replay/table.h"
#include "core/schedule.h"

namespace grkan {

// What every schedule of some tables would cost on each of them, by the candidate most like it
// (tuner/starting_points.h).
class Portfolio {
 public:
  // Tables of one starting list: all forward, or all backward.
  explicit Portfolio(std::span<const Table* const> tables);

  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  // The schedules, each next one that which makes the sum of the square roots of the regrets least:
  // a table that is served well counts little, one that is served badly not out of all measure.
  // Table `left_out` does not count.
  [[nodiscard]] std::vector<Schedule> choose(std::size_t count, std::size_t left_out = kNone) const;
  // Regret of the best of some schedules on a table.
  [[nodiscard]] double regret(std::span<const Schedule> points, std::size_t table) const;

 private:
  std::vector<Schedule> points_;
  std::vector<std::vector<double>> regrets_;  // of a point, on each table
};

}  // namespace grkan
