// Statistics of timings: pure functions. Medians and order statistics, because timings have long
// tails and more than one mode.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace grkan {

// Linear between the order statistics (Hyndman and Fan's type 7). NaN for an empty sample.
double quantile(std::span<const double> sample, double q);
double median(std::span<const double> sample);

struct Summary {
  double median = 0;
  double p10 = 0;
  double p90 = 0;
  std::size_t samples = 0;
  // (p90 - p10) / median: what a busy machine widens.
  [[nodiscard]] double spread() const { return median > 0 ? (p90 - p10) / median : 0; }
};
Summary summarize(std::span<const double> sample);

// a[i] / b[i], as many as there are of both.
std::vector<double> quotients(std::span<const double> a, std::span<const double> b);

// Interleaved samples of two candidates, compared round by round, so that what slows a round slows
// both. `ratio` is the median of a[i] / b[i]; [low, high] is its distribution-free confidence
// interval (order statistics, binomial tail): 0 and infinity when there are too few rounds.
struct Comparison {
  double ratio = 1;
  double low = 0;
  double high = 0;
  std::size_t rounds = 0;
};
Comparison compare(std::span<const double> a, std::span<const double> b, double confidence = 0.99);

// Spearman's: how alike two lists order the same things, 1: just so. Equal values share their
// place.
double rank_correlation(std::span<const double> a, std::span<const double> b);

// Whether the machine was busy or throttled, judged by one candidate's times in order of time.
struct QuietLimits {
  double spread = 0.25;     // (p90 - p10) / median
  double drift = 1.10;      // between the medians of the first and the last third, either way
  std::size_t samples = 9;  // fewer: no judgement
};
struct Disturbance {
  bool disturbed = false;
  std::string why;  // with the figures; empty when quiet
};
Disturbance find_disturbance(std::span<const double> times, const QuietLimits& limits = {});

}  // namespace grkan
