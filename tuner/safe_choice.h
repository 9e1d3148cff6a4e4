// SafeChoice: which of some predicted schedules takes the default's place: the fastest of those
// that are faster than it whatever their predictions' errors; else the default stays.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "core/prediction.h"

namespace grkan {

struct PredictedCandidate {
  std::size_t index = 0;
  PredictedRatio against_default;
};

struct SafeChoice {
  std::size_t winner = 0;                  // 0: the default
  std::optional<std::size_t> passed_over;  // the predicted fastest, where that may be slower
  std::vector<std::size_t> near_ties;      // as fast as the fastest of those there were to choose
                                           // from, in order
};

// `candidates` hold the default, with index 0. A winner is ahead of it by `least` at least; those
// within `equal` of the fastest are as fast, and the first of them is taken.
SafeChoice safe_choice(std::span<const PredictedCandidate> candidates, double least, double equal);

}  // namespace grkan
