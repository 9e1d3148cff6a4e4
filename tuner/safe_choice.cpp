#include "tuner/safe_choice.h"

#include <algorithm>

namespace grkan {
namespace {

using Candidates = std::vector<PredictedCandidate>;

// Those as fast as the fastest, the first of the space first. Empty of none.
std::vector<std::size_t> fastest(const Candidates& candidates, double equal) {
  std::vector<std::size_t> near;
  if (candidates.empty()) return near;
  const auto ratio = [](const PredictedCandidate& c) { return c.against_default.ratio; };
  const double best = std::ranges::min(candidates, {}, ratio).against_default.ratio;
  for (const PredictedCandidate& c : candidates) {
    if (ratio(c) <= best * (1 + equal)) near.push_back(c.index);
  }
  std::ranges::sort(near);
  return near;
}

}  // namespace

SafeChoice safe_choice(std::span<const PredictedCandidate> candidates, double least, double equal) {
  Candidates ahead;
  Candidates safe;
  for (const PredictedCandidate& c : candidates) {
    if (c.index == 0 || c.against_default.ratio > 1 - least) continue;
    ahead.push_back(c);
    if (c.against_default.high < 1) safe.push_back(c);
  }
  SafeChoice choice;
  choice.near_ties = fastest(safe, equal);
  if (!choice.near_ties.empty()) {
    choice.winner = choice.near_ties.front();
    return choice;
  }
  if (!ahead.empty()) choice.passed_over = fastest(ahead, equal).front();
  choice.near_ties = fastest({candidates.begin(), candidates.end()}, equal);
  return choice;
}

}  // namespace grkan
