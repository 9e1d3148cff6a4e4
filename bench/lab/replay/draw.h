// Which candidates of a space a table has where the space is too large for all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "core/schedule.h"

namespace grkan {

// The default, which is the first, and others by chance: `count` in all, the same with every
// library. All, in their order, where there are no more.
inline std::vector<Schedule> draw(std::vector<Schedule> schedules, std::size_t count,
                                  std::uint64_t seed) {
  if (schedules.size() <= count) return schedules;
  std::mt19937_64 random(seed);
  for (std::size_t i = schedules.size() - 1; i > 1; --i) {
    std::swap(schedules[i], schedules[1 + random() % i]);
  }
  schedules.resize(count);
  return schedules;
}

}  // namespace grkan
