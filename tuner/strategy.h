// Strategy: which candidates a search looks at next. Knows indexes and their costs, nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace grkan {

// What is known of a candidate: nothing yet, a cost relative to the default's, or that it failed.
struct CandidateCost {
  enum State : std::uint8_t { unknown, known, failed } state = unknown;
  double cost = 0;  // known: time / the default's time in the same rounds
};

class Strategy {
 public:
  virtual ~Strategy() = default;
  // Up to `count` candidates of unknown cost, none twice; empty: nothing more worth a look.
  virtual std::vector<std::size_t> propose(std::span<const CandidateCost> costs,
                                           std::size_t count) = 0;
  // How many it will propose in all, at most, for the estimate of the time left.
  [[nodiscard]] virtual std::size_t expected(std::size_t candidates) const = 0;
};

// All candidates, in their order.
std::unique_ptr<Strategy> exhaustive_strategy();

// `limit` candidates in a seeded random order.
std::unique_ptr<Strategy> random_strategy(std::uint64_t seed, std::size_t limit);

// `first` random candidates (seeded), then the neighbours of the best known one until none is left
// to try; again from the next best, until `limit` candidates were proposed.
using Neighbours = std::function<std::vector<std::size_t>(std::size_t candidate)>;
std::unique_ptr<Strategy> descent_strategy(std::uint64_t seed, std::size_t first, std::size_t limit,
                                           Neighbours neighbours);

}  // namespace grkan
