// Races between blocks that fences and atomics may order.
#include <array>
#include <cstring>

#include "virtual_gpu/checks/global_races.h"

namespace grkan::vgpu {
namespace {

struct Stamp {
  std::uint32_t owner = RaceLine::kNobody;  // block + 1
  std::uint32_t who = 0;
  std::uint32_t time = 0;
  bool strong = false;
};

// The last accesses of two blocks: more would cost memory for what is read by all and written by
// none.
struct LastTwo {
  std::array<Stamp, 2> stamps;

  void add(const Stamp& access) {
    if (stamps[0].owner != access.owner) stamps[1] = stamps[0];
    stamps[0] = access;
  }
};

struct History : LineHistory {
  // Strong accesses don't conflict with one another, so they don't stand for weak ones before them.
  struct Granule {
    Stamp write;  // the last weak one, and what came after it:
    LastTwo strong_writes;
    LastTwo reads;
    LastTwo strong_reads;

    void add(const Stamp& access, AccessKind kind) {
      if (kind == AccessKind::load) {
        (access.strong ? strong_reads : reads).add(access);
      } else if (access.strong) {
        strong_writes.add(access);
      } else {
        *this = {};
        write = access;
      }
    }
  };
  std::array<Granule, RaceLine::kGranules> granules;
};

class OrderedRaces final : public GlobalRaces {
 public:
  OrderedRaces(int granule, const Causality& causality)
      : GlobalRaces(granule, false), causality_(causality) {}

  std::optional<Race> note(RaceMap& map, const RaceActor& actor, const Access& access, int lane,
                           std::uint64_t offset, const std::byte* there) override {
    const BlockClock& clock = actor.clock;
    const Stamp mine{clock.block + 1, actor.who, clock.now, actor.strong};
    const auto bytes = std::size_t(access.bytes);
    // A write of what another block wrote there is no race.
    const bool repeats = access.kind == AccessKind::store &&
                         std::memcmp(access.values + std::size_t(lane) * bytes, there, bytes) == 0;
    std::optional<Race> race;
    each_granule(map, offset, bytes, [&](std::size_t g, RaceLine& line, std::size_t place) {
      if (!mine.strong && owns(line, clock)) {
        note_own(map, g, mine.who, access.kind != AccessKind::load);
        return;
      }
      History::Granule& granule = history_of(map, line).granules[place];
      if (!race) {
        bool wrote = false;
        const Stamp* other = conflict(clock, granule, mine, access.kind, repeats, wrote);
        if (other != nullptr) {
          race = {access.addresses[lane],  clock.block,      mine.who,
                  verb(access.kind),       other->owner - 1, other->who,
                  wrote ? "wrote" : "read"};
        }
      }
      granule.add(mine, access.kind);
    });
    return race;
  }

  void finish(const std::function<void(const Race&)>&) override {}

 private:
  // The history of a line, which from now on is nobody's own.
  static History& history_of(RaceMap& map, RaceLine& line) {
    if (line.history != nullptr) return static_cast<History&>(*line.history);
    const auto number = std::size_t(&line - map.lines.data());
    auto made = std::make_unique<History>();
    for (std::size_t place = 0; place < RaceLine::kGranules; ++place) {
      const std::size_t granule = number * RaceLine::kGranules + place;
      if ((line.read >> place & 1U) != 0) {
        made->granules[place].reads.stamps[0] = {line.owner, map.reader(granule), line.time};
      }
      if ((line.written >> place & 1U) != 0) {
        made->granules[place].write = {line.owner, map.writer(granule), line.time};
      }
    }
    line.owner = RaceLine::kSeveral;
    line.history = made.get();
    map.histories[number] = std::move(made);
    return static_cast<History&>(*line.history);
  }

  // An access before that nothing orders with this one; null: none.
  const Stamp* conflict(const BlockClock& clock, const History::Granule& granule, const Stamp& mine,
                        AccessKind kind, bool repeats, bool& wrote) const {
    const auto among = [&](const auto& stamps) -> const Stamp* {
      for (const Stamp& before : stamps) {
        if (unordered(clock, before, mine)) return &before;
      }
      return nullptr;
    };
    wrote = true;
    if (!repeats) {
      if (unordered(clock, granule.write, mine)) return &granule.write;
      if (!mine.strong) {
        if (const Stamp* other = among(granule.strong_writes.stamps)) return other;
      }
    }
    wrote = false;
    if (kind == AccessKind::load) return nullptr;
    if (const Stamp* other = among(granule.reads.stamps)) return other;
    return mine.strong ? nullptr : among(granule.strong_reads.stamps);
  }

  [[nodiscard]] bool unordered(const BlockClock& clock, const Stamp& before,
                               const Stamp& now) const {
    if (before.owner == RaceLine::kNobody || before.owner == now.owner) return false;
    return !causality_.ordered(clock, before.owner - 1, Accessor::thread(before.who), before.time);
  }

  const Causality& causality_;
};

}  // namespace

std::unique_ptr<GlobalRaces> make_ordered_races(int granule, const Causality& causality) {
  return std::make_unique<OrderedRaces>(granule, causality);
}

}  // namespace grkan::vgpu
