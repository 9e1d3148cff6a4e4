// The parts of resolve(), a file for each space.
#pragma once

#include "virtual_gpu/machine/memory_access.h"

namespace grkan::vgpu {

void resolve_global(Warp& warp, const Instruction& instruction, const Access& access,
                    std::byte** pointers);
void resolve_shared(Warp& warp, const Instruction& instruction, const Access& access,
                    std::byte** pointers);
void resolve_local(Warp& warp, const Instruction& instruction, const Access& access,
                   std::byte** pointers);
void resolve_parameter(Warp& warp, const Instruction& instruction, const Access& access,
                       std::byte** pointers);

// Where an access goes that nothing backs.
std::byte* nowhere(Worker& worker, AccessKind kind);
// Reports an address that is no multiple of the access. `space`: before its number, "shared ".
void check_alignment(Warp& warp, const Instruction& instruction, const Access& access,
                     const char* space);
// Reports lanes beyond memory of a fixed size, a block's or a thread's, and sends them nowhere.
// These lanes.
std::uint32_t check_size(Warp& warp, const Instruction& instruction, const Access& access,
                         std::byte** pointers, std::size_t size, const char* name);

}  // namespace grkan::vgpu
