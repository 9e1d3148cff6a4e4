#include "tuner/starting_points.h"

#include <algorithm>
#include <limits>

#include "core/backend.h"

namespace grkan {

std::vector<Schedule> starting_points(const Task& task, const Target& target) {
  return backend_of(target).starting_points(task, target);
}

std::vector<std::size_t> starting_candidates(const Space& space, std::span<const Schedule> points) {
  const Schedule& standard = space.schedules.front();
  std::vector<std::size_t> chosen;
  for (const Schedule& point : points) {
    std::size_t nearest = 0;
    int least = std::numeric_limits<int>::max();
    for (std::size_t i = 0; i < space.schedules.size(); ++i) {
      const int apart = point.backend->distance_from_start(space.schedules[i], point, standard);
      if (apart >= least) continue;
      least = apart;
      nearest = i;
    }
    if (nearest != 0 && std::find(chosen.begin(), chosen.end(), nearest) == chosen.end()) {
      chosen.push_back(nearest);
    }
  }
  return chosen;
}

}  // namespace grkan
