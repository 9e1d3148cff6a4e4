#include "virtual_gpu/machine/scheduler.h"

#include <algorithm>
#include <bit>
#include <random>

#include "virtual_gpu/machine/memory_access.h"
#include "virtual_gpu/machine/warp_run.h"

namespace grkan::vgpu {
namespace {

constexpr std::uint64_t kWarpSlice = 20'000;  // warp instructions

}  // namespace

Progress run_block(Worker& worker, Block& block, std::uint64_t slice) {
  std::vector<std::size_t> order(block.warps.size());
  for (std::size_t n = 0; n < order.size(); ++n) order[n] = n;
  std::minstd_rand random{std::uint32_t(worker.seed * 2654435761U + block.linear + 1)};
  if (worker.seed != 0) std::shuffle(order.begin(), order.end(), random);
  std::uint64_t executed = 0;
  while (block.exited != block.threads) {
    bool moved = false;
    for (const std::size_t n : order) {
      Warp& w = block.warps[n];
      const std::uint64_t before = w.executed;
      // With a seed, warps also stop at places that differ.
      const std::uint64_t budget = worker.seed == 0 ? kWarpSlice : 1 + random() % kWarpSlice;
      moved = run_warp(worker, w, budget) || moved;
      release_barriers(worker, block);
      executed += w.executed - before;
    }
    if (!moved && block.exited != block.threads) {
      give_up(worker, block, "waits at a barrier that the others never reach");
      return Progress::stuck;
    }
    if (executed >= slice && block.exited != block.threads) return Progress::slice_over;
  }
  block.done = true;
  return Progress::done;
}

void give_up(Worker& worker, Block& block, const char* why) {
  bool reported = false;
  for (Warp& w : block.warps) {
    const std::uint32_t alive = w.lanes & ~w.exited;
    if (alive == 0) continue;
    if (!reported) {
      reported = true;
      const int lane = std::countr_zero(alive);
      const std::uint32_t pc =
          std::min(w.pcs[std::size_t(lane)], std::uint32_t(worker.program->code.size() - 1));
      worker.report(Check::deadlock, w, worker.program->code[pc], lane,
                    [&] { return std::string(why); });
    }
    end_threads(w, alive);
  }
  block.done = true;
}

}  // namespace grkan::vgpu
