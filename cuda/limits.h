// What CUDA allows, as far as schedules depend on it.
#pragma once

#include <cstdint>

#include "core/task.h"
#include "cuda/schedule.h"

namespace grkan {

inline constexpr std::int64_t kMostThreads = 1024;   // of a block
inline constexpr std::int64_t kSharedBytes = 49152;  // static shared memory of a block
inline constexpr int kProgrammaticArchitecture = 90;
inline constexpr int kPackedArchitecture = 100;      // f32x2
inline constexpr int kWideAccessArchitecture = 100;  // 32 bytes at once
// Blocks a multiprocessor that are tried, and that a workspace is enough for.
inline constexpr int kMostBlocks = 16;

// Shared memory of a block: a double for each thread and sum; last_block also a word.
inline std::int64_t cuda_shared_bytes(const Task& task, const CudaSchedule& schedule) {
  const bool last = schedule.sums == CudaSchedule::last_block && task.sum_terms() > 0;
  return std::int64_t{task.sum_terms()} * schedule.threads() * 8 + (last ? 8 : 0);
}

}  // namespace grkan
