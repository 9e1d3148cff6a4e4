// Limits that all models share; from the tables "technical specifications per compute capability"
// of the CUDA programming guide. What differs: core/occupancy.h.
#pragma once

#include <cstddef>

#include "core/occupancy.h"

namespace grkan::vgpu::driver {

inline constexpr int kMostThreads = 1024;  // of a block
inline constexpr unsigned kMostGridX = 0x7FFFFFFF;
inline constexpr unsigned kMostGridYZ = 65535;
inline constexpr unsigned kMostBlockZ = 64;
inline constexpr std::size_t kDefaultShared = std::size_t{48} << 10;  // without opting in
inline constexpr int kMostRegisters = 255;                            // of a thread

}  // namespace grkan::vgpu::driver
