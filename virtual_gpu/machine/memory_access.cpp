#include "virtual_gpu/machine/memory_access.h"

#include <fmt/format.h>

#include <bit>

#include "virtual_gpu/machine/memory_spaces.h"

namespace grkan::vgpu {
namespace {

alignas(64) constinit std::byte zeros[64] = {};

}  // namespace

void resolve(Space space, Warp& warp, const Instruction& instruction, const Access& access,
             std::byte** pointers) {
  if (access.kind == AccessKind::store) ++warp.worker->changes;
  switch (space) {
    case Space::shared:
      resolve_shared(warp, instruction, access, pointers);
      break;
    case Space::local:
      resolve_local(warp, instruction, access, pointers);
      break;
    case Space::parameter:
      resolve_parameter(warp, instruction, access, pointers);
      break;
    default:
      resolve_global(warp, instruction, access, pointers);
      break;
  }
}

std::byte* nowhere(Worker& worker, AccessKind kind) {
  if (kind == AccessKind::load) return zeros;
  worker.scratch.fill(std::byte{0});
  return worker.scratch.data();
}

void check_alignment(Warp& w, const Instruction& i, const Access& access, const char* space) {
  if (!w.worker->check_misaligned || access.bytes == 1) return;
  std::uint64_t bits = 0;
  each_lane_of(w.mask, [&](int lane) { bits |= access.addresses[lane]; });
  const auto wrong = std::uint64_t(access.bytes - 1);
  if ((bits & wrong) == 0) return;
  int first = std::countr_zero(w.mask);
  while ((w.mask >> first & 1U) == 0 || (access.addresses[first] & wrong) == 0) ++first;
  w.worker->report(Check::misaligned, w, i, first, [&] {
    return fmt::format("{} {} bytes at {}{:#x}, which is no multiple of {}", verb(access.kind),
                       access.bytes, space, access.addresses[first], access.bytes);
  });
}

std::uint32_t check_size(Warp& w, const Instruction& i, const Access& access, std::byte** pointers,
                         std::size_t size, const char* name) {
  const auto bytes = std::size_t(access.bytes);
  std::uint32_t lost = 0;
  each_lane_of(w.mask, [&](int lane) {
    const std::uint64_t address = access.addresses[lane];
    if (address >= size || size - address < bytes) lost |= 1U << lane;
  });
  if (lost == 0) return 0;
  const int lane = std::countr_zero(lost);
  w.worker->report(Check::out_of_bounds, w, i, lane, [&] {
    return fmt::format("{} {} bytes at {} {:#x}; there are {} bytes", verb(access.kind), bytes,
                       name, access.addresses[lane], size);
  });
  each_lane_of(lost, [&](int l) { pointers[l] = nowhere(*w.worker, access.kind); });
  return lost;
}

void synchronise(Warp& warp, const Instruction& instruction, AccessKind kind, int lane,
                 std::uint64_t address, bool reads, bool writes) {
  Causality* causality = warp.worker->causality;
  if (causality == nullptr || !instruction.strong) return;
  BlockClock& clock = warp.block->clock;
  const auto thread = std::uint32_t(warp.number * kLanes + lane);
  if (reads) causality->read(clock, thread, address);
  if (writes && instruction.releases) causality->release(clock, thread);
  if (writes) causality->write(clock, thread, address, kind == AccessKind::atomic);
  if (reads && instruction.acquires) {
    causality->acquire(clock, thread, FenceKind::acquire_release);
  }
}

Space space_of(std::uint64_t address) {
  switch (address / kWindow) {
    case kSharedWindow / kWindow:
      return Space::shared;
    case kLocalWindow / kWindow:
      return Space::local;
    case kParameterWindow / kWindow:
      return Space::parameter;
    default:
      return Space::global;
  }
}

std::uint64_t window_of(Space space) {
  switch (space) {
    case Space::shared:
      return kSharedWindow;
    case Space::local:
      return kLocalWindow;
    case Space::parameter:
      return kParameterWindow;
    default:
      return 0;
  }
}

void end_threads(Warp& warp, std::uint32_t lanes) {
  warp.exited |= lanes;
  warp.mask &= ~lanes;
  warp.end = 0;
  warp.block->exited += std::uint32_t(std::popcount(lanes));
}

}  // namespace grkan::vgpu
