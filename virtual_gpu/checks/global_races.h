// Races between blocks in global memory: two blocks access the same bytes, at least one writes, and
// nothing orders them. Memory is watched in granules (the narrowest access of the program, at most
// 4 bytes), 32 of them to a line. What one block alone touches, nearly everything, costs a look at
// the line's owner; only lines of several blocks have a history of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "virtual_gpu/checks/access.h"
#include "virtual_gpu/checks/causality.h"
#include "virtual_gpu/checks/pages.h"

namespace grkan::vgpu {

// Who accessed: the instruction and the thread of its block.
struct Accessor {
  static constexpr int kThreadBits = 10;
  static constexpr std::size_t kMostInstructions = std::size_t{1} << (32 - kThreadBits);
  static std::uint32_t pack(std::uint32_t instruction, std::uint32_t thread) {
    return instruction << kThreadBits | thread;
  }
  static std::uint32_t instruction(std::uint32_t who) { return who >> kThreadBits; }
  static std::uint32_t thread(std::uint32_t who) { return who & ((1U << kThreadBits) - 1); }
};

// An access under way: whose, when, and whether it is strong.
struct RaceActor {
  const BlockClock& clock;
  std::uint32_t who;  // Accessor's; of lanes side by side the first
  bool strong;
};

// Two accesses of different blocks that nothing orders.
struct Race {
  std::uint64_t address = 0;
  std::uint64_t block = 0;  // of the access that is reported
  std::uint32_t who = 0;
  const char* verb = "";  // "reads"
  std::uint64_t other_block = 0;
  std::uint32_t other = 0;
  const char* other_verb = "";  // "wrote"
};

struct LineHistory {  // what the kind of check keeps of a line that several blocks touch
  virtual ~LineHistory() = default;
};

struct RaceLine {
  static constexpr std::uint32_t kGranules = 32;
  static constexpr std::uint32_t kNobody = 0;
  static constexpr std::uint32_t kSeveral = 0xFFFFFFFFU;

  LineHistory* history;
  std::uint32_t owner;          // block + 1: the first that touched it
  std::uint32_t time;           // of its accesses, all at once
  std::uint32_t read, written;  // by the owner: a bit for each granule
  std::uint32_t varied;         // granules that it wrote with more than one value
  // Who read (wrote) the first granule, where lanes side by side took the whole line at once;
  // (1 << shift) granules each. Else RaceMap has the names.
  struct Whole {
    std::uint32_t who;
    std::uint8_t lane_shift;
    std::uint8_t set;
  };
  Whole whole_read, whole_written;
};

// An allocation's lines, and of each granule the owner's first read, first write (unless the line
// has them) and last value.
struct RaceMap {
  RaceMap(std::uint64_t address, std::size_t size, int shift);

  // Who of the owner read (wrote) the granule first.
  [[nodiscard]] std::uint32_t reader(std::size_t granule) const {
    const RaceLine::Whole& whole = lines[granule / RaceLine::kGranules].whole_read;
    return whole.set != 0 ? name(whole, granule) : readers[granule];
  }
  [[nodiscard]] std::uint32_t writer(std::size_t granule) const {
    const RaceLine::Whole& whole = lines[granule / RaceLine::kGranules].whole_written;
    return whole.set != 0 ? name(whole, granule) : writers[granule];
  }

  const std::uint64_t address;  // of the allocation
  const std::size_t granule_shift;
  Pages<RaceLine> lines;
  Pages<std::uint32_t> readers;
  Pages<std::uint32_t> writers;
  Pages<std::byte> values;
  std::map<std::size_t, std::unique_ptr<LineHistory>> histories;  // by line

 private:
  static std::uint32_t name(const RaceLine::Whole& whole, std::size_t granule) {
    return whole.who + std::uint32_t(granule % RaceLine::kGranules >> whole.lane_shift);
  }
};

class GlobalRaces {
 public:
  // granule: 1, 2 or 4 bytes. keeps_values: RaceMap::values is used.
  GlobalRaces(int granule, bool keeps_values);
  virtual ~GlobalRaces();
  GlobalRaces(const GlobalRaces&) = delete;
  GlobalRaces& operator=(const GlobalRaces&) = delete;

  // Of an allocation. Any thread may call. Throws out_of_memory.
  RaceMap& of(std::uint64_t address, std::size_t size);

  // `lanes` of them side by side, in lines of this block alone. Not done: every lane needs note(),
  // or `written`: what a store writes, null where that is not at hand. If then `values` is not null
  // the store puts it there too.
  struct Noted {
    bool done = false;
    std::byte* values = nullptr;
  };
  Noted note_all(RaceMap& map, const RaceActor& actor, int lanes, std::uint64_t offset,
                 std::size_t bytes, bool store, const std::byte* written);
  // One lane's access at `offset` of the allocation, before memory changes; what is `there` now.
  // The race that shows at once, if any.
  virtual std::optional<Race> note(RaceMap& map, const RaceActor& actor, const Access& access,
                                   int lane, std::uint64_t offset, const std::byte* there) = 0;
  // Calls `found` for what can only be told when all blocks are done.
  virtual void finish(const std::function<void(const Race&)>& found) = 0;

 protected:
  // Whether the line belongs to the block alone, at this time; an untouched one becomes its own.
  static bool owns(RaceLine& line, const BlockClock& clock);
  // Notes a granule of a line that the block owns; true where it is the first of its kind.
  static bool note_own(RaceMap& map, std::size_t granule, std::uint32_t who, bool store);
  // Calls f(granule, line, place in the line) for what an access covers.
  template <class F>
  static void each_granule(const RaceMap& map, std::uint64_t offset, std::size_t bytes, F f) {
    const std::size_t last = (offset + bytes - 1) >> map.granule_shift;
    for (std::size_t g = offset >> map.granule_shift; g <= last; ++g) {
      f(g, map.lines[g / RaceLine::kGranules], g % RaceLine::kGranules);
    }
  }

  std::mutex mutex_;
  std::map<std::uint64_t, RaceMap> maps_;  // by address

 private:
  // Where lanes side by side write over what the block wrote, and something else.
  static void note_varied(RaceMap& map, std::size_t first, std::size_t count,
                          const std::byte* written);

  const bool keeps_values_;
  const int granule_shift_;
};

// For programs whose blocks nothing orders: any two of them conflict, in whatever order and on
// whichever host threads they ran, so that all is told from what the lines hold in the end.
std::unique_ptr<GlobalRaces> make_unordered_races(int granule);
// For programs that order their blocks, which take turns on one host thread.
std::unique_ptr<GlobalRaces> make_ordered_races(int granule, const Causality& causality);

}  // namespace grkan::vgpu
