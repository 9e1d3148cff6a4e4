// Recording: which calls this process makes, counted while somebody wants to know.
#pragma once

#include <atomic>
#include <cstdint>

#include "python/src/plans.h"

namespace grkan::frameworks {

// The calls that are alike. Also in Python: grkan/_frameworks.py.
struct RecordedCall {
  PlanKey key;
  std::int32_t direction;  // GRKAN_FORWARD or GRKAN_BACKWARD
  std::int32_t gradients;  // that a backward call computed; 0 for forward
  std::int64_t rows;
  std::int64_t inner;
  std::int64_t count;
};

extern std::atomic<int> recordings_under_way;

inline bool is_recording() { return recordings_under_way.load(std::memory_order_relaxed) > 0; }

// Counts a call that was made, on any thread.
void record(const PlanKey& key, std::int32_t direction, std::int32_t gradients, std::int64_t rows,
            std::int64_t inner);

}  // namespace grkan::frameworks
