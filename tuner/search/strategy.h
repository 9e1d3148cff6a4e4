// Strategy: which candidates a search looks at next. Knows indexes, where they stand in their space
// and their costs, nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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

// Where each candidate stands: a value for each parameter.
using Coordinates = std::vector<std::vector<int>>;

// `limit` candidates by a model that learns from the costs: the logarithm of a cost is a Gaussian
// process in which candidates are alike by the parameters they share, and a little by how near the
// others are among the values met. Proposed is what may be fastest: the prediction less its
// uncertainty. The first are `starts`, where there are any, or random (seeded).
//
// `prior`: what is thought of each candidate before any is known, the logarithm of its cost up to a
// constant; the process is then of what costs are beside that. Infinite: it is unknown, and taken
// for the slowest. Empty: nothing is thought.
struct GuidedOptions {
  std::uint64_t seed = 1;
  std::vector<std::size_t> starts;  // candidates
  std::size_t random = 8;           // without starts
  std::size_t limit = 64;
  std::vector<double> prior = {};
};
std::unique_ptr<Strategy> guided_strategy(const GuidedOptions& options, Coordinates coordinates);

}  // namespace grkan
