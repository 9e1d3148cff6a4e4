// What a model's compute capability decides beyond core/gpu_models.h; from the tables "technical
// specifications per compute capability" of the CUDA programming guide.
#pragma once

#include <cstddef>

#include "core/gpu_models.h"

namespace grkan::vgpu::driver {

inline constexpr int kMostThreads = 1024;  // of a block
inline constexpr unsigned kMostGridX = 0x7FFFFFFF;
inline constexpr unsigned kMostGridYZ = 65535;
inline constexpr unsigned kMostBlockZ = 64;
inline constexpr std::size_t kDefaultShared = std::size_t{48} << 10;  // without opting in
inline constexpr int kMostRegisters = 255;                            // of a thread

struct Limits {
  std::size_t shared_reserved = 0;  // of each block, by the system
  std::size_t shared_opt_in = 0;    // the most of a block
  int blocks = 0;                   // of a multiprocessor
};
Limits limits_of(const GpuModel& model);

}  // namespace grkan::vgpu::driver
