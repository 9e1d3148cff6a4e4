#include "tuner/strategy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

namespace grkan {
namespace {

// A permutation that is the same with every standard library (std::shuffle is not).
std::vector<std::size_t> permutation(std::size_t size, std::uint64_t seed) {
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937_64 random(seed);
  for (std::size_t i = size; i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  return order;
}

class Exhaustive : public Strategy {
 public:
  std::vector<std::size_t> propose(std::span<const CandidateCost> costs,
                                   std::size_t count) override {
    std::vector<std::size_t> batch;
    for (; next_ < costs.size() && batch.size() < count; ++next_) {
      if (costs[next_].state == CandidateCost::unknown) batch.push_back(next_);
    }
    return batch;
  }
  [[nodiscard]] std::size_t expected(std::size_t candidates) const override { return candidates; }

 private:
  std::size_t next_ = 0;
};

class Random : public Strategy {
 public:
  Random(std::uint64_t seed, std::size_t limit) : seed_(seed), left_(limit) {}

  std::vector<std::size_t> propose(std::span<const CandidateCost> costs,
                                   std::size_t count) override {
    if (order_.empty()) order_ = permutation(costs.size(), seed_);
    std::vector<std::size_t> batch;
    for (; next_ < order_.size() && left_ > 0 && batch.size() < count; ++next_) {
      if (costs[order_[next_]].state != CandidateCost::unknown) continue;
      batch.push_back(order_[next_]);
      --left_;
    }
    return batch;
  }
  [[nodiscard]] std::size_t expected(std::size_t candidates) const override {
    return std::min(candidates, left_);
  }

 private:
  std::uint64_t seed_;
  std::size_t left_;
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;
};

// A Gaussian process over all candidates with a fixed kernel. What is asked of it depends on where
// the points are, which only grows, and on their values, which may change: a point costs one row.
class Process {
 public:
  explicit Process(Coordinates coordinates)
      : coordinates_(std::move(coordinates)), variance_(coordinates_.size(), 1) {}

  [[nodiscard]] const std::vector<std::size_t>& points() const { return points_; }
  // What is left of a candidate's variance of 1 by the points.
  [[nodiscard]] double variance(std::size_t i) const { return std::max(0.0, variance_[i]); }

  void add(std::size_t point) {
    // One more row of L^-1 K, where L L' is the points' covariance and K that with all candidates.
    const double diagonal = std::sqrt(variance(point) + kNoise);
    std::vector<double> row(coordinates_.size());
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = likeness(point, i);
    for (const std::vector<double>& before : rows_) {
      const double factor = before[point];
      for (std::size_t i = 0; i < row.size(); ++i) row[i] -= factor * before[i];
    }
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] /= diagonal;
      variance_[i] -= row[i] * row[i];
    }
    rows_.push_back(std::move(row));
    diagonals_.push_back(diagonal);
    points_.push_back(point);
  }

  // The expected value of every candidate, given those of the points, around a mean of 0.
  [[nodiscard]] std::vector<double> expect(std::span<const double> values) const {
    std::vector<double> expected(coordinates_.size());
    std::vector<double> weights;  // L^-1 values
    for (std::size_t k = 0; k < points_.size(); ++k) {
      double rest = values[k];
      for (std::size_t j = 0; j < k; ++j) rest -= rows_[j][points_[k]] * weights[j];
      weights.push_back(rest / diagonals_[k]);
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += rows_[k][i] * weights[k];
    }
    return expected;
  }

 private:
  // Each parameter that differs leaves this much of the likeness.
  static constexpr double kAlike = 0.8;
  // Of a timing, against a variance of 1 among candidates.
  static constexpr double kNoise = 0.02;

  [[nodiscard]] double likeness(std::size_t a, std::size_t b) const {
    double product = 1;
    for (std::size_t p = 0; p < coordinates_[a].size(); ++p) {
      if (coordinates_[a][p] != coordinates_[b][p]) product *= kAlike;
    }
    return product;
  }

