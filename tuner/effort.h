// Effort: how much a tuning looks at, by a name that the user knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "tuner/search.h"
#include "tuner/space.h"
#include "tuner/strategy.h"

namespace grkan {

// instant measures nothing; quick and thorough look at a part of the space, exhaustive at all of
// it.
enum class TuneEffort : std::uint8_t { instant, quick, thorough, exhaustive };
std::string_view to_string(TuneEffort effort);
TuneEffort parse_tune_effort(std::string_view text);

// The search of an effort other than instant. `starts`: candidates to look at first
// (starting_points.h).
SearchOptions search_options(TuneEffort effort);
std::unique_ptr<Strategy> effort_strategy(TuneEffort effort, const Space& space,
                                          std::vector<std::size_t> starts, std::uint64_t seed);

}  // namespace grkan
