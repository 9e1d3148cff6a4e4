// Space: every schedule worth looking at for a task on a target.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/schedule.h"
#include "core/target.h"
#include "core/task.h"

namespace grkan {

struct Space {
  std::vector<Schedule> schedules;  // legal, none twice; the default first, then the nearer to it
                                    // (fewer parameters changed) first
  std::map<std::string, std::int64_t> left_out;  // how many of the full product, by reason

  bool operator==(const Space&) const = default;
};

// The product of the values in core/schedule.h's tables, without what is illegal and what can't
// differ from or win against another at these rows. `rows` and `inner` are where it will be timed.
Space enumerate_space(const Task& task, const Target& target, Determinism determinism,
                      std::int64_t rows, std::int64_t inner = 1);

// The schedules that differ from `candidate` in one parameter, in order.
std::vector<std::size_t> neighbours(const Space& space, std::size_t candidate);

}  // namespace grkan
