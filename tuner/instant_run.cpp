#include "tuner/instant_run.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "tuner/effort.h"
#include "tuner/safe_choice.h"

namespace grkan {
namespace {

// Looked at: a prediction takes microseconds. How wrong it may be is known of choices among some
// hundred (bench/lab/learn/train.py); of many more, the luckiest would be further off.
constexpr std::size_t kMostCandidates = 512;
// Told of, the best.
constexpr std::size_t kMostTold = 8;

struct Candidate {
  std::size_t index = 0;
  Prediction prediction;
  PredictedRatio against_default;
};

std::vector<Candidate> predicted(const TuneRequest& request, const Space& space) {
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < space.schedules.size(); ++i) {
    std::optional<Prediction> p = request.model->of_schedule({.task = request.task,
                                                              .schedule = space.schedules[i],
                                                              .rows = request.rows,
                                                              .inner = request.inner});
    if (!p && i == 0) return {};
    if (!p) continue;
    Candidate& c = all.emplace_back(Candidate{i, std::move(*p), {}});
    if (i > 0) c.against_default = ratio_of(c.prediction, all.front().prediction);
  }
  return all;
}

CandidateOutcome told(const Candidate& c, const Space& space) {
  CandidateOutcome outcome;
  outcome.schedule = space.schedules[c.index];
  outcome.status = CandidateStatus::ok;
  outcome.time = time_of(c.prediction);
  outcome.ratio_to_default = c.against_default.ratio;
  return outcome;
}

void choose(TuneOutcome& found, std::vector<Candidate> all, const Space& space,
            const SearchOptions& options) {
  std::vector<PredictedCandidate> ratios;
  for (const Candidate& c : all) ratios.push_back({c.index, c.against_default});
  const SafeChoice choice = safe_choice(ratios, options.hysteresis, options.equal);
  const auto at = [&](std::size_t index) -> const Candidate& {
    return *std::ranges::find(all, index, &Candidate::index);
  };
  const Candidate& winner = at(choice.winner);
  set_choice(found, choice, space, [&](std::size_t i) { return at(i).against_default; });
  found.evidence = Evidence::predicted_static;
  found.prediction = winner.prediction;
  found.time = time_of(winner.prediction);
  found.default_time = time_of(all.front().prediction);
  std::ranges::stable_sort(all, {}, [](const Candidate& c) { return c.against_default.ratio; });
  for (const Candidate& c : all) {
    if (found.candidates.size() == kMostTold) break;
    found.candidates.push_back(told(c, space));
  }
}

}  // namespace

TuneOutcome instant_run(const TuneRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  const Space space = sample_space(request.task, request.target, request.determinism, request.rows,
                                   request.inner, kMostCandidates, request.seed);
  TuneOutcome found;
  found.schedule = found.default_schedule = space.schedules.front();
  std::vector<Candidate> all;
  if (request.model != nullptr) all = predicted(request, space);
  if (!all.empty()) choose(found, std::move(all), space, search_options(request.effort));
  if (request.gpu) found.gpu = request.gpu->name;
  found.space = space_outcome(space, found.candidates);
  found.wall_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return found;
}

TuneOutcome instant_run(const DeviceInfo& device, const Task& task, std::int64_t rows,
                        std::int64_t inner, Determinism determinism) {
  TuneRequest request;
  request.model = backend_of(device.target).cost_model_of(device);
  request.task = task;
  request.target = device.target;
  request.determinism = determinism;
  request.rows = rows;
  request.inner = inner;
  request.effort = Effort::instant;
  return instant_run(request);
}

std::optional<Schedule> predict_schedule(const DeviceInfo& device, const Task& task,
                                         std::int64_t rows, std::int64_t inner,
                                         Determinism determinism) {
  const TuneOutcome found = instant_run(device, task, rows, inner, determinism);
  if (found.schedule == found.default_schedule) return {};
  return found.schedule;
}

}  // namespace grkan
