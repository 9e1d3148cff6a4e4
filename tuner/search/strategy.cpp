#include "tuner/search/strategy.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
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

// The values of each parameter as their ranks among those met.
Coordinates ranks(Coordinates coordinates) {
  if (coordinates.empty()) return coordinates;
  for (std::size_t k = 0; k < coordinates.front().size(); ++k) {
    std::vector<int> values;
    for (const std::vector<int>& c : coordinates) values.push_back(c[k]);
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    for (std::vector<int>& c : coordinates) {
      c[k] = int(std::lower_bound(values.begin(), values.end(), c[k]) - values.begin());
    }
  }
  return coordinates;
}

// A Gaussian process over a pool of candidates, with a fixed kernel. L L' is the covariance of the
// points, those whose value is or will be known. Where they are decides everything but the
// expectations; so points and pool only grow.
class Process {
 public:
  explicit Process(Coordinates coordinates)
      : ranks_(ranks(std::move(coordinates))),
        columns_(ranks_.size()),
        included_(ranks_.size(), false) {
    int most = 0;
    for (const std::vector<int>& of : ranks_) {
      for (const int rank : of) most = std::max(most, rank);
    }
    for (int steps = 0; steps <= most; ++steps) {
      alike_.push_back(std::pow(kAlike, std::sqrt(double(steps))));
    }
  }

  [[nodiscard]] std::size_t size() const { return ranks_.size(); }
  [[nodiscard]] const std::vector<std::size_t>& pool() const { return pool_; }
  [[nodiscard]] const std::vector<std::size_t>& points() const { return points_; }
  [[nodiscard]] bool is_point(std::size_t i) const {
    return std::find(points_.begin(), points_.end(), i) != points_.end();
  }
  // What the points leave of a variance of 1.
  [[nodiscard]] double variance(std::size_t i) const {
    return std::max(0.0, 1 - dot(columns_[i], columns_[i], points_.size()));
  }

  void include(std::size_t i) {
    if (included_[i]) return;
    included_[i] = true;
    pool_.push_back(i);
    for (std::size_t k = 0; k < points_.size(); ++k) extend(i, k);
  }
  // Those that differ from i in one parameter.
  void include_neighbours(std::size_t i) {
    for (std::size_t j = 0; j < size(); ++j) {
      if (differences(i, j) == 1) include(j);
    }
  }
  void add_point(std::size_t i) {
    include(i);
    diagonals_.push_back(std::sqrt(variance(i) + kNoise));
    points_.push_back(i);
    for (const std::size_t member : pool_) extend(member, points_.size() - 1);
  }

  // L^-1 of the points' values: what expect() takes.
  [[nodiscard]] std::vector<double> weigh(std::span<const double> values) const {
    std::vector<double> weights;
    for (std::size_t k = 0; k < points_.size(); ++k) {
      const double known = dot(columns_[points_[k]], weights, k);
      weights.push_back((values[k] - known) / diagonals_[k]);
    }
    return weights;
  }
  // The expected value of one of the pool, around a mean of 0.
  [[nodiscard]] double expect(std::size_t i, const std::vector<double>& weights) const {
    return dot(columns_[i], weights, weights.size());
  }

 private:
  // What a parameter leaves of the likeness of two candidates, when it is one value away; it is
  // this to the power of the root of more.
  static constexpr double kAlike = 0.8;
  // Of a timing, against a variance of 1 among candidates.
  static constexpr double kNoise = 0.05;

  static double dot(const std::vector<double>& a, const std::vector<double>& b, std::size_t n) {
    return std::inner_product(a.begin(), a.begin() + std::ptrdiff_t(n), b.begin(), 0.0);
  }
  [[nodiscard]] int differences(std::size_t a, std::size_t b) const {
    const std::vector<int>& one = ranks_[a];
    return std::inner_product(one.begin(), one.end(), ranks_[b].begin(), 0, std::plus<>(),
                              std::not_equal_to<>());
  }
  [[nodiscard]] double likeness(std::size_t a, std::size_t b) const {
    double likeness = 1;
    for (std::size_t k = 0; k < ranks_[a].size(); ++k) {
      likeness *= alike_[std::size_t(std::abs(ranks_[a][k] - ranks_[b][k]))];
    }
    return likeness;
  }
  // One more number of i's column, for point k.
  void extend(std::size_t i, std::size_t k) {
    const double known = dot(columns_[i], columns_[points_[k]], k);
    columns_[i].push_back((likeness(i, points_[k]) - known) / diagonals_[k]);
  }

