// Space: every schedule worth looking at for a task on a target.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/schedule.h"
#include "core/target.h"
#include "core/task.h"

namespace grkan {

struct Space {
  std::vector<Schedule> schedules;  // legal, none twice; the default first, then the nearer to it
                                    // (fewer parameters changed) first
  std::int64_t tried = 0;           // combinations looked at, but for the default
  std::map<std::string, std::int64_t> left_out;  // how many of them were left out, by reason

  bool operator==(const Space&) const = default;
};

// The values in the backend's table combined, without what is illegal and what can't differ
// from or win against another at these rows: all shapes with the default's other parameters, each
// also with one of those changed, and the default's shape with all combinations of them (the full
// product has millions). `rows` and `inner` are where it will be timed.
Space enumerate_space(const Task& task, const Target& target, Determinism determinism,
                      std::int64_t rows, std::int64_t inner = 1);

// The same, or where that is a large one, `most` of it by chance, which takes a millisecond: the
// default first, then the nearer to it first.
Space sample_space(const Task& task, const Target& target, Determinism determinism,
                   std::int64_t rows, std::int64_t inner, std::size_t most, std::uint64_t seed);

// The default and those of `schedules` that are legal, in their order, none twice.
Space listed_space(const Task& task, const Target& target, Determinism determinism,
                   std::int64_t rows, std::int64_t inner, const std::vector<Schedule>& schedules);

// The reason without its numbers, so that reasons that differ only in them are one: "spills N bytes
// a thread".
std::string without_numbers(std::string_view reason);

// The values of each schedule's parameters, as a strategy compares them.
std::vector<std::vector<int>> coordinates(const Space& space);

}  // namespace grkan
