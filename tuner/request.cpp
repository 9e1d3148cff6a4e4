#include "tuner/request.h"

#include <limits>
#include <optional>

#include "tuner/effort.h"
#include "tuner/records.h"
#include "tuner/starting_points.h"
#include "tuner/transfer.h"

namespace grkan {

Space request_space(const TuneRequest& r) {
  if (r.schedules.empty()) {
    return enumerate_space(r.task, r.target, r.determinism, r.rows, r.inner);
  }
  return listed_space(r.task, r.target, r.determinism, r.rows, r.inner, r.schedules);
}

namespace {

// What is thought of each candidate: by the model, and by what the device took for other problems.
// Empty where the model says nothing of the default.
std::vector<double> prior_of(const TuneRequest& r, const Space& space) {
  std::vector<double> prior;
  if (r.model == nullptr) return prior;
  const Transfer transfer(transfer_samples(r));
  for (const Schedule& schedule : space.schedules) {
    const std::optional<Prediction> p = r.model->of_schedule(
        {.task = r.task, .schedule = schedule, .rows = r.rows, .inner = r.inner});
    if (!p && prior.empty()) return prior;
    prior.push_back(p ? p->log_cost + transfer.correction(schedule)
                      : std::numeric_limits<double>::infinity());
  }
  return prior;
}

}  // namespace

std::unique_ptr<Strategy> request_strategy(const TuneRequest& request, const Space& space) {
  if (!request.schedules.empty() || request.effort == Effort::exhaustive) {
    return exhaustive_strategy();
  }
  const auto points = starting_points(request.task, request.target);
  return effort_strategy(request.effort, space, starting_candidates(space, points), request.seed,
                         prior_of(request, space));
}

double request_budget(const TuneRequest& request) {
  if (request.budget_seconds > 0) return request.budget_seconds;
  // A prediction takes the same candidates on a slow machine as on a fast one.
  if (request.gpu) return std::numeric_limits<double>::infinity();
  return search_options(request.effort).budget_seconds;
}

}  // namespace grkan
