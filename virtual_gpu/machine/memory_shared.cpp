// Shared memory: banks, and races within a block.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "virtual_gpu/machine/memory_spaces.h"

namespace grkan::vgpu {
namespace {

// Passes that the banks need beyond the first of each phase: 32 lanes of 4 bytes go at once, 16 of
// 8, 8 of 16. A bank is 4 bytes wide.
std::uint64_t bank_conflicts(const Access& access, std::uint32_t mask) {
  const int words = std::max(1, access.bytes / 4);
  const int phase = std::max(1, kLanes / words);
  std::uint64_t extra = 0;
  for (int begin = 0; begin < kLanes; begin += phase) {
    // The words asked of each bank, as lists.
    std::uint64_t seen[kLanes];
    int next[kLanes];
    int heads[kLanes];
    std::uint8_t depth[kLanes] = {};
    std::memset(heads, -1, sizeof(heads));
    int found = 0;
    int most = 0;
    each_lane_of(mask >> begin & std::uint32_t((std::uint64_t{1} << phase) - 1), [&](int lane) {
      for (int word = 0; word < words && found < kLanes; ++word) {
        const std::uint64_t at = access.addresses[begin + lane] / 4 + std::uint64_t(word);
        const std::size_t bank = at % kLanes;
        int other = heads[bank];
        while (other >= 0 && seen[other] != at) other = next[other];
        if (other >= 0) continue;
        seen[found] = at;
        next[found] = heads[bank];
        heads[bank] = found++;
        most = std::max<int>(most, ++depth[bank]);
      }
    });
    if (most > 1) extra += std::uint64_t(most - 1);
  }
  return extra;
}

bool neighbours(const Access& access, std::uint32_t mask) {
  if (mask != kAllLanes) return false;
  for (int lane = 1; lane < kLanes; ++lane) {
    if (access.addresses[lane] != access.addresses[0] + std::uint64_t(lane * access.bytes)) {
      return false;
    }
  }
  return true;
}

void report(Warp& w, const Instruction& i, const Access& access, const SharedFinding& found) {
  Worker& worker = *w.worker;
  if (found.unwritten >= 0) {
    worker.report(Check::uninitialised, w, i, found.unwritten, [&] {
      return fmt::format("{} {} shared bytes at {:#x} that nothing wrote", verb(access.kind),
                         access.bytes, access.addresses[found.unwritten]);
    });
  }
  if (found.racing < 0) return;
  worker.report(Check::shared_race, w, i, found.racing, [&] {
    const std::string other =
        found.other >= 0 ? fmt::format("thread {}", found.other) : std::string("several threads");
    return fmt::format("{} shared {:#x}, which {} {} with no barrier between", verb(access.kind),
                       access.addresses[found.racing], other, found.other_wrote ? "wrote" : "read");
  });
}

}  // namespace

void resolve_shared(Warp& w, const Instruction& i, const Access& access, std::byte** pointers) {
  Worker& worker = *w.worker;
  check_alignment(w, i, access, "shared ");
  const std::uint32_t lost = check_size(w, i, access, pointers, worker.shared_bytes, "shared");
  ++worker.counts.shared_requests;
  const bool side_by_side = neighbours(access, w.mask);
  if (!side_by_side) worker.counts.bank_conflicts += bank_conflicts(access, w.mask);
  const std::uint32_t mask = w.mask & ~lost;
  std::byte* shared = w.block->shared.data();
  each_lane_of(mask, [&](int lane) { pointers[lane] = shared + access.addresses[lane]; });
  if (SharedRaces& races = w.block->shared_races; races.watches()) {
    const SharedActor actor{w.number, mask, w.sync_epoch};
    report(w, i, access, races.note(actor, access, pointers, side_by_side && lost == 0));
  }
  if (lost != 0 && access.kind != AccessKind::load) end_threads(w, lost);
}

}  // namespace grkan::vgpu
