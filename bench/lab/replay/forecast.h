// Forecast: what a cost model says of a table's candidates, and how well it does beside the times.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bench/lab/replay/table.h"

namespace grkan {

// Of each candidate, the default first.
struct Forecast {
  std::vector<double> seconds;  // predicted
  std::vector<double> regrets;  // measured: how far it is behind the best
  double default_seconds = 0;   // measured
};

// Of the candidates that both tables have; `schedules` are theirs. Throws invalid_argument where
// the default is not among them.
Forecast forecast_of(const Table& measured, const Table& predicted,
                     std::vector<std::string>& schedules);

// Of a table's candidates by what is said of each (left_out.h); those of which nothing is said are
// left out.
Forecast forecast_of(const Table& measured, const std::vector<double>& log_ns,
                     std::vector<std::string>& schedules);

// By predicted time.
std::vector<std::size_t> order_of(const Forecast& forecast);

// The first few by prediction are kTop.
struct Outcome {
  double correlation = 0;   // of ranks
  double first_regret = 0;  // of the predicted best
  double top_regret = 0;    // of the best measured among the first few by prediction
  double default_regret = 0;
  double chance = 0;         // that as many random ones hold one that is near the best
  double seconds_ratio = 0;  // predicted over measured, the default
  [[nodiscard]] bool holds() const { return top_regret <= kNear; }

  static constexpr std::size_t kTop = 8;
  static constexpr double kNear = 0.05;
};
Outcome outcome_of(const Forecast& forecast);

// A line for a table, under a heading, and the summary of all.
void print_heading();
void print_outcome(const std::string& name, std::size_t candidates, const Outcome& outcome);
void print_summary(const std::vector<Outcome>& outcomes);

}  // namespace grkan
