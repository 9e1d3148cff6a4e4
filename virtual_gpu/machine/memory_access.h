// Where the addresses of a warp's memory access lead, with the checks and counts of each space.
#pragma once

#include <cstdint>

#include "virtual_gpu/checks/access.h"
#include "virtual_gpu/machine/warp.h"

namespace grkan::vgpu {

// Fills `pointers` for the lanes of the mask. Where nothing backs an address it is reported, loads
// get zeros and stores a place that no one reads; their threads end (Warp::mask loses them).
void resolve(Space space, Warp& warp, const Instruction& instruction, const Access& access,
             std::byte** pointers);

// The fast path for 32 neighbouring lanes in global memory: one pointer for all, or null when the
// access needs resolve(). A store writes the same at `copy`, unless it is null.
struct Contiguous {
  std::byte* data = nullptr;
  std::byte* copy = nullptr;
};
Contiguous resolve_contiguous(Warp& warp, const Instruction& instruction,
                              const std::uint64_t* addresses, int bytes, bool store);

// What a strong access of a lane learns from other blocks, where it reads, and tells them, where it
// writes. Nothing for a weak one.
void synchronise(Warp& warp, const Instruction& instruction, AccessKind kind, int lane,
                 std::uint64_t address, bool reads, bool writes);

// The space of a generic address, and what to take off it.
Space space_of(std::uint64_t address);
std::uint64_t window_of(Space space);

// Ends these lanes' threads.
void end_threads(Warp& warp, std::uint32_t lanes);

}  // namespace grkan::vgpu
