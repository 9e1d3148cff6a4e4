#include "virtual_gpu/launch_shadow.h"

#include <algorithm>

#include "core/error.h"
#include "virtual_gpu/bits.h"

namespace grkan::vgpu {

LaunchShadow::Maps LaunchShadow::of(const Allocation& allocation) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[allocation.address];
  if (entry.read == nullptr) {
    // calloc gives large blocks as pages that cost nothing until touched.
    const std::size_t words = allocation.size / 64 + 2;
    const auto make = [&] {
      auto* bits = static_cast<std::uint64_t*>(std::calloc(words, sizeof(std::uint64_t)));
      if (bits == nullptr) {
        fail(Status::out_of_memory, "no memory for the checks of {}", allocation.describe());
      }
      return bits;
    };
    entry.size = allocation.size;
    entry.read.reset(make());
    entry.written.reset(make());
  }
  return {entry.read.get(), entry.written.get()};
}

std::uint64_t LaunchShadow::first_conflict(std::uint64_t first, std::uint64_t last) {
  const std::lock_guard lock(mutex_);
  for (const auto& [address, entry] : entries_) {
    const std::uint64_t from = std::max(first, address);
    const std::uint64_t to = std::min(last, address + entry.size - 1);
    if (from > to) continue;
    std::uint64_t found = 0;
    each_word(from - address, to - from + 1, [&](std::size_t index, std::uint64_t mask) {
      const std::uint64_t both = entry.read[index] & entry.written[index] & mask;
      if (both != 0) {
        found = address + index * 64 + std::uint64_t(__builtin_ctzll(both));
      }
      return both == 0;
    });
    if (found != 0) return found;
  }
  return 0;
}

}  // namespace grkan::vgpu
