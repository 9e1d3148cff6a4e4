// Approximate results, off by a few units in the last place.
#pragma once

#include "virtual_gpu/machine/warp.h"

namespace grkan::vgpu {

// Moves the f32 results in slot d of the lanes of the mask by at most approximation_ulps, by the
// seed and the value. Zeros, infinities, NaN and what would become one of them stay.
void perturb(Warp& warp, const Instruction& instruction);

}  // namespace grkan::vgpu
