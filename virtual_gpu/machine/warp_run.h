// Parts of run_block(): one warp, and the barriers of a block.
#pragma once

#include "virtual_gpu/machine/warp.h"

namespace grkan::vgpu {

// Runs a warp for about `budget` instructions; true when something was executed.
bool run_warp(Worker& worker, Warp& warp, std::uint64_t budget);
// Lets everyone go who waits at a barrier that is full.
void release_barriers(Worker& worker, Block& block);
// Where these lanes go on.
void set_pcs(Warp& warp, std::uint32_t lanes, std::uint32_t pc);

}  // namespace grkan::vgpu
