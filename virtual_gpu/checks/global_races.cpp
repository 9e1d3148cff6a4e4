#include "virtual_gpu/checks/global_races.h"

#include <atomic>
#include <bit>
#include <cstring>

namespace grkan::vgpu {

RaceMap::RaceMap(std::uint64_t at, std::size_t size, int shift)
    : address(at),
      granule_shift(std::size_t(shift)),
      lines((size >> granule_shift) / RaceLine::kGranules + 1),
      readers(lines.size() * RaceLine::kGranules),
      writers(lines.size() * RaceLine::kGranules),
      values((lines.size() * RaceLine::kGranules) << granule_shift) {}

GlobalRaces::GlobalRaces(int granule, bool keeps_values)
    : keeps_values_(keeps_values), granule_shift_(std::countr_zero(unsigned(granule))) {}
GlobalRaces::~GlobalRaces() = default;

RaceMap& GlobalRaces::of(std::uint64_t address, std::size_t size) {
  const std::lock_guard lock(mutex_);
  return maps_.try_emplace(address, address, size, granule_shift_).first->second;
}

bool GlobalRaces::owns(RaceLine& line, const BlockClock& clock) {
  const std::uint32_t self = clock.block + 1;
  const std::atomic_ref owner(line.owner);
  std::uint32_t found = owner.load(std::memory_order_relaxed);
  if (found == RaceLine::kNobody &&
      owner.compare_exchange_strong(found, self, std::memory_order_relaxed)) {
    line.time = clock.now;
    return true;
  }
  return found == self && line.time == clock.now;
}

bool GlobalRaces::note_own(RaceMap& map, std::size_t granule, std::uint32_t who, bool store) {
  RaceLine& line = map.lines[granule / RaceLine::kGranules];
  const std::uint32_t bit = 1U << granule % RaceLine::kGranules;
  std::uint32_t& bits = store ? line.written : line.read;
  if ((bits & bit) != 0) return false;
  bits |= bit;
  (store ? map.writers : map.readers)[granule] = who;
  return true;
}

void GlobalRaces::note_varied(RaceMap& map, std::size_t first, std::size_t count,
                              const std::byte* written) {
  const std::size_t width = std::size_t{1} << map.granule_shift;
  for (std::size_t g = first; g < first + count; ++g, written += width) {
    RaceLine& line = map.lines[g / RaceLine::kGranules];
    const std::uint32_t bit = 1U << g % RaceLine::kGranules;
    const std::byte* kept = map.values.data() + (g << map.granule_shift);
    if ((line.written & bit) != 0 && std::memcmp(kept, written, width) != 0) line.varied |= bit;
  }
}

GlobalRaces::Noted GlobalRaces::note_all(RaceMap& map, const RaceActor& actor, int lanes,
                                         std::uint64_t offset, std::size_t bytes, bool store,
                                         const std::byte* written) {
  constexpr std::uint32_t kAll = 0xFFFFFFFFU;
  const BlockClock& clock = actor.clock;
  const std::size_t first = offset >> map.granule_shift;
  const std::size_t per_lane = bytes >> map.granule_shift;
  const std::size_t count = per_lane * std::size_t(lanes);
  RaceLine* const begin = &map.lines[first / RaceLine::kGranules];
  RaceLine* const end = &map.lines[(first + count - 1) / RaceLine::kGranules] + 1;
  const auto head = std::uint32_t(first % RaceLine::kGranules);
  const auto tail = std::uint32_t((first + count - 1) % RaceLine::kGranules);
  const auto covered = [&](const RaceLine* line) {
    std::uint32_t mask = kAll;
    if (line == begin) mask &= kAll << head;
    if (line == end - 1) mask &= kAll >> (RaceLine::kGranules - 1 - tail);
    return mask;
  };
  std::uint32_t seen = 0;
  for (RaceLine* line = begin; line != end; ++line) {
    const std::uint32_t mask = covered(line);
    if (!owns(*line, clock)) {
      // An access of the whole line takes the place of what the block did there before.
      const bool own =
          std::atomic_ref(line->owner).load(std::memory_order_relaxed) == clock.block + 1;
      if (!own || mask != kAll || (!store && line->written != 0)) return {};
      line->time = clock.now;
      line->read = line->written = 0;
      line->whole_read.set = line->whole_written.set = 0;
    }
    seen |= mask & (store ? line->written : line->read);
  }
  if (store && keeps_values_ && seen != 0) {
    if (written == nullptr) return {};
    note_varied(map, first, count, written);
  }
  const int lane_shift = std::countr_zero(per_lane);
  for (RaceLine* line = begin; line != end; ++line) {
    const std::uint32_t mask = covered(line);
    std::uint32_t& bits = store ? line->written : line->read;
    const std::size_t at = std::size_t(line - map.lines.data()) * RaceLine::kGranules;
    const auto name = [&](std::size_t granule) {
      return actor.who + std::uint32_t((granule - first) >> lane_shift);
    };
    if (mask == kAll && bits == 0) {
      // Lanes don't straddle lines.
      (store ? line->whole_written : line->whole_read) = {name(at), std::uint8_t(lane_shift), 1};
    } else {
      std::uint32_t* names = (store ? map.writers : map.readers).data();
      for (std::uint32_t left = mask & ~bits; left != 0; left &= left - 1) {
        const std::size_t granule = at + std::size_t(std::countr_zero(left));
        names[granule] = name(granule);
      }
    }
    bits |= mask;
  }
  std::byte* const values = store && keeps_values_ ? map.values.data() + offset : nullptr;
  if (values == nullptr || written == nullptr) return {true, values};
  std::memcpy(values, written, bytes * std::size_t(lanes));
  return {true, nullptr};
}

}  // namespace grkan::vgpu
