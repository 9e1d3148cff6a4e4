#include "tuner/effort.h"

#include <array>
#include <limits>

#include "core/text.h"

namespace grkan {
namespace {

constexpr std::array<std::string_view, 4> kEfforts = {"instant", "quick", "thorough", "exhaustive"};
constexpr std::array<double, 4> kBudgets = {0, 10, 60, std::numeric_limits<double>::infinity()};
constexpr std::size_t kQuickSample = 16;
constexpr std::size_t kQuickLimit = 64;
constexpr std::size_t kThoroughSample = 64;
constexpr std::size_t kThoroughLimit = 400;

}  // namespace

std::string_view to_string(TuneEffort effort) { return kEfforts.at(std::size_t(effort)); }

TuneEffort parse_tune_effort(std::string_view text) {
  return TuneEffort(index_of_word(kEfforts, text, "effort"));
}

SearchOptions search_options(TuneEffort effort) {
  SearchOptions options;
  options.budget_seconds = kBudgets.at(std::size_t(effort));
  return options;
}

std::unique_ptr<Strategy> effort_strategy(TuneEffort effort, const Space& space,
                                          std::uint64_t seed) {
  if (effort == TuneEffort::exhaustive) return exhaustive_strategy();
  const bool thorough = effort == TuneEffort::thorough;
  return descent_strategy(seed, thorough ? kThoroughSample : kQuickSample,
                          thorough ? kThoroughLimit : kQuickLimit,
                          [&space](std::size_t i) { return neighbours(space, i); });
}

}  // namespace grkan
