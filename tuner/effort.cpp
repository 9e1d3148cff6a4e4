#include "tuner/effort.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "core/text.h"

namespace grkan {
namespace {

constexpr std::array<std::string_view, 4> kEfforts = {"instant", "quick", "thorough", "exhaustive"};
constexpr std::array<double, 4> kBudgets = {0, 10, 60, std::numeric_limits<double>::infinity()};

// Candidates looked at: a part of the space, within bounds.
struct Limit {
  std::size_t part;  // one in so many
  std::size_t least;
  std::size_t most;
};
constexpr Limit kQuick = {8, 16, 64};
constexpr Limit kThorough = {4, 64, 400};

}  // namespace

std::string_view to_string(TuneEffort effort) { return kEfforts.at(std::size_t(effort)); }

TuneEffort parse_tune_effort(std::string_view text) {
  return TuneEffort(index_of_word(kEfforts, text, "effort"));
}

SearchOptions search_options(TuneEffort effort) {
  SearchOptions options;
  if (effort == TuneEffort::quick) {
    options.screen_rounds = 1;
    options.final_rounds = 24;
    options.drop_factor = 1.15;
  }
  options.budget_seconds = kBudgets.at(std::size_t(effort));
  return options;
}

std::unique_ptr<Strategy> effort_strategy(TuneEffort effort, const Space& space,
                                          std::vector<std::size_t> starts, std::uint64_t seed) {
  if (effort == TuneEffort::exhaustive) return exhaustive_strategy();
  const Limit& limit = effort == TuneEffort::thorough ? kThorough : kQuick;
  const std::size_t looked_at =
      std::clamp(space.schedules.size() / limit.part, limit.least, limit.most);
  return guided_strategy(
      {.seed = seed, .starts = std::move(starts), .random = looked_at / 8, .limit = looked_at},
      coordinates(space));
}

}  // namespace grkan
