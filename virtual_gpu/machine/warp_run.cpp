#include "virtual_gpu/machine/warp_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "virtual_gpu/machine/memory_access.h"

namespace grkan::vgpu {
namespace {

constexpr std::uint32_t kNowhere = 0xFFFFFFFFU;
// Backward branches of one group of lanes while others wait, after which those ahead get a turn.
constexpr std::uint32_t kRounds = 1000;

// One warp for a while. The group is the lanes that share an address.
class WarpRun {
 public:
  WarpRun(Worker& worker, Warp& warp)
      : worker_(worker),
        w_(warp),
        code_(worker.program->code.data()),
        runs_(worker.program->runs.data()) {}

  // True when something was executed.
  bool run(std::uint64_t budget) {
    const std::uint64_t begin = w_.executed;
    leave_ = false;
    while (!leave_ && choose()) {
      run_group(begin + budget);
      if (w_.executed - begin >= budget) break;
    }
    return w_.executed != begin;
  }

 private:
  // The lanes that run next, their address, and where the next lanes ahead stand.
  bool choose() {
    std::uint32_t runnable = w_.runnable();
    if (runnable == 0) {
      if (w_.at_sync == 0) return false;
      // Nobody else of the warp can come: those who wait go on without.
      forced_ = true;
      runnable = w_.at_sync;
    }
    std::uint32_t lowest = kNowhere;
    std::uint32_t highest = 0;
    each_lane_of(runnable, [&](int lane) {
      lowest = std::min(lowest, w_.pcs[std::size_t(lane)]);
      highest = std::max(highest, w_.pcs[std::size_t(lane)]);
    });
    const std::uint32_t chosen = w_.prefer_highest ? highest : lowest;
    w_.prefer_highest = false;
    w_.mask = 0;
    stop_ = kNowhere;
    each_lane_of(runnable, [&](int lane) {
      const std::uint32_t pc = w_.pcs[std::size_t(lane)];
      if (pc == chosen) {
        w_.mask |= 1U << lane;
      } else if (pc > chosen) {
        stop_ = std::min(stop_, pc);
      }
    });
    others_ = runnable != w_.mask;
    w_.at_sync &= ~w_.mask;
    w_.pc = chosen;
    return true;
  }

  void keep() { set_pcs(w_, w_.mask, w_.pc); }

  // Straight pieces and what ends them, until the group changes.
  void run_group(std::uint64_t until) {
    for (grouped_ = true; grouped_;) {
      const std::uint32_t begin = w_.pc;
      if (begin == stop_) return keep();
      const std::uint32_t lanes = w_.mask;
      const std::uint32_t run_end = runs_[begin];
      w_.end = std::min(run_end, stop_);
      std::uint32_t pc = begin;
      for (; pc < w_.end; ++pc) code_[pc].handler(w_, code_[pc]);
      count(begin, pc, lanes);
      w_.pc = pc;
      if (w_.mask == 0) return;  // all threads of the group ended
      if (pc == stop_) return keep();
      if (pc != run_end) continue;  // some ended
      flow(code_[pc], until);
    }
  }

  void count(std::uint32_t begin, std::uint32_t end, std::uint32_t lanes) {
    const auto n = std::uint64_t(std::popcount(lanes));
    worker_.lane_steps[begin] += n;
    worker_.lane_steps[end] -= n;
    worker_.warp_steps[begin] += 1;
    worker_.warp_steps[end] -= 1;
    w_.executed += end - begin;
  }

  [[nodiscard]] std::uint32_t guarded(const Instruction& i) {
    if (i.guard == kNoSlot) return w_.mask;
    const std::uint32_t p = predicate(w_, i.guard);
    return w_.mask & (i.guard_negated ? ~p : p);
  }

  void flow(const Instruction& i, std::uint64_t until) {
    count(w_.pc, w_.pc + 1, w_.mask);
    const std::uint32_t on = guarded(i);
    if (on == 0) {
      ++w_.pc;
      return;
    }
    switch (i.flow) {
      case Flow::branch:
        return branch(on, i.target, until);
      case Flow::branch_table:
        return jump(i, on);
      case Flow::call:
        each_lane_of(on, [&](int lane) { slot<std::uint32_t>(w_, i.b)[lane] = w_.pc + 1; });
        return branch(on, i.target, until);
      case Flow::ret:
        return go_back(i, on);
      case Flow::trap:
        note_trap(i, on);
        [[fallthrough]];
      case Flow::exit:
        return leave_kernel(on);
      case Flow::barrier:
      case Flow::barrier_arrive:
        return barrier(i, on);
      case Flow::warp_sync:
        return meet(i, on);
      case Flow::yield:
        ++w_.pc;
        leave_ = true;
        grouped_ = false;
        return keep();
      case Flow::plain:
        break;
    }
  }

