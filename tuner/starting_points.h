// Starting points: schedules that were among the fastest of other problems, which a search looks at
// before it learns from its own times. A few fit most: of eight, one is within 5 % of the best for
// 56 of 64 tables that they were not chosen from (bench_starting_points).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/schedule.h"
#include "core/target.h"
#include "core/task.h"
#include "tuner/space.h"

namespace grkan {

// The best first; empty where none are known. What depends on the problem stands for the default's.
std::vector<Schedule> starting_points(const Task& task, const Target& target);

// For each point the candidate that is most like it, the first of equals; none twice, and not the
// default.
std::vector<std::size_t> starting_candidates(const Space& space, std::span<const Schedule> points);

}  // namespace grkan
