// Races between blocks that nothing orders.
#include <array>
#include <atomic>
#include <cstring>

#include "virtual_gpu/checks/global_races.h"

namespace grkan::vgpu {
namespace {

// Accesses of one kind to a granule: those of the block with the lowest number and of that with the
// highest, (block + 1) << 32 | who; 0: none. Of a block its first. Whatever the order, two blocks
// show as two.
struct Extent {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  static std::uint64_t make(std::uint32_t owner, std::uint32_t who) {
    return std::uint64_t{owner} << 32 | who;
  }
  static std::uint32_t block(std::uint64_t access) { return std::uint32_t(access >> 32) - 1; }

  [[nodiscard]] bool empty() const { return low == 0; }
  void add(std::uint64_t access) {
    const std::uint64_t owner = access >> 32;
    if (low == 0 || owner < low >> 32) store(low, access);
    if (owner > high >> 32) store(high, access);
  }
  // Whether adding it would change nothing. Another thread may add meanwhile.
  bool holds(std::uint32_t owner) {
    const std::uint64_t l = std::atomic_ref(low).load(std::memory_order_relaxed);
    const std::uint64_t h = std::atomic_ref(high).load(std::memory_order_relaxed);
    return l != 0 && l >> 32 <= owner && owner <= h >> 32;
  }

 private:
  static void store(std::uint64_t& to, std::uint64_t access) {
    std::atomic_ref(to).store(access, std::memory_order_relaxed);
  }
};

struct History : LineHistory {
  struct Granule {
    Extent reads, writes, atomics;
    std::uint32_t value = 0;  // of the first write
    bool varied = false;      // others wrote another
  };
  std::mutex mutex;
  std::array<Granule, RaceLine::kGranules> granules;
};

struct Conflict {
  std::uint64_t access = 0;  // the one reported
  std::uint64_t other = 0;
  const char* verb = "";
  const char* other_verb = "";
  explicit operator bool() const { return access != 0; }
};

// An access of each kind from two different blocks.
Conflict between(const Extent& a, const char* verb, const Extent& b, const char* other_verb) {
  if (a.empty() || b.empty()) return {};
  if (a.high >> 32 != b.low >> 32) return {a.high, b.low, verb, other_verb};
  if (a.low >> 32 != b.high >> 32) return {a.low, b.high, verb, other_verb};
  return {};
}

Conflict conflict_of(const History::Granule& g) {
  if (g.varied) {
    if (const Conflict c = between(g.writes, "writes", g.writes, "writes")) return c;
  }
  if (const Conflict c = between(g.writes, "writes", g.atomics, "updates")) return c;
  if (const Conflict c = between(g.reads, "reads", g.writes, "writes")) return c;
  return between(g.reads, "reads", g.atomics, "updates");
}

class UnorderedRaces final : public GlobalRaces {
 public:
  explicit UnorderedRaces(int granule) : GlobalRaces(granule, true) {}

  std::optional<Race> note(RaceMap& map, const RaceActor& actor, const Access& access, int lane,
                           std::uint64_t offset, const std::byte*) override {
    const BlockClock& clock = actor.clock;
    const std::uint32_t who = actor.who;
    const auto bytes = std::size_t(access.bytes);
    const std::size_t width = std::size_t{1} << map.granule_shift;
    // Reported as misaligned, and no whole granules.
    const bool shifted = offset % width != 0;
    const std::byte* value =
        access.values == nullptr || shifted ? nullptr : access.values + std::size_t(lane) * bytes;
    each_granule(map, offset, bytes, [&](std::size_t g, RaceLine& line, std::size_t place) {
      if (access.kind != AccessKind::atomic && owns(line, clock)) {
        const bool store = access.kind == AccessKind::store;
        const bool first = note_own(map, g, who, store);
        if (store && value == nullptr) line.varied |= 1U << place;
        if (store && value != nullptr) {
          std::byte* kept = map.values.data() + (g << map.granule_shift);
          if (!first && std::memcmp(kept, value, width) != 0) line.varied |= 1U << place;
          std::memcpy(kept, value, width);
        }
      } else {
        // An atomic that is not for all blocks is as a plain write.
        const bool weak = access.kind == AccessKind::atomic && !actor.strong;
        History& history = history_of(map, line);
        note_other(history, history.granules[place], weak ? AccessKind::store : access.kind,
                   Extent::make(clock.block + 1, who), value, width);
      }
      if (value != nullptr) value += width;
    });
    return {};
  }

  void finish(const std::function<void(const Race&)>& found) override {
    for (auto& [address, map] : maps_) {
      for (auto& [number, history] : map.histories) {
        finish_line(found, map, number, static_cast<History&>(*history));
      }
    }
  }

 private:
  History& history_of(RaceMap& map, RaceLine& line) {
    const std::atomic_ref place(line.history);
    LineHistory* history = place.load(std::memory_order_acquire);
    if (history == nullptr) {
      const std::lock_guard lock(mutex_);
      auto& kept = map.histories[std::size_t(&line - map.lines.data())];
      if (kept == nullptr) kept = std::make_unique<History>();
      history = kept.get();
      place.store(history, std::memory_order_release);
    }
    return static_cast<History&>(*history);
  }

  // `value` of `width` bytes: what a store writes; null: it depends on what is there.
  static void note_other(History& history, History::Granule& g, AccessKind kind,
                         std::uint64_t access, const std::byte* value, std::size_t width) {
    Extent& extent = kind == AccessKind::load    ? g.reads
                     : kind == AccessKind::store ? g.writes
                                                 : g.atomics;
    if (kind != AccessKind::store && extent.holds(std::uint32_t(access >> 32))) return;
    const std::lock_guard lock(history.mutex);
    if (kind == AccessKind::store) {
      std::uint32_t bits = 0;
      if (value != nullptr) std::memcpy(&bits, value, width);
      if (extent.empty()) g.value = bits;
      if (value == nullptr || g.value != bits) g.varied = true;
    }
    extent.add(access);
  }

  static void finish_line(const std::function<void(const Race&)>& found, const RaceMap& map,
                          std::size_t number, History& history) {
    const RaceLine& line = map.lines[number];
    for (std::size_t place = 0; place < RaceLine::kGranules; ++place) {
      History::Granule& g = history.granules[place];
      const std::size_t granule = number * RaceLine::kGranules + place;
      if ((line.read >> place & 1U) != 0) {
        g.reads.add(Extent::make(line.owner, map.reader(granule)));
      }
      if ((line.written >> place & 1U) != 0) {
        std::uint32_t value = 0;
        std::memcpy(&value, map.values.data() + (granule << map.granule_shift),
                    std::size_t{1} << map.granule_shift);
        if (!g.writes.empty() && g.value != value) g.varied = true;
        if ((line.varied >> place & 1U) != 0) g.varied = true;
        g.writes.add(Extent::make(line.owner, map.writer(granule)));
      }
      if (const Conflict c = conflict_of(g)) {
        found({map.address + (granule << map.granule_shift), Extent::block(c.access),
               std::uint32_t(c.access), c.verb, Extent::block(c.other), std::uint32_t(c.other),
               c.other_verb});
      }
    }
  }
};

}  // namespace

std::unique_ptr<GlobalRaces> make_unordered_races(int granule) {
  return std::make_unique<UnorderedRaces>(granule);
}

}  // namespace grkan::vgpu