  // The group splits: `on` go to `target`, the others to the next instruction.
  void split(std::uint32_t on, std::uint32_t target) {
    set_pcs(w_, w_.mask & ~on, w_.pc + 1);
    set_pcs(w_, on, target);
    grouped_ = false;
  }

  void branch(std::uint32_t on, std::uint32_t target, std::uint64_t until) {
    const bool backward = target <= w_.pc;
    if (on != w_.mask) {
      split(on, target);
    } else {
      w_.pc = target;
      if (target > stop_ || w_.executed >= until) {
        grouped_ = false;
        keep();
      }
    }
    if (!backward) return;
    if (!others_ && on == w_.mask) return;
    if (++w_.backward < kRounds) {
      // The lanes that were let ahead give way again.
      if (grouped_ && stop_ == kNowhere && others_) {
        grouped_ = false;
        keep();
      }
      return;
    }
    w_.backward = 0;
    w_.prefer_highest = true;
    if (grouped_) {
      grouped_ = false;
      keep();
    }
  }

  void jump(const Instruction& i, std::uint32_t on) {
    const auto& table = worker_.program->branch_tables[std::size_t(i.offset)];
    set_pcs(w_, w_.mask & ~on, w_.pc + 1);
    std::uint32_t lost = 0;
    each_lane_of(on, [&](int lane) {
      const std::uint32_t index = slot<std::uint32_t>(w_, i.a)[lane];
      if (index < table.size()) {
        w_.pcs[std::size_t(lane)] = table[index];
      } else {
        lost |= 1U << lane;
      }
    });
    grouped_ = false;
    if (lost == 0) return;
    const int lane = std::countr_zero(lost);
    worker_.report(Check::out_of_bounds, w_, i, lane, [&] {
      return fmt::format("jumps to label {} of {}", slot<std::uint32_t>(w_, i.a)[lane],
                         table.size());
    });
    end_threads(w_, lost);
    release_barriers(worker_, *w_.block);
  }

  void go_back(const Instruction& i, std::uint32_t on) {
    set_pcs(w_, w_.mask & ~on, w_.pc + 1);
    each_lane_of(on,
                 [&](int lane) { w_.pcs[std::size_t(lane)] = slot<std::uint32_t>(w_, i.b)[lane]; });
    grouped_ = false;
  }

  void leave_kernel(std::uint32_t on) {
    const std::uint32_t rest = w_.mask & ~on;
    end_threads(w_, on);
    release_barriers(worker_, *w_.block);
    // Releasing changes the mask of warps that waited, this one's too.
    set_pcs(w_, rest, w_.pc + 1);
    grouped_ = false;
  }

  void note_trap(const Instruction& i, std::uint32_t on) {
    const Block& block = *w_.block;
    if (!worker_.trap.empty() && worker_.trap_block <= block.linear) return;
    worker_.trap_block = block.linear;
    worker_.trap = fmt::format(
        "line {}: '{}' by thread {} of block ({}, {}, {})", worker_.program->texts[i.index].line,
        worker_.program->texts[i.index].text, w_.number * kLanes + std::countr_zero(on),
        block.index.x, block.index.y, block.index.z);
  }

  void barrier(const Instruction& i, std::uint32_t on) {
    Block& block = *w_.block;
    const bool forced = forced_;
    forced_ = false;
    const std::uint32_t rest = w_.mask & ~on;
    set_pcs(w_, rest, w_.pc + 1);
    set_pcs(w_, on, w_.pc);
    each_lane_of(w_.at_sync, [&](int lane) {
      if (w_.pcs[std::size_t(lane)] == w_.pc) on |= 1U << lane;
    });
    grouped_ = false;
    // A part of a warp waits for the rest, as the code that a compiler makes does; that none of it
    // can come is seen when nothing else of the warp runs.
    if (i.count != 0 && !forced && (w_.runnable() & ~on) != 0) {
      w_.at_sync |= on;
      return;
    }
    w_.at_sync &= ~on;
    const int first = std::countr_zero(on);
    const std::uint32_t number = slot<std::uint32_t>(w_, i.a)[first] & 15U;
    Barrier& barrier = block.barriers[number];
    const bool aligned = i.count != 0;
    ++worker_.counts.barriers;
    if (aligned && on != (w_.lanes & ~w_.exited)) {
      worker_.report(Check::divergent_barrier, w_, i, first, [&] {
        return fmt::format("reaches barrier {} with lanes {:#010x} of its warp's {:#010x}", number,
                           on, w_.lanes & ~w_.exited);
      });
    }
    if (i.b != kNoSlot) barrier.expected = slot<std::uint32_t>(w_, i.b)[first];
    // A barrier for a number of threads counts whole warps.
    const bool whole = barrier.expected != 0 && aligned && on == (w_.lanes & ~w_.exited);
    barrier.arrived += whole ? kLanes : std::uint32_t(std::popcount(on));
    if (i.c != kNoSlot) {
      const std::uint32_t p = (i.negate_c ? ~predicate(w_, i.c) : predicate(w_, i.c)) & on;
      barrier.count += std::uint32_t(std::popcount(p));
      barrier.all = barrier.all && p == on;
      barrier.any = barrier.any || p != 0;
    }
    if (i.flow == Flow::barrier_arrive) {
      set_pcs(w_, on, w_.pc + 1);
    } else {
      w_.at_barrier |= on;
      each_lane_of(on, [&](int lane) { w_.barrier[std::size_t(lane)] = std::uint8_t(number); });
    }
    release_barriers(worker_, block);
  }

