#include "tuner/effort.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace grkan {
namespace {

// By effort, in seconds.
constexpr std::array<double, 5> kBudgets = {0, 0, 10, 60, std::numeric_limits<double>::infinity()};

// Candidates looked at: a part of the space, within bounds.
struct Limit {
  std::size_t part;  // one in so many
  std::size_t least;
  std::size_t most;
};
constexpr Limit kInstant = {32, 8, 16};  // that are compiled, of a GPU that is not here
constexpr Limit kQuick = {8, 16, 64};
constexpr Limit kThorough = {4, 64, 400};

}  // namespace

SearchOptions search_options(Effort effort) {
  SearchOptions options;
  if (effort == Effort::quick) {
    options.screen_rounds = 1;
    options.final_rounds = 24;
    options.drop_factor = 1.15;
  }
  options.budget_seconds = kBudgets.at(std::size_t(effort));
  return options;
}

std::unique_ptr<Strategy> effort_strategy(Effort effort, const Space& space,
                                          std::vector<std::size_t> starts, std::uint64_t seed,
                                          std::vector<double> prior) {
  if (effort == Effort::exhaustive) return exhaustive_strategy();
  const Limit& limit = effort == Effort::thorough  ? kThorough
                       : effort == Effort::instant ? kInstant
                                                   : kQuick;
  const std::size_t looked_at =
      std::clamp(space.schedules.size() / limit.part, limit.least, limit.most);
  return guided_strategy({.seed = seed,
                          .starts = std::move(starts),
                          .random = looked_at / 8,
                          .limit = looked_at,
                          .prior = std::move(prior)},
                         coordinates(space));
}

}  // namespace grkan
