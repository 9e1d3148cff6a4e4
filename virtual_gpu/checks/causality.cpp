#include "virtual_gpu/checks/causality.h"

#include <algorithm>
#include <bit>

namespace grkan::vgpu {

class ReleaseLog {
 public:
  struct Release {
    std::uint32_t block = 0;
    std::uint32_t thread = 0;
    BlockClock::Fence fence;
    std::shared_ptr<const Covered> at_barrier;
    // Or, instead of all these: the first `end` releases of another log.
    const ReleaseLog* log = nullptr;
    std::size_t end = 0;
  };

  void include(const ReleaseLog* log, std::size_t end) {
    Release& release = releases_.emplace_back();
    release.log = log;
    release.end = end;
  }
  [[nodiscard]] std::size_t size() const { return releases_.size(); }
  const Release& operator[](std::size_t n) const { return releases_[n]; }

  // What the block's thread makes visible, where the log does not have it yet.
  void add(const BlockClock& clock, std::uint32_t thread) {
    if (clock.learned != nullptr) {
      std::size_t& had = included_[clock.learned];
      if (had < clock.learned->size()) include(clock.learned, clock.learned->size());
      had = clock.learned->size();
    }
    const BlockClock::Fence fence = clock.fences[thread];
    Last& last = last_[std::uint64_t{clock.block} << 32 | thread];
    if (last.own == fence.own && last.at_barrier == clock.released.get()) return;
    last = {fence.own, clock.released.get()};
    Release& release = releases_.emplace_back();
    release.block = clock.block;
    release.thread = thread;
    release.fence = fence;
    release.at_barrier = clock.released;
  }

 private:
  struct Last {
    std::uint32_t own = 0;
    const Covered* at_barrier = nullptr;
  };
  std::vector<Release> releases_;
  std::unordered_map<std::uint64_t, Last> last_;  // of each thread of each block
  std::unordered_map<const ReleaseLog*, std::size_t> included_;
};

namespace {

void cover(Covered& known, const ReleaseLog::Release& release) {
  known.all = std::max(known.all, release.fence.all);
  const auto thread = [&](std::size_t n, std::uint32_t time) {
    if (time <= known.all) return;
    if (known.threads.size() <= n) known.threads.resize(n + 1);
    known.threads[n] = std::max(known.threads[n], time);
  };
  thread(release.thread, release.fence.own);
  if (release.at_barrier == nullptr) return;
  const Covered& more = *release.at_barrier;
  known.all = std::max(known.all, more.all);
  for (std::size_t n = 0; n < more.threads.size(); ++n) thread(n, more.threads[n]);
}

// Brings the first `end` releases of the log, and what they refer to, into what the block knows.
void learn_all(BlockClock& clock, const ReleaseLog* first, std::size_t first_end) {
  struct Piece {
    const ReleaseLog* log;
    std::size_t end;
  };
  std::vector<Piece> pieces = {{first, first_end}};
  while (!pieces.empty()) {
    const auto [log, end] = pieces.back();
    pieces.pop_back();
    std::size_t& done = clock.read[log];
    for (std::size_t n = done; n < end; ++n) {
      const ReleaseLog::Release& release = (*log)[n];
      if (release.log != nullptr) {
        pieces.push_back({release.log, release.end});
      } else {
        cover(clock.known[release.block], release);
      }
    }
    done = std::max(done, end);
  }
}

}  // namespace

void BlockClock::start(std::uint64_t linear, std::uint32_t threads) {
  *this = {};
  block = std::uint32_t(linear);
  fences.resize(threads);
  strong_fences.resize(threads);
}

Causality::Causality() = default;
Causality::~Causality() = default;

void Causality::learn(BlockClock& clock, const ReleaseLog* log, std::size_t end) {
  if (clock.read[log] >= end) return;
  learn_all(clock, log, end);
  if (clock.learned == nullptr) {
    clock.learned = logs_.emplace_back(std::make_unique<ReleaseLog>()).get();
  }
  clock.learned->include(log, end);
}

// What another thread of the block read before a barrier counts too where the fence is fence.sc:
// were this fence before the releasing one in the order of all such fences, that thread could not
// have read what the release wrote. For the same reason such a fence of any thread before a
// barrier belongs to what a thread releases behind it (BlockClock::released).
void Causality::acquire(BlockClock& clock, std::uint32_t thread, FenceKind kind) {
  std::erase_if(clock.observed, [&](const BlockClock::Observed& seen) {
    const bool before_barrier = kind == FenceKind::sequential && seen.time <= clock.barrier;
    if (seen.thread != thread && !before_barrier) return false;
    learn(clock, seen.log, seen.end);
    return true;
  });
}

void Causality::release(BlockClock& clock, std::uint32_t thread) {
  clock.fences[thread] = {clock.now, clock.barrier};
  ++clock.now;
}

void Causality::fence(BlockClock& clock, std::uint32_t first, std::uint32_t lanes, FenceKind kind) {
  for (; lanes != 0; lanes &= lanes - 1) {
    const std::uint32_t thread = first + std::uint32_t(std::countr_zero(lanes));
    acquire(clock, thread, kind);
    clock.fences[thread] = {clock.now, clock.barrier};
    if (kind != FenceKind::sequential) continue;
    clock.strong_fences[thread] = clock.fences[thread];
    clock.fenced = true;
  }
  ++clock.now;
}

void Causality::barrier(BlockClock& clock) {
  if (clock.fenced) {
    auto covered = std::make_shared<Covered>();
    for (const BlockClock::Fence& fence : clock.strong_fences) {
      covered->all = std::max(covered->all, fence.all);
      covered->threads.push_back(fence.own);
    }
    clock.released = std::move(covered);
    clock.fenced = false;
  }
  clock.barrier = clock.now++;
}

void Causality::read(BlockClock& clock, std::uint32_t thread, std::uint64_t address) {
  const auto found = latest_.find(address);
  if (found == latest_.end()) return;
  const ReleaseLog* log = found->second;
  const auto done = clock.read.find(log);
  if (done != clock.read.end() && done->second >= log->size()) return;
  const auto same = std::ranges::find_if(clock.observed, [&](const BlockClock::Observed& seen) {
    return seen.thread == thread && seen.log == log;
  });
  if (same == clock.observed.end()) {
    clock.observed.push_back({thread, clock.now, log, log->size()});
  } else if (same->end != log->size()) {
    same->time = clock.now;
    same->end = log->size();
  }
}

void Causality::write(BlockClock& clock, std::uint32_t thread, std::uint64_t address, bool update) {
  const bool releases = clock.fences[thread].own != 0 || clock.released != nullptr;
  if (!update) latest_.erase(address);
  if (!releases) return;
  ReleaseLog*& log = latest_[address];
  if (log == nullptr) log = logs_.emplace_back(std::make_unique<ReleaseLog>()).get();
  log->add(clock, thread);
}

bool Causality::ordered(const BlockClock& clock, std::uint32_t block, std::uint32_t thread,
                        std::uint32_t time) const {
  const auto found = clock.known.find(block);
  return found != clock.known.end() && found->second.holds(thread, time);
}

}  // namespace grkan::vgpu
