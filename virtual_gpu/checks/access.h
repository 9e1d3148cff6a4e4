// A warp's access to memory, as checks see it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace grkan::vgpu {

enum class AccessKind : std::uint8_t { load, store, atomic };
const char* verb(AccessKind kind);  // "reads"

struct Access {
  const std::uint64_t* addresses = nullptr;  // of each lane, without the window of its space
  int bytes = 0;                             // of a lane
  AccessKind kind = AccessKind::load;
  // Of a store: what lane l writes, at values + l * bytes; null when not at hand. A write of what
  // is there already is no race.
  const std::byte* values = nullptr;
};

}  // namespace grkan::vgpu
