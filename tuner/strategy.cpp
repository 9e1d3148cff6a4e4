#include "tuner/strategy.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
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

class Descent : public Strategy {
 public:
  Descent(std::uint64_t seed, std::size_t first, std::size_t limit, Neighbours neighbours)
      : sample_(seed, std::min(first, limit)),
        seed_(seed),
        limit_(limit),
        neighbours_(std::move(neighbours)) {}

  std::vector<std::size_t> propose(std::span<const CandidateCost> costs,
                                   std::size_t count) override {
    count = std::min(count, limit_ - proposed_);
    std::vector<std::size_t> batch = sample_.propose(costs, count);
    if (batch.size() < count) {
      // Of one center only: the best may change with these.
      const std::vector<std::size_t> more = next_neighbours(costs, batch, count - batch.size());
      batch.insert(batch.end(), more.begin(), more.end());
    }
    proposed_ += batch.size();
    return batch;
  }
  [[nodiscard]] std::size_t expected(std::size_t candidates) const override {
    return std::min(candidates, limit_);
  }

 private:
  // The untried neighbours of the best candidate that has any.
  std::vector<std::size_t> next_neighbours(std::span<const CandidateCost> costs,
                                           const std::vector<std::size_t>& batch,
                                           std::size_t count) {
    std::vector<std::size_t> known;
    for (std::size_t i = 0; i < costs.size(); ++i) {
      if (costs[i].state == CandidateCost::known && !finished_.contains(i)) known.push_back(i);
    }
    std::sort(known.begin(), known.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(costs[a].cost, a) < std::pair(costs[b].cost, b);
    });
    for (const std::size_t center : known) {
      std::vector<std::size_t> untried;
      for (const std::size_t i : neighbours_(center)) {
        const bool here = std::find(batch.begin(), batch.end(), i) != batch.end();
        if (costs[i].state == CandidateCost::unknown && !here) untried.push_back(i);
      }
      if (untried.empty()) {
        finished_.insert(center);
        continue;
      }
      // A random part of many neighbours says more than the first ones, which differ alike.
      std::vector<std::size_t> chosen;
      for (const std::size_t at : permutation(untried.size(), seed_ + center)) {
        if (chosen.size() < count) chosen.push_back(untried[at]);
      }
      return chosen;
    }
    return {};
  }

  Random sample_;
  std::uint64_t seed_;
  std::size_t limit_;
  Neighbours neighbours_;
  std::size_t proposed_ = 0;
  std::set<std::size_t> finished_;
};

}  // namespace

std::unique_ptr<Strategy> exhaustive_strategy() { return std::make_unique<Exhaustive>(); }

std::unique_ptr<Strategy> random_strategy(std::uint64_t seed, std::size_t limit) {
  return std::make_unique<Random>(seed, limit);
}

std::unique_ptr<Strategy> descent_strategy(std::uint64_t seed, std::size_t first, std::size_t limit,
                                           Neighbours neighbours) {
  return std::make_unique<Descent>(seed, first, limit, std::move(neighbours));
}

}  // namespace grkan
