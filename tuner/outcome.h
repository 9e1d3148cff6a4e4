// Outcome: what a tuning found at one size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cache/winner.h"
#include "core/prediction.h"
#include "core/schedule.h"
#include "tuner/safe_choice.h"
#include "tuner/search/search.h"
#include "tuner/search/statistics.h"
#include "tuner/space.h"

namespace grkan {

struct CandidateOutcome {
  Schedule schedule;
  CandidateStatus status = CandidateStatus::skipped;
  std::string why;             // when not ok
  std::optional<TimeNs> time;  // absent: neither timed nor predicted
  std::optional<double> ratio_to_default;
  std::optional<double> error_scaled;
  bool finalist = false;
};

// The space, and why the rest of the combinations is not in it, by reason and how many.
struct SpaceOutcome {
  std::int64_t tried = 0;  // combinations, the default among them
  std::int64_t candidates = 0;
  std::map<std::string, std::int64_t> left_out;
  std::map<std::string, std::int64_t> refused;  // candidates, once they were compiled

  bool operator==(const SpaceOutcome&) const = default;
};
SpaceOutcome space_outcome(const Space& space, const std::vector<CandidateOutcome>& candidates);

// The predicted best, where the default stays: it may be slower.
struct PassedOver {
  Schedule schedule;
  PredictedRatio against_default;
};

struct TuneOutcome {
  Schedule schedule;  // the winner's
  Schedule default_schedule;
  // default_schedule: nothing was timed, or the search was stopped before it compared anything.
  Evidence evidence = Evidence::default_schedule;
  std::optional<TimeNs> time;          // of the winner
  std::optional<TimeNs> default_time;  // in the winner's rounds, so that the two compare
  std::optional<double> error_scaled;
  std::optional<Comparison> against_default;  // of a prediction without rounds
  std::optional<Prediction> prediction;
  std::optional<PassedOver> passed_over;     // of a prediction
  std::string gpu;                           // the model predicted for
  std::vector<Schedule> near_ties;           // as fast as the best
  std::vector<CandidateOutcome> candidates;  // all that were looked at, the best first
  SpaceOutcome space;
  std::int64_t resumed = 0;  // candidates known from recorded lines
  Disturbance disturbance;
  bool cancelled = false;
  bool out_of_time = false;
  double wall_seconds = 0;
};

// What was chosen by predictions: schedule, default, how they compare, what was passed over, ties.
void set_choice(TuneOutcome& found, const SafeChoice& choice, const Space& space,
                const std::function<PredictedRatio(std::size_t)>& against_default);

// Seconds as winners keep them; nothing for no sample.
std::optional<TimeNs> time_of(const std::vector<double>& seconds);
// A time that was not measured: a median alone.
TimeNs time_of(const Prediction& prediction);

// Nothing for infinities and NaN.
std::optional<double> finite(double value);

}  // namespace grkan
