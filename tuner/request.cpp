#include "tuner/request.h"

#include <limits>

#include "tuner/effort.h"
#include "tuner/starting_points.h"

namespace grkan {

Space request_space(const TuneRequest& r) {
  if (r.schedules.empty()) {
    return enumerate_space(r.task, r.target, r.determinism, r.rows, r.inner);
  }
  return listed_space(r.task, r.target, r.determinism, r.rows, r.inner, r.schedules);
}

std::unique_ptr<Strategy> request_strategy(const TuneRequest& request, const Space& space) {
  if (!request.schedules.empty()) return exhaustive_strategy();
  const auto points = starting_points(request.task, request.target);
  return effort_strategy(request.effort, space, starting_candidates(space, points), request.seed);
}

double request_budget(const TuneRequest& request) {
  if (request.budget_seconds > 0) return request.budget_seconds;
  // A prediction takes the same candidates on a slow machine as on a fast one.
  if (request.gpu) return std::numeric_limits<double>::infinity();
  return search_options(request.effort).budget_seconds;
}

}  // namespace grkan
