#include "virtual_gpu/checks/shared_races.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "virtual_gpu/ptx/program.h"

namespace grkan::vgpu {
namespace {

constexpr std::uint16_t kSeveral = 0xFFFF;
// Several readers of one warp; of several warps it is kSeveral.
constexpr std::uint16_t kSeveralOfWarp = 0x8000;

}  // namespace

class SharedRaces::Note {
 public:
  Note(SharedRaces& races, const SharedActor& actor, const Access& access,
       const std::byte* const* places)
      : races_(races), actor_(actor), access_(access), places_(places) {}

  void lane(int lane) {
    const std::uint64_t first = access_.addresses[lane] / races_.granule_;
    const std::uint64_t last =
        (access_.addresses[lane] + std::uint64_t(access_.bytes) - 1) / races_.granule_;
    for (std::uint64_t at = first; at <= last; ++at) cell(lane, races_.cells_[at]);
  }

  [[nodiscard]] const SharedFinding& found() const { return found_; }

 private:
  [[nodiscard]] bool ordered(std::uint16_t other, std::uint32_t sync, std::uint16_t self) const {
    if (other == self) return true;
    if (other == kSeveral) return false;
    const int warp = (other & kSeveralOfWarp) != 0 ? other & 0x3FF : other / kLanes;
    return warp == actor_.warp && sync != actor_.sync;
  }

  // What is written is there already, by this instruction or an earlier one.
  [[nodiscard]] bool same_value(int lane) const {
    if (access_.values == nullptr) return false;
    const auto bytes = std::size_t(access_.bytes);
    const std::byte* value = access_.values + std::size_t(lane) * bytes;
    const std::byte* there = places_[lane];
    for (int before = 0; before < lane; ++before) {
      const bool same_place =
          (actor_.mask >> before & 1U) != 0 && access_.addresses[before] == access_.addresses[lane];
      if (same_place) there = access_.values + std::size_t(before) * bytes;
    }
    return std::memcmp(there, value, bytes) == 0;
  }

  void racing(int lane, std::uint16_t other, bool wrote) {
    if (found_.racing >= 0) return;
    found_.racing = lane;
    found_.other = other < kSeveralOfWarp ? int(other) : -1;
    found_.other_wrote = wrote;
  }

  void cell(int lane, SharedCell& c) {
    const std::uint32_t epoch = races_.epoch_;
    const auto self = std::uint16_t(actor_.warp * kLanes + lane);
    const bool writes = access_.kind != AccessKind::load;
    const bool atomic = access_.kind == AccessKind::atomic;
    if (access_.kind != AccessKind::store && c.write_epoch < races_.first_epoch_ &&
        found_.unwritten < 0 && races_.checks_.uninitialised) {
      found_.unwritten = lane;
    }
    if (races_.checks_.races) {
      const bool after_write = c.write_epoch == epoch && !ordered(c.writer, c.write_sync, self);
      if (after_write && !(atomic && c.atomic) &&
          !(access_.kind == AccessKind::store && same_value(lane))) {
        racing(lane, c.writer, true);
      }
      if (writes && c.read_epoch == epoch && !ordered(c.reader, c.read_sync, self) &&
          !(access_.kind == AccessKind::store && same_value(lane))) {
        racing(lane, c.reader, false);
      }
    }
    if (writes) {
      c.write_epoch = epoch;
      c.write_sync = actor_.sync;
      c.writer = self;
      c.atomic = atomic;
    } else {
      note_read(c, epoch, self);
    }
  }

  void note_read(SharedCell& c, std::uint32_t epoch, std::uint16_t self) const {
    const auto warp = std::uint16_t(kSeveralOfWarp | unsigned(actor_.warp));
    if (c.read_epoch != epoch) {
      c.reader = self;
    } else if (c.reader != self && c.reader != kSeveral) {
      const bool same_warp = c.reader == warp ||
                             ((c.reader & kSeveralOfWarp) == 0 && c.reader / kLanes == actor_.warp);
      c.reader = same_warp ? warp : kSeveral;
    }
    c.read_epoch = epoch;
    c.read_sync = actor_.sync;
  }

  SharedRaces& races_;
  const SharedActor& actor_;
  const Access& access_;
  const std::byte* const* places_;
  SharedFinding found_;
};

void SharedRaces::watch(std::size_t bytes, int granule, Checks checks) {
  granule_ = std::size_t(granule);
  checks_ = checks;
  cells_.resize(bytes / granule_ + 1);
}

void SharedRaces::start() {
  if (epoch_ > 0xF0000000U) {
    std::fill(cells_.begin(), cells_.end(), SharedCell{});
    epoch_ = 0;
  }
  first_epoch_ = ++epoch_;
}

bool SharedRaces::note_own(const SharedActor& actor, const Access& access) {
  if (access.kind == AccessKind::atomic) return false;
  SharedCell* cells = &cells_[access.addresses[0] / std::uint64_t(access.bytes)];
  const std::uint32_t epoch = epoch_;
  const std::uint32_t first = first_epoch_;
  const auto self = std::uint16_t(actor.warp * kLanes);
  const bool load = access.kind == AccessKind::load;
  bool other = false;
  for (int lane = 0; lane < kLanes; ++lane) {
    const SharedCell& c = cells[lane];
    const auto me = std::uint16_t(self + lane);
    other |= (c.write_epoch == epoch) & (c.writer != me);
    other |= (c.read_epoch == epoch) & (c.reader != me);
    other |= load & (c.write_epoch < first);
  }
  if (other) return false;
  for (int lane = 0; lane < kLanes; ++lane) {
    SharedCell& c = cells[lane];
    const auto me = std::uint16_t(self + lane);
    if (load) {
      c.read_epoch = epoch;
      c.read_sync = actor.sync;
      c.reader = me;
    } else {
      c.write_epoch = epoch;
      c.write_sync = actor.sync;
      c.writer = me;
      c.atomic = false;
    }
  }
  return true;
}

SharedFinding SharedRaces::note(const SharedActor& actor, const Access& access,
                                const std::byte* const* places, bool side_by_side) {
  const auto bytes = std::size_t(access.bytes);
  const bool simple = side_by_side && bytes == granule_ && access.addresses[0] % bytes == 0;
  if (simple && note_own(actor, access)) return {};
  Note note(*this, actor, access, places);
  for (std::uint32_t left = actor.mask; left != 0; left &= left - 1) {
    note.lane(std::countr_zero(left));
  }
  return note.found();
}

}  // namespace grkan::vgpu
