// Slots: where a function's registers lie in a warp's register file. Registers that live within one
// straight piece of code share slots, so that what a warp touches stays in the first cache.
#pragma once

#include <cstdint>
#include <vector>

#include "virtual_gpu/ptx/ptx.h"

namespace grkan::vgpu {

// Bytes of a slot: 32 lanes; a predicate takes 4 bytes.
std::uint32_t slot_bytes(PtxType type);

// The slot of each register of the function, from `begin` on; `begin` becomes their end.
std::vector<std::uint32_t> assign_slots(const PtxFunction& function, std::uint32_t& begin);

}  // namespace grkan::vgpu
