#include "core/occupancy.h"

#include <algorithm>

namespace grkan {
namespace {

constexpr int kWarp = 32;
// How finely each is handed out.
constexpr int kRegistersUnit = 256;  // for a warp
constexpr int kWarpsUnit = 4;

std::size_t rounded_up(std::size_t value, std::size_t to) { return (value + to - 1) / to * to; }

}  // namespace

BlockLimits block_limits(const GpuModel& model) {
  const auto shared = std::size_t(model.shared_bytes_per_multiprocessor.value);
  switch (model.compute_capability) {
    case 75:
      return {.shared_reserved = 0, .shared_opt_in = shared, .blocks = 16};
    case 86:
      return {.shared_reserved = 1024, .shared_opt_in = shared - 1024, .blocks = 16};
    case 89:
    case 120:
    case 121:
      return {.shared_reserved = 1024, .shared_opt_in = shared - 1024, .blocks = 24};
    default:
      return {.shared_reserved = 1024, .shared_opt_in = shared - 1024, .blocks = 32};
  }
}

int resident_blocks(const GpuModel& model, int threads, int registers, std::size_t shared_bytes) {
  const BlockLimits limits = block_limits(model);
  const int warps = (threads + kWarp - 1) / kWarp;
  const int resident_warps = int(model.threads_per_multiprocessor.value) / kWarp;
  int blocks = std::min(limits.blocks, resident_warps / warps);
  const std::size_t shared_unit = model.compute_capability < 80 ? 256 : 128;
  const std::size_t shared = rounded_up(shared_bytes + limits.shared_reserved, shared_unit);
  if (shared != 0) {
    const auto all = std::size_t(model.shared_bytes_per_multiprocessor.value);
    blocks = int(std::min(std::size_t(blocks), all / shared));
  }
  const auto of_warp = int(rounded_up(std::size_t(registers) * kWarp, kRegistersUnit));
  const int register_warps =
      int(model.registers_per_multiprocessor.value) / of_warp / kWarpsUnit * kWarpsUnit;
  return std::min(blocks, register_warps / warps);
}

}  // namespace grkan