  // Lanes of `lanes` whose member mask is that of the first of them.
  std::uint32_t of_same_members(const Instruction& i, std::uint32_t lanes) {
    const std::uint32_t* members = slot<std::uint32_t>(w_, i.members);
    const std::uint32_t first = members[std::countr_zero(lanes)];
    std::uint32_t same = 0;
    each_lane_of(lanes, [&](int lane) {
      if (members[lane] == first) same |= 1U << lane;
    });
    return same;
  }

  void meet(const Instruction& i, std::uint32_t on) {
    const std::uint32_t alive = w_.lanes & ~w_.exited;
    const std::uint32_t pc = w_.pc;
    std::uint32_t here = on;
    each_lane_of(w_.at_sync, [&](int lane) {
      if (w_.pcs[std::size_t(lane)] == pc) here |= 1U << lane;
    });
    const std::uint32_t group = of_same_members(i, here | on);
    const std::uint32_t members =
        slot<std::uint32_t>(w_, i.members)[std::countr_zero(group)] & alive;
    const std::uint32_t elsewhere = i.mode == 1 ? waiting_elsewhere(pc) : 0;
    const bool complete = (members & ~(group | elsewhere)) == 0;
    const bool forced = forced_;
    forced_ = false;
    if (!complete && !forced) {
      set_pcs(w_, w_.mask & ~on, pc + 1);
      set_pcs(w_, on, pc);
      w_.at_sync |= on & group;  // lanes with other members meet among themselves
      grouped_ = false;
      return;
    }
    const std::uint32_t whole = w_.mask;
    w_.mask = group;
    ++w_.sync_epoch;
    if (!complete || (group & ~members) != 0) report_absent(i, group, members);
    i.handler(w_, i);
    w_.at_sync &= ~group;
    if (group == whole && on == whole) {
      ++w_.pc;
      return;
    }
    set_pcs(w_, whole & ~on, pc + 1);
    set_pcs(w_, on & ~group, pc);
    set_pcs(w_, group, pc + 1);
    if (elsewhere != 0) release_elsewhere(elsewhere & members);
    grouped_ = false;
  }

  // Lanes at other bar.warp.sync instructions.
  std::uint32_t waiting_elsewhere(std::uint32_t pc) {
    std::uint32_t lanes = 0;
    each_lane_of(w_.at_sync, [&](int lane) {
      const std::uint32_t other = w_.pcs[std::size_t(lane)];
      const bool meets = code_[other].flow == Flow::warp_sync && code_[other].mode == 1;
      if (other != pc && meets) lanes |= 1U << lane;
    });
    return lanes;
  }
  void release_elsewhere(std::uint32_t lanes) {
    each_lane_of(lanes, [&](int lane) { ++w_.pcs[std::size_t(lane)]; });
    w_.at_sync &= ~lanes;
  }

  void report_absent(const Instruction& i, std::uint32_t group, std::uint32_t members) {
    worker_.report(Check::bad_shuffle, w_, i, std::countr_zero(group), [&] {
      return fmt::format("names lanes {:#010x}, of which {:#010x} don't take part; {:#010x} do",
                         members, members & ~group, group);
    });
  }

  Worker& worker_;
  Warp& w_;
  const Instruction* code_;
  const std::uint32_t* runs_;
  std::uint32_t stop_ = kNowhere;  // where the next lanes ahead stand
  bool others_ = false;            // lanes of the warp that can run, elsewhere
  bool grouped_ = false;
  bool forced_ = false;  // the group waits for lanes that can't come
  bool leave_ = false;
};

}  // namespace

void set_pcs(Warp& w, std::uint32_t lanes, std::uint32_t pc) {
  each_lane_of(lanes, [&](int lane) { w.pcs[std::size_t(lane)] = pc; });
}

bool run_warp(Worker& worker, Warp& warp, std::uint64_t budget) {
  return WarpRun(worker, warp).run(budget);
}

}  // namespace grkan::vgpu
