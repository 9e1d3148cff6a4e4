// Effort: how much a tuning looks at, by a name that the user knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "tuner/search.h"
#include "tuner/space.h"
#include "tuner/strategy.h"

namespace grkan {

// instant measures nothing: it takes what is predicted, or the default; quick and thorough look at
// a part of the space, exhaustive at all of it.
enum class TuneEffort : std::uint8_t { instant, quick, thorough, exhaustive };
std::string_view to_string(TuneEffort effort);
TuneEffort parse_tune_effort(std::string_view text);

// The search of an effort other than instant. `prior`: as in strategy.h.
SearchOptions search_options(TuneEffort effort);
std::unique_ptr<Strategy> effort_strategy(TuneEffort effort, const Space& space, std::uint64_t seed,
                                          std::span<const double> prior = {});

// What instant takes by predicted costs, the default's first: the lowest, where it promises to beat
// the default by more than predictions are wrong; else the default.
std::size_t instant_choice(std::span<const double> predicted);

}  // namespace grkan
