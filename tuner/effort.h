// What each effort (core/effort.h) looks at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/effort.h"
#include "tuner/search/search.h"
#include "tuner/search/strategy.h"
#include "tuner/space.h"

namespace grkan {

// The search of an effort of quick or above. `starts`: candidates to look at first
// (starting_points.h); `prior`: what is thought of each candidate (strategy.h).
SearchOptions search_options(Effort effort);
std::unique_ptr<Strategy> effort_strategy(Effort effort, const Space& space,
                                          std::vector<std::size_t> starts, std::uint64_t seed,
                                          std::vector<double> prior = {});

}  // namespace grkan
