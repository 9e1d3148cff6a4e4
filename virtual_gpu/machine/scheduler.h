// Runs blocks: which lanes of which warp go on, who waits for whom.
#pragma once

#include <memory>

#include "virtual_gpu/machine/warp.h"

namespace grkan::vgpu {

// A block with room for its threads. One is used for many blocks of a grid, one after another.
std::unique_ptr<Block> make_block(Worker& worker);
// Puts the block at the beginning of the kernel.
void start_block(Worker& worker, Block& block, std::uint64_t linear);

enum class Progress : std::uint8_t { done, slice_over, stuck };
// Runs the block's warps until it is done, about `slice` warp instructions are over, or no warp can
// go on (reported as deadlock; its threads end).
Progress run_block(Worker& worker, Block& block, std::uint64_t slice);
// Reports that the block's threads wait for ever, and ends them.
void give_up(Worker& worker, Block& block, const char* why);

}  // namespace grkan::vgpu
