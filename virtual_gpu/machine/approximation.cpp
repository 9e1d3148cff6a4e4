#include "virtual_gpu/machine/approximation.h"

namespace grkan::vgpu {
namespace {

// Sebastiano Vigna's splitmix64 finaliser.
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15U;
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9U;
  value = (value ^ value >> 27) * 0x94D049BB133111EBU;
  return value ^ value >> 31;
}

}  // namespace

void perturb(Warp& warp, const Instruction& instruction) {
  auto* results = slot<std::uint32_t>(warp, instruction.d);
  const auto most = std::uint64_t(warp.worker->approximation_ulps);
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((warp.mask >> lane & 1U) == 0) continue;
    const std::uint32_t bits = results[lane];
    const auto magnitude = std::int64_t(bits & 0x7FFFFFFFU);
    if (magnitude == 0 || magnitude >= 0x7F800000) continue;
    const std::uint64_t random = mixed(warp.worker->seed ^ mixed(bits));
    const std::int64_t moved =
        magnitude + std::int64_t(random % (2 * most + 1)) - std::int64_t(most);
    // A normal number stays one: with .ftz there is nothing between it and zero.
    if (moved < 0x00800000 || moved >= 0x7F800000) continue;
    results[lane] = (bits & 0x80000000U) | std::uint32_t(moved);
  }
}

}  // namespace grkan::vgpu
