// How many blocks a multiprocessor holds at once, as the CUDA occupancy calculator counts.
#pragma once

#include <cstddef>

#include "core/gpu_models.h"

namespace grkan {

// What a model's compute capability decides about blocks; from the tables "technical specifications
// per compute capability" of the CUDA programming guide.
struct BlockLimits {
  std::size_t shared_reserved = 0;  // bytes of each block, by the system
  std::size_t shared_opt_in = 0;    // the most of a block
  int blocks = 0;                   // of a multiprocessor
};
BlockLimits block_limits(const GpuModel& model);

// 0: a block does not fit. `threads` >= 1 and `shared_bytes` (static and dynamic) are of a block,
// `registers` >= 1 of a thread.
int resident_blocks(const GpuModel& model, int threads, int registers, std::size_t shared_bytes);

}  // namespace grkan
