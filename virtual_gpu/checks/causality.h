// What orders accesses of different blocks to global memory. By PTX's memory model: a release (a
// fence, then a strong write), a strong read that observes it, an acquire (that read, then a
// fence); within a block its barriers. Blocks take turns on one host thread.
//
// Time is a block's own: it goes on with each fence and barrier, and accesses bear its stamp. What
// a thread learns of other blocks counts for its whole block at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "virtual_gpu/ptx/program.h"

namespace grkan::vgpu {

// Accesses of a block that lie before some point: those of all threads up to a time, and those of
// each thread up to another.
struct Covered {
  std::uint32_t all = 0;
  std::vector<std::uint32_t> threads;  // may be shorter than the block

  [[nodiscard]] bool holds(std::uint32_t thread, std::uint32_t time) const {
    return time <= all || (thread < threads.size() && time <= threads[thread]);
  }
};

// The releases at one address, oldest first, up to a write that is no update.
class ReleaseLog;

// A block's view of time.
struct BlockClock {
  struct Fence {  // what a thread's last fence covers: its own accesses, and all threads'
    std::uint32_t own = 0;
    std::uint32_t all = 0;
  };
  struct Observed {  // the first `end` releases of a log, read but not yet followed by a fence
    std::uint32_t thread;
    std::uint32_t time;
    const ReleaseLog* log;
    std::size_t end;
  };

  void start(std::uint64_t linear, std::uint32_t threads);

  std::uint32_t block = 0;
  std::uint32_t now = 1;
  std::uint32_t barrier = 0;          // the time of the last one
  std::vector<Fence> fences;          // of each thread
  std::vector<Fence> strong_fences;   // of each thread: fence.sc alone
  bool fenced = false;                // by fence.sc since the last barrier
  std::shared_ptr<Covered> released;  // by fences before the last barrier
  std::vector<Observed> observed;
  std::unordered_map<std::uint32_t, Covered> known;  // accesses of other blocks that lie before
  std::unordered_map<const ReleaseLog*, std::size_t> read;  // how much of each log is in `known`
  ReleaseLog* learned = nullptr;                            // the same as a log, in order
};

class Causality {
 public:
  Causality();
  ~Causality();
  Causality(const Causality&) = delete;
  Causality& operator=(const Causality&) = delete;

  // A fence for all blocks by the lanes of the mask; `first` is lane 0's thread.
  void fence(BlockClock& clock, std::uint32_t first, std::uint32_t lanes, FenceKind kind);
  void barrier(BlockClock& clock);
  // The halves of a fence that .acquire and .release have in them.
  void acquire(BlockClock& clock, std::uint32_t thread, FenceKind kind);
  void release(BlockClock& clock, std::uint32_t thread);
  // A strong access. An update (atom, red) keeps the releases before it.
  void read(BlockClock& clock, std::uint32_t thread, std::uint64_t address);
  void write(BlockClock& clock, std::uint32_t thread, std::uint64_t address, bool update);
  // Whether an access of another block lies before what the clock's block does now.
  [[nodiscard]] bool ordered(const BlockClock& clock, std::uint32_t block, std::uint32_t thread,
                             std::uint32_t time) const;

 private:
  void learn(BlockClock& clock, const ReleaseLog* log, std::size_t end);

  std::vector<std::unique_ptr<ReleaseLog>> logs_;
  std::unordered_map<std::uint64_t, ReleaseLog*> latest_;  // by address
};

}  // namespace grkan::vgpu