  Coordinates coordinates_;
  std::vector<double> variance_;
  std::vector<std::size_t> points_;
  std::vector<std::vector<double>> rows_;  // of each point
  std::vector<double> diagonals_;          // of L
};

class Guided : public Strategy {
 public:
  Guided(const GuidedOptions& options, Coordinates coordinates, std::span<const double> prior)
      : options_(options),
        prior_(coordinates.size(), 0),
        proposed_(coordinates.size(), false),
        random_(options.seed, prior.empty() ? std::min(options.first, options.limit) : 0),
        process_(std::move(coordinates)) {
    for (std::size_t i = 0; i < prior.size(); ++i) prior_[i] = std::log(prior[i]);
  }

  std::vector<std::size_t> propose(std::span<const CandidateCost> costs,
                                   std::size_t count) override {
    count = std::min(count, options_.limit - taken_);
    std::vector<std::size_t> batch = random_.propose(costs, count);
    for (const std::size_t i : batch) take(i);
    if (!batch.empty()) return batch;  // to learn from before more are chosen
    learn(costs);
    while (batch.size() < count) {
      const std::size_t i = most_promising(costs);
      if (i == costs.size()) break;
      batch.push_back(i);
      take(i);
    }
    return batch;
  }
  [[nodiscard]] std::size_t expected(std::size_t candidates) const override {
    return std::min(candidates, options_.limit);
  }

 private:
  // Costs above this many times the best one are all the same.
  static constexpr double kSlow = 3;
  // Standard deviations that a candidate is given the benefit of.
  static constexpr double kDoubt = 1;

  void take(std::size_t i) {
    proposed_[i] = true;
    ++taken_;
    process_.add(i);
  }

  // Sets what is expected of every candidate, by all costs there are.
  void learn(std::span<const CandidateCost> costs) {
    double best = 1;
    for (std::size_t i = 0; i < costs.size(); ++i) {
      if (costs[i].state != CandidateCost::known) continue;
      best = std::min(best, costs[i].cost);
      const auto& points = process_.points();
      if (!proposed_[i] && std::find(points.begin(), points.end(), i) == points.end()) {
        process_.add(i);  // the default, and those of an earlier search
      }
    }
    std::vector<double> values;
    for (const std::size_t i : process_.points()) {
      const bool known = costs[i].state == CandidateCost::known;
      const double cost = known ? std::min(costs[i].cost, kSlow * best) : kSlow * best;
      values.push_back(std::log(cost) - prior_[i]);
    }
    double mean = 0;
    for (const double value : values) mean += value / double(values.size());
    double variance = 0;
    for (double& value : values) {
      value -= mean;
      variance += value * value / double(values.size());
    }
    deviation_ = std::sqrt(std::max(variance, 1e-4));
    expected_ = process_.expect(values);
    for (std::size_t i = 0; i < expected_.size(); ++i) expected_[i] += prior_[i];
  }

  // costs.size(): there is none.
  [[nodiscard]] std::size_t most_promising(std::span<const CandidateCost> costs) const {
    std::size_t best = costs.size();
    double lowest = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < costs.size(); ++i) {
      if (proposed_[i] || costs[i].state != CandidateCost::unknown) continue;
      const double hope = expected_[i] - kDoubt * deviation_ * std::sqrt(process_.variance(i));
      if (hope >= lowest) continue;
      best = i;
      lowest = hope;
    }
    return best;
  }

  GuidedOptions options_;
  std::vector<double> prior_;  // logarithms
  std::vector<bool> proposed_;
  std::size_t taken_ = 0;
  Random random_;
  Process process_;
  std::vector<double> expected_;
  double deviation_ = 1;
};

}  // namespace

std::unique_ptr<Strategy> exhaustive_strategy() { return std::make_unique<Exhaustive>(); }

std::unique_ptr<Strategy> random_strategy(std::uint64_t seed, std::size_t limit) {
  return std::make_unique<Random>(seed, limit);
}

std::unique_ptr<Strategy> guided_strategy(const GuidedOptions& options, Coordinates coordinates,
                                          std::span<const double> prior) {
  return std::make_unique<Guided>(options, std::move(coordinates), prior);
}

}  // namespace grkan
