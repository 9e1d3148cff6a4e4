// Shards: a list of problems cut into parts that machines tune side by side and that are merged
// afterwards (grkan cache merge).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tuner/problem_list.h"

namespace grkan {

struct Shard {
  std::int64_t index = 1;  // from 1
  std::int64_t count = 1;
};

// "2/4"; throws invalid_argument.
Shard parse_shard(const std::string& text);

// What tuning an entry costs beside others: the elements of one call, and what compiling and
// checking cost whatever the size.
double estimated_cost(const ListedTask& listed);

// The shard's part of the list, in the list's order. Every entry is in exactly one of the shards;
// all sizes of a task are in the same one, so that its kernels are compiled once. The shards cost
// about the same, and the order of the list does not matter. Empty where there are more shards than
// tasks.
std::vector<ListedTask> take_shard(const std::vector<ListedTask>& list, const Shard& shard);

}  // namespace grkan