  Coordinates ranks_;
  std::vector<double> alike_;                 // likeness left by a parameter so many values away
  std::vector<std::vector<double>> columns_;  // of L^-1 K, for the pool
  std::vector<bool> included_;                // in the pool
  std::vector<std::size_t> pool_;
  std::vector<std::size_t> points_;
  std::vector<double> diagonals_;  // of L
};

class Guided : public Strategy {
 public:
  Guided(const GuidedOptions& options, Coordinates coordinates)
      : options_(options),
        proposed_(coordinates.size(), false),
        random_(options.seed, options.starts.empty() ? std::min(options.random, options.limit) : 0),
        process_(std::move(coordinates)) {
    fill_pool();
    take_unknown_for_slowest(options_.prior);
  }

  std::vector<std::size_t> propose(std::span<const CandidateCost> costs,
                                   std::size_t count) override {
    count = std::min(count, options_.limit - taken_);
    std::vector<std::size_t> batch = random_.propose(costs, count);
    for (; next_start_ < options_.starts.size() && batch.size() < count; ++next_start_) {
      const std::size_t i = options_.starts[next_start_];
      if (costs[i].state == CandidateCost::unknown) batch.push_back(i);
    }
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
  static constexpr double kDoubt = 4;

  // Of larger spaces, so many random ones are looked at with care, and all neighbours of the best.
  static constexpr std::size_t kPool = 8192;

  static void take_unknown_for_slowest(std::vector<double>& prior) {
    double slowest = -std::numeric_limits<double>::infinity();
    for (const double cost : prior) {
      if (std::isfinite(cost)) slowest = std::max(slowest, cost);
    }
    for (double& cost : prior) cost = std::min(cost, slowest);
  }

  void fill_pool() {
    std::vector<std::size_t> order = permutation(process_.size(), options_.seed);
    order.resize(std::min(order.size(), kPool));
    for (const std::size_t i : order) process_.include(i);
  }

  void take(std::size_t i) {
    proposed_[i] = true;
    ++taken_;
    process_.add_point(i);
  }

  // Takes up all costs there are.
  void learn(std::span<const CandidateCost> costs) {
    std::size_t best = costs.size();
    for (std::size_t i = 0; i < costs.size(); ++i) {
      if (costs[i].state != CandidateCost::known) continue;
      if (best == costs.size() || costs[i].cost < costs[best].cost) best = i;
      // The default, and those of an earlier search.
      if (!proposed_[i] && !process_.is_point(i)) process_.add_point(i);
    }
    if (best == costs.size()) return;
    process_.include_neighbours(best);
    std::vector<double> values;
    for (const std::size_t i : process_.points()) {
      const double slow = kSlow * costs[best].cost;
      const bool known = costs[i].state == CandidateCost::known;
      values.push_back(std::log(known ? std::min(costs[i].cost, slow) : slow) - prior(i));
    }
    mean_ = std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
    double variance = 0;
    for (double& value : values) {
      value -= mean_;
      variance += value * value / double(values.size());
    }
    deviation_ = std::sqrt(std::max(variance, 1e-4));
    weights_ = process_.weigh(values);
  }

  [[nodiscard]] double prior(std::size_t i) const {
    return options_.prior.empty() ? 0 : options_.prior[i];
  }

  // costs.size(): there is none.
  [[nodiscard]] std::size_t most_promising(std::span<const CandidateCost> costs) const {
    std::size_t best = costs.size();
    double lowest = std::numeric_limits<double>::infinity();
    for (const std::size_t i : process_.pool()) {
      if (proposed_[i] || costs[i].state != CandidateCost::unknown) continue;
      const double expected = mean_ + prior(i) + process_.expect(i, weights_);
      const double hope = expected - kDoubt * deviation_ * std::sqrt(process_.variance(i));
      if (std::pair(hope, i) >= std::pair(lowest, best)) continue;
      best = i;
      lowest = hope;
    }
    return best;
  }

  GuidedOptions options_;
  std::vector<bool> proposed_;
  std::size_t taken_ = 0;
  Random random_;
  std::size_t next_start_ = 0;
  Process process_;
  double mean_ = 0;       // of the logarithms of costs, less what was thought,
  double deviation_ = 1;  // and its spread
  std::vector<double> weights_;
};

}  // namespace

std::unique_ptr<Strategy> exhaustive_strategy() { return std::make_unique<Exhaustive>(); }

std::unique_ptr<Strategy> random_strategy(std::uint64_t seed, std::size_t limit) {
  return std::make_unique<Random>(seed, limit);
}

std::unique_ptr<Strategy> guided_strategy(const GuidedOptions& options, Coordinates coordinates) {
  return std::make_unique<Guided>(options, std::move(coordinates));
}

}  // namespace grkan
