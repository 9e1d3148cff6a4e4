#include "virtual_gpu/checks/launch_shadow.h"

#include <algorithm>

#include "virtual_gpu/checks/bits.h"

namespace grkan::vgpu {

LaunchShadow::Maps LaunchShadow::of(std::uint64_t address, std::size_t size) {
  const std::lock_guard lock(mutex_);
  const Entry& entry = entries_.try_emplace(address, size).first->second;
  return {entry.read.data(), entry.written.data()};
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
