#include "tuner/outcome.h"

#include <cmath>

namespace grkan {
namespace {

constexpr double kNanoseconds = 1e9;  // of a second

}  // namespace

SpaceOutcome space_outcome(const Space& space, const std::vector<CandidateOutcome>& candidates) {
  SpaceOutcome outcome{.tried = space.tried + 1,
                       .candidates = std::int64_t(space.schedules.size()),
                       .left_out = space.left_out,
                       .refused = {}};
  for (const CandidateOutcome& c : candidates) {
    if (c.status == CandidateStatus::compile_failed ||
        c.status == CandidateStatus::exceeds_device || c.status == CandidateStatus::pruned) {
      ++outcome.refused[without_numbers(c.why)];
    }
  }
  return outcome;
}

void set_choice(TuneOutcome& found, const SafeChoice& choice, const Space& space,
                const std::function<PredictedRatio(std::size_t)>& against_default) {
  found.schedule = space.schedules[choice.winner];
  found.default_schedule = space.schedules.front();
  const PredictedRatio ratio = against_default(choice.winner);
  found.against_default = Comparison{.ratio = ratio.ratio, .low = ratio.low, .high = ratio.high};
  if (const auto& over = choice.passed_over) {
    found.passed_over = {space.schedules[*over], against_default(*over)};
  }
  for (const std::size_t i : choice.near_ties) found.near_ties.push_back(space.schedules[i]);
}

std::optional<TimeNs> time_of(const std::vector<double>& seconds) {
  if (seconds.empty()) return {};
  const Summary s = summarize(seconds);
  return TimeNs{.median = s.median * kNanoseconds,
                .p10 = s.p10 * kNanoseconds,
                .p90 = s.p90 * kNanoseconds,
                .samples = std::int64_t(s.samples)};
}

TimeNs time_of(const Prediction& prediction) {
  return {.median = prediction.ns, .p10 = {}, .p90 = {}};
}

std::optional<double> finite(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

}  // namespace grkan
