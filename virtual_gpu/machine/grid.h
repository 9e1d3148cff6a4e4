// Runs the blocks of a grid.
#pragma once

#include <vector>

#include "virtual_gpu/machine/warp.h"

namespace grkan::vgpu {

// Shares `blocks` out to the workers, one host thread each: in the order of their numbers, or
// shuffled by a seed that is not 0. Blocks of a program that communicates take turns on the first
// worker, so that every run is the same. Throws what a worker threw.
void run_grid(std::vector<Worker>& workers, std::uint64_t blocks, std::uint64_t seed);

}  // namespace grkan::vgpu
