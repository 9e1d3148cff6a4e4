// Shared memory of a block: races between its threads, and reads of what nothing wrote. It is
// watched in granules, the narrowest access of the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "virtual_gpu/checks/access.h"

namespace grkan::vgpu {

// Who wrote and read a granule last.
struct SharedCell {
  std::uint32_t write_epoch = 0;  // of the block; 0: never
  std::uint32_t read_epoch = 0;
  std::uint32_t write_sync = 0;  // of the warp
  std::uint32_t read_sync = 0;
  std::uint16_t writer = 0;
  std::uint16_t reader = 0;  // or several threads
  bool atomic = false;       // the last write
};

// The lanes of a warp that access.
struct SharedActor {
  int warp = 0;            // its number in the block
  std::uint32_t mask = 0;  // lanes
  std::uint32_t sync = 0;  // warp-level synchronisations so far
};

struct SharedFinding {
  int unwritten = -1;  // the first lane that reads what nothing wrote
  int racing = -1;     // the first lane that races, and with whom:
  int other = -1;      // a thread; -1: several
  bool other_wrote = false;
};

class SharedRaces {
 public:
  struct Checks {
    bool races = false;
    bool uninitialised = false;
  };

  // Without a call nothing is watched.
  void watch(std::size_t bytes, int granule, Checks checks);
  [[nodiscard]] bool watches() const { return !cells_.empty(); }

  // A block begins: nothing is written. One object serves many blocks, one after another.
  void start();
  // All threads have met.
  void barrier() { ++epoch_; }

  // An access within the memory, before it changes. `places`: of each lane, what is there now.
  // side_by_side: all 32 lanes, each right behind the one before.
  SharedFinding note(const SharedActor& actor, const Access& access, const std::byte* const* places,
                     bool side_by_side);

 private:
  class Note;  // one access under way

  // 32 lanes side by side, a cell for each, none of which another thread touched since the last
  // barrier: the usual case. False, and nothing done, otherwise.
  bool note_own(const SharedActor& actor, const Access& access);

  std::vector<SharedCell> cells_;
  std::size_t granule_ = 4;
  Checks checks_;
  std::uint32_t epoch_ = 0;        // one more with each barrier; goes on from block to block
  std::uint32_t first_epoch_ = 0;  // of this block
};

}  // namespace grkan::vgpu
