#include <bit>

#include "virtual_gpu/machine/warp_run.h"

namespace grkan::vgpu {
namespace {

std::uint32_t wanted(const Block& block, const Barrier& barrier) {
  return barrier.expected != 0 ? barrier.expected : block.threads - block.exited;
}

void finish_reduction(Warp& w, const Instruction& i, const Barrier& barrier) {
  if (i.mode == 0) return;
  if (i.mode == 1) {
    each_lane_of(w.mask, [&](int lane) { slot<std::uint32_t>(w, i.d)[lane] = barrier.count; });
    return;
  }
  const bool value = i.mode == 2 ? barrier.all : barrier.any;
  std::uint32_t& p = predicate(w, i.d);
  p = value ? p | w.mask : p & ~w.mask;
}

}  // namespace

void release_barriers(Worker& worker, Block& block) {
  for (std::size_t n = 0; n < block.barriers.size(); ++n) {
    Barrier& barrier = block.barriers[n];
    if (barrier.arrived == 0 || barrier.arrived < wanted(block, barrier)) continue;
    for (Warp& w : block.warps) {
      std::uint32_t here = 0;
      each_lane_of(w.at_barrier, [&](int lane) {
        if (w.barrier[std::size_t(lane)] == n) here |= 1U << lane;
      });
      while (here != 0) {
        const std::uint32_t pc = w.pcs[std::size_t(std::countr_zero(here))];
        std::uint32_t lanes = 0;
        each_lane_of(here, [&](int lane) {
          if (w.pcs[std::size_t(lane)] == pc) lanes |= 1U << lane;
        });
        w.mask = lanes;
        finish_reduction(w, worker.program->code[pc], barrier);
        set_pcs(w, lanes, pc + 1);
        w.at_barrier &= ~lanes;
        here &= ~lanes;
      }
    }
    barrier = Barrier{};
    block.shared_races.barrier();
    if (worker.causality != nullptr) worker.causality->barrier(block.clock);
    ++worker.changes;
  }
}

}  // namespace grkan::vgpu
