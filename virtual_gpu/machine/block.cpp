// A block at the beginning of a kernel.
#include <algorithm>
#include <cstring>

#include "virtual_gpu/machine/scheduler.h"

namespace grkan::vgpu {
namespace {

// Special registers of a thread.
std::uint64_t special_value(const Worker& worker, const Warp& w, int lane, Special special) {
  const Dim3 b = worker.block;
  const auto thread = std::uint32_t(w.number * kLanes + lane);
  const Dim3 c = w.block->index;
  switch (special) {
    case Special::tid_x:
      return thread % b.x;
    case Special::tid_y:
      return thread / b.x % b.y;
    case Special::tid_z:
      return thread / b.x / b.y;
    case Special::ntid_x:
      return b.x;
    case Special::ntid_y:
      return b.y;
    case Special::ntid_z:
      return b.z;
    case Special::ctaid_x:
      return c.x;
    case Special::ctaid_y:
      return c.y;
    case Special::ctaid_z:
      return c.z;
    case Special::nctaid_x:
      return worker.grid.x;
    case Special::nctaid_y:
      return worker.grid.y;
    case Special::nctaid_z:
      return worker.grid.z;
    case Special::laneid:
      return std::uint64_t(lane);
    case Special::warpid:
      return std::uint64_t(w.number);
    case Special::nwarpid:
      return w.block->warps.size();
    case Special::lanemask_eq:
      return 1U << lane;
    case Special::lanemask_lt:
      return (1U << lane) - 1;
    case Special::lanemask_le:
      return (std::uint64_t{2} << lane) - 1;
    case Special::lanemask_gt:
      return ~((std::uint64_t{2} << lane) - 1) & kAllLanes;
    case Special::lanemask_ge:
      return ~((std::uint64_t{1} << lane) - 1) & kAllLanes;
    case Special::smid:
      return w.block->linear % 16;
    case Special::nsmid:
      return 16;
    case Special::gridid:
      return 1;
    case Special::dynamic_shared:
      return worker.dynamic_shared;
    case Special::total_shared:
      return worker.shared_bytes;
  }
  return 0;
}

void store_lane(Warp& w, std::uint32_t at, int size, int lane, std::uint64_t value) {
  std::memcpy(w.registers + at + std::size_t(lane) * std::size_t(size), &value, std::size_t(size));
}

}  // namespace

std::unique_ptr<Block> make_block(Worker& worker) {
  const Program& p = *worker.program;
  auto block = std::make_unique<Block>();
  block->threads = std::uint32_t(worker.block.count());
  const std::size_t warps = (block->threads + kLanes - 1) / kLanes;
  block->warps.resize(warps);
  block->registers.resize(warps * p.register_bytes + 64);
  const auto misaligned = reinterpret_cast<std::uintptr_t>(block->registers.data()) % 64;
  block->aligned_registers = block->registers.data() + (64 - misaligned) % 64;
  block->shared.resize(worker.shared_bytes);
  block->local.resize(warps * kLanes * p.local_bytes);
  if (worker.check_shared_race || worker.check_uninitialised) {
    block->shared_races.watch(worker.shared_bytes, p.shared_granule,
                              {worker.check_shared_race, worker.check_uninitialised});
  }
  for (std::size_t n = 0; n < warps; ++n) {
    Warp& w = block->warps[n];
    w.registers = block->aligned_registers + n * p.register_bytes;
    w.block = block.get();
    w.worker = &worker;
    w.number = int(n);
    for (const Program::Constant& c : p.constants) {
      if (c.size == 0) {
        predicate(w, c.slot) = c.bits != 0 ? kAllLanes : 0;
        continue;
      }
      for (int lane = 0; lane < kLanes; ++lane) store_lane(w, c.slot, c.size, lane, c.bits);
    }
  }
  return block;
}

void start_block(Worker& worker, Block& block, std::uint64_t linear) {
  const Program& p = *worker.program;
  block.linear = linear;
  block.index = {std::uint32_t(linear % worker.grid.x),
                 std::uint32_t(linear / worker.grid.x % worker.grid.y),
                 std::uint32_t(linear / worker.grid.x / worker.grid.y)};
  block.barriers.fill(Barrier{});
  block.exited = 0;
  block.done = false;
  block.shared_races.start();
  block.clock.start(linear, worker.causality == nullptr ? 0 : block.threads);
  std::fill(block.shared.begin(), block.shared.end(), std::byte{0});
  std::fill(block.local.begin(), block.local.end(), std::byte{0});
  for (Warp& w : block.warps) {
    const std::uint32_t left = block.threads - std::uint32_t(w.number) * kLanes;
    w.lanes = left >= kLanes ? kAllLanes : (1U << left) - 1;
    w.exited = w.at_barrier = w.at_sync = 0;
    w.pcs.fill(p.entry);
    w.sync_epoch = 0;
    w.backward = 0;
    w.prefer_highest = false;
    w.executed = 0;
    std::memset(w.registers, 0, p.variable_bytes);
    for (const Program::SpecialSlot& s : p.specials) {
      for (int lane = 0; lane < kLanes; ++lane) {
        store_lane(w, s.slot, s.size, lane, special_value(worker, w, lane, s.special));
      }
    }
  }
}

}  // namespace grkan::vgpu
