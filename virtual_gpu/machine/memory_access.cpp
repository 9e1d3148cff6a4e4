#include "virtual_gpu/machine/memory_access.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "virtual_gpu/checks/bits.h"
#include "virtual_gpu/checks/global_races.h"
#include "virtual_gpu/checks/launch_shadow.h"

namespace grkan::vgpu {
namespace {

constexpr std::size_t kSector = 32;
constexpr std::size_t kLine = 128;
alignas(64) constinit std::byte zeros[64] = {};

template <class F>
void each_lane_of(std::uint32_t mask, F f) {
  for (; mask != 0; mask &= mask - 1) f(std::countr_zero(mask));
}

std::byte* nowhere(Worker& worker, AccessKind kind) {
  if (kind == AccessKind::load) return zeros;
  worker.scratch.fill(std::byte{0});
  return worker.scratch.data();
}

void check_alignment(Warp& w, const Instruction& i, const Access& access, const char* space) {
  if (!w.worker->check_misaligned || access.bytes == 1) return;
  std::uint64_t bits = 0;
  each_lane_of(w.mask, [&](int lane) { bits |= access.addresses[lane]; });
  const auto wrong = std::uint64_t(access.bytes - 1);
  if ((bits & wrong) == 0) return;
  int first = std::countr_zero(w.mask);
  while ((w.mask >> first & 1U) == 0 || (access.addresses[first] & wrong) == 0) ++first;
  w.worker->report(Check::misaligned, w, i, first, [&] {
    return fmt::format("{} {} bytes at {}{:#x}, which is no multiple of {}", verb(access.kind),
                       access.bytes, space, access.addresses[first], access.bytes);
  });
}

// Global memory.

bool inside(const Window& window, std::uint64_t address, std::size_t bytes) {
  return address - window.address < window.size &&
         window.size - (address - window.address) >= bytes;
}

// Puts the allocation that holds the address into the window; false when none does.
bool open_window(Worker& worker, Window& window, std::uint64_t address, std::size_t bytes) {
  const Allocation* allocation = worker.memory->find(address);
  if (allocation == nullptr || allocation->freed || address < allocation->address) return false;
  Window found{.address = allocation->address,
               .size = allocation->size,
               .data = allocation->data,
               .written = allocation->written};
  if (!inside(found, address, bytes)) return false;
  if (worker.shadow != nullptr) {
    const LaunchShadow::Maps maps = worker.shadow->of(*allocation);
    found.launch_read = maps.read;
    found.launch_written = maps.written;
  }
  if (worker.races != nullptr) found.races = &worker.races->of(*allocation);
  window = found;
  return true;
}

// What an access looks at lies apart: the waits for memory go side by side.
void prefetch(const Window& window, std::size_t offset, std::size_t bytes) {
  constexpr std::size_t kCacheLine = 64;
  __builtin_prefetch(window.written + offset / 64);
  if (window.launch_read != nullptr) {
    __builtin_prefetch(window.launch_read + offset / 64);
    __builtin_prefetch(window.launch_written + offset / 64);
  }
  if (window.races != nullptr) {
    const std::size_t line = std::size_t{RaceLine::kGranules} << window.races->granule_shift;
    for (std::size_t at = offset; at < offset + bytes; at += line) {
      __builtin_prefetch(&window.races->lines[at / line], 1);
    }
  }
  for (std::size_t at = 0; at < bytes; at += kCacheLine) {
    __builtin_prefetch(window.data + offset + at);
  }
}

void note_nc_load(Worker& worker, const Instruction& i, const Window& window, std::uint64_t address,
                  std::size_t bytes) {
  set_all(window.launch_read, address - window.address, bytes);
  Worker::NcRange& range = worker.nc_ranges[i.index];
  range.first = std::min(range.first, address);
  range.last = std::max(range.last, address + bytes - 1);
}

std::string where(const Memory& memory, std::uint64_t address, std::size_t bytes) {
  const Allocation* near = memory.find(address);
  if (near == nullptr) return "no allocation is near";
  if (near->freed) return near->describe();
  const std::uint64_t end = near->address + near->size;
  if (address < near->address) {
    return fmt::format("{} bytes before {}", near->address - address, near->describe());
  }
  if (address >= end) return fmt::format("{} bytes past {}", address - end, near->describe());
  return fmt::format("{} bytes past {}", address + bytes - end, near->describe());
}

void count_sectors(Counts::Access& count, const Access& access, std::uint32_t mask) {
  std::uint64_t sectors[2 * kLanes];
  int found = 0;
  bool sorted = true;
  each_lane_of(mask, [&](int lane) {
    const std::uint64_t first = access.addresses[lane] / kSector;
    const std::uint64_t last = (access.addresses[lane] + std::uint64_t(access.bytes) - 1) / kSector;
    for (const std::uint64_t sector : {first, last}) {
      if (found != 0 && sectors[found - 1] == sector) continue;
      if (found != 0 && sectors[found - 1] > sector) sorted = false;
      sectors[found++] = sector;
    }
  });
  if (!sorted) {
    std::sort(sectors, sectors + found);
    found = int(std::unique(sectors, sectors + found) - sectors);
  }
  count.requests += 1;
  count.bytes += std::uint64_t(access.bytes) * std::uint64_t(std::popcount(mask));
  count.sectors += std::uint64_t(found);
}

// Lanes at one address take turns, those at different addresses of a sector go in one pass.
void count_atomics(Worker& worker, const Access& access, std::uint32_t mask) {
  std::array<std::uint64_t, kLanes> addresses{};
  std::size_t lanes = 0;
  each_lane_of(mask, [&](int lane) { addresses.at(lanes++) = access.addresses[lane]; });
  std::sort(addresses.begin(), addresses.begin() + std::ptrdiff_t(lanes));
  std::uint64_t times = 0;   // at this address
  std::uint64_t passes = 0;  // of this sector
  for (std::size_t i = 0; i < lanes; ++i) {
    const std::uint64_t address = addresses.at(i);
    const std::uint64_t next = i + 1 < lanes ? addresses.at(i + 1) : ~std::uint64_t{0};
    passes = std::max(passes, ++times);
    if (next == address) continue;
    worker.atomic_addresses[address] += times;
    times = 0;
    if (next / kSector == address / kSector) continue;
    worker.atomic_lines[address / kLine] += passes;
    worker.counts.atomic_passes += passes;
    passes = 0;
  }
  worker.counts.atomics += lanes;
}

void report_uninitialised(Warp& w, const Instruction& i, const Access& access, int lane) {
  w.worker->report(Check::uninitialised, w, i, lane, [&] {
    return fmt::format("{} {} bytes at {:#x} that nothing wrote, {}", verb(access.kind),
                       access.bytes, access.addresses[lane],
                       w.worker->memory->place_of(access.addresses[lane]));
  });
}

std::uint32_t lanes_from(int lane, int lanes) {
  return std::uint32_t(((std::uint64_t{1} << lanes) - 1) << lane);
}

// How many lanes of the mask from `lane` on have addresses side by side.
int side_by_side(const Access& access, std::uint32_t mask, int lane) {
  int end = lane + 1;
  while (end < kLanes && (mask >> end & 1U) != 0 &&
         access.addresses[end] == access.addresses[end - 1] + std::uint64_t(access.bytes)) {
    ++end;
  }
  return end - lane;
}

// Lanes side by side: all at once, else line by line, else one by one.
void note_races(Warp& w, const Instruction& i, const Access& access, const Window& window, int lane,
                int lanes) {
  GlobalRaces& races = *w.worker->races;
  RaceMap& map = *window.races;
  const auto bytes = std::size_t(access.bytes);
  const bool store = access.kind == AccessKind::store;
  const auto noted = [&](int first, int count) {
    const std::size_t offset = access.addresses[first] - window.address;
    const std::byte* written = store ? access.values + std::size_t(first) * bytes : nullptr;
    return races.note_all(map, w, i, {first, count}, offset, bytes, store, written).done;
  };
  const std::size_t begin = access.addresses[lane] - window.address;
  const bool whole = !i.strong && access.kind != AccessKind::atomic && begin % bytes == 0;
  if (whole && noted(lane, lanes)) return;
  const std::size_t line = std::size_t{RaceLine::kGranules} << map.granule_shift;
  for (const int end = lane + lanes; lane < end;) {
    std::size_t offset = access.addresses[lane] - window.address;
    const int rest = std::min(end - lane, int((line - offset % line + bytes - 1) / bytes));
    const bool done = whole && noted(lane, rest);
    for (const int stop = lane + rest; lane < stop; ++lane, offset += bytes) {
      if (!done) races.note(map, w, i, access, lane, offset, window.data + offset);
    }
  }
}

// Checks and notes lanes side by side in one allocation; the first that reads what nothing wrote,
// or -1.
int touch_global(Warp& w, const Instruction& i, const Access& access, const Window& window,
                 int lane, int lanes) {
  Worker& worker = *w.worker;
  const auto bytes = std::size_t(access.bytes);
  const std::size_t all = bytes * std::size_t(lanes);
  const std::size_t offset = access.addresses[lane] - window.address;
  int unwritten = -1;
  if (access.kind != AccessKind::store && worker.check_uninitialised &&
      !all_set(window.written, offset, all)) {
    unwritten = lane;
    while (all_set(window.written, access.addresses[unwritten] - window.address, bytes)) {
      ++unwritten;
    }
  }
  if (access.kind != AccessKind::load) {
    set_all(window.written, offset, all);
    if (window.launch_written != nullptr) set_all(window.launch_written, offset, all);
  } else if (i.read_only && window.launch_read != nullptr) {
    note_nc_load(worker, i, window, access.addresses[lane], all);
  }
  if (window.races != nullptr) note_races(w, i, access, window, lane, lanes);
  if (i.strong && access.kind != AccessKind::atomic) {
    const bool load = access.kind == AccessKind::load;
    for (int n = lane; n < lane + lanes; ++n) {
      synchronise(w, i, access.kind, n, access.addresses[n], load, !load);
    }
  }
  return unwritten;
}

void resolve_global(Warp& w, const Instruction& i, const Access& access, std::byte** pointers) {
  Worker& worker = *w.worker;
  Window& window = worker.windows[i.index];
  const auto bytes = std::size_t(access.bytes);
  check_alignment(w, i, access, "");
  if (access.kind == AccessKind::load) {
    count_sectors(worker.counts.loads, access, w.mask);
  } else if (access.kind == AccessKind::store) {
    count_sectors(worker.counts.stores, access, w.mask);
  } else {
    count_atomics(worker, access, w.mask);
  }
  std::uint32_t lost = 0;
  int unwritten = -1;
  for (std::uint32_t left = w.mask; left != 0;) {
    const int lane = std::countr_zero(left);
    int lanes = side_by_side(access, left, lane);
    const std::uint64_t address = access.addresses[lane];
    const auto all = [&] { return bytes * std::size_t(lanes); };
    if (!inside(window, address, all()) && !open_window(worker, window, address, all())) lanes = 1;
    left &= ~lanes_from(lane, lanes);
    if (lanes == 1 && !inside(window, address, bytes) &&
        !open_window(worker, window, address, bytes)) {
      pointers[lane] = nowhere(worker, access.kind);
      lost |= 1U << lane;
      continue;
    }
    for (int n = 0; n < lanes; ++n) {
      pointers[lane + n] = window.data + (address - window.address) + std::size_t(n) * bytes;
    }
    prefetch(window, address - window.address, all());
    const int missing = touch_global(w, i, access, window, lane, lanes);
    if (unwritten < 0) unwritten = missing;
  }
  if (unwritten >= 0) report_uninitialised(w, i, access, unwritten);
  if (lost == 0) return;
  const int lane = std::countr_zero(lost);
  worker.report(Check::out_of_bounds, w, i, lane, [&] {
    return fmt::format("{} {} bytes at {:#x}: {}", verb(access.kind), bytes, access.addresses[lane],
                       where(*worker.memory, access.addresses[lane], bytes));
  });
  if (access.kind != AccessKind::load) end_threads(w, lost);
}

// Shared memory.

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

// Several readers of one warp; of several warps it is kSeveral.
constexpr std::uint16_t kSeveralOfWarp = 0x8000;

class SharedCheck {
 public:
  SharedCheck(Warp& warp, const Instruction& instruction, const Access& access,
              std::byte** pointers)
      : w_(warp), i_(instruction), access_(access), pointers_(pointers) {}

  void lane(int lane) {
    const auto granule = std::uint64_t(w_.worker->program->shared_granule);
    const std::uint64_t first = access_.addresses[lane] / granule;
    const std::uint64_t last =
        (access_.addresses[lane] + std::uint64_t(access_.bytes) - 1) / granule;
    for (std::uint64_t at = first; at <= last; ++at) cell(lane, w_.block->cells[at]);
  }

  // 32 lanes side by side, a cell for each, none of which another thread touched since the last
  // barrier: the usual case. False, and nothing done, otherwise.
  bool all_own() {
    if (access_.kind == AccessKind::atomic) return false;
    SharedCell* cells = &w_.block->cells[access_.addresses[0] / std::uint64_t(access_.bytes)];
    const std::uint32_t epoch = w_.block->epoch;
    const std::uint32_t first = w_.block->first_epoch;
    const auto self = std::uint16_t(w_.number * kLanes);
    const bool load = access_.kind == AccessKind::load;
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
        c.read_sync = w_.sync_epoch;
        c.reader = me;
      } else {
        c.write_epoch = epoch;
        c.write_sync = w_.sync_epoch;
        c.writer = me;
        c.atomic = false;
      }
    }
    return true;
  }

  void report() const {
    Worker& worker = *w_.worker;
    if (unwritten_ >= 0) {
      worker.report(Check::uninitialised, w_, i_, unwritten_, [&] {
        return fmt::format("{} {} shared bytes at {:#x} that nothing wrote", verb(access_.kind),
                           access_.bytes, access_.addresses[unwritten_]);
      });
    }
    if (racing_ < 0) return;
    worker.report(Check::shared_race, w_, i_, racing_, [&] {
      const std::string other = other_ < kSeveralOfWarp ? fmt::format("thread {}", other_)
                                                        : std::string("several threads");
      return fmt::format("{} shared {:#x}, which {} {} with no barrier between", verb(access_.kind),
                         access_.addresses[racing_], other, other_wrote_ ? "wrote" : "read");
    });
  }

 private:
  [[nodiscard]] bool ordered(std::uint16_t other, std::uint32_t sync, std::uint16_t self) const {
    if (other == self) return true;
    if (other == kSeveral) return false;
    const int warp = (other & kSeveralOfWarp) != 0 ? other & 0x3FF : other / kLanes;
    return warp == w_.number && sync != w_.sync_epoch;
  }

  // What is written is there already, by this instruction or an earlier one.
  [[nodiscard]] bool same_value(int lane) const {
    if (access_.values == nullptr) return false;
    const auto bytes = std::size_t(access_.bytes);
    const std::byte* value = access_.values + std::size_t(lane) * bytes;
    const std::byte* there = pointers_[lane];
    for (int before = 0; before < lane; ++before) {
      const bool same_place =
          (w_.mask >> before & 1U) != 0 && access_.addresses[before] == access_.addresses[lane];
      if (same_place) there = access_.values + std::size_t(before) * bytes;
    }
    return std::memcmp(there, value, bytes) == 0;
  }

  void found(int lane, std::uint16_t other, bool wrote) {
    if (racing_ >= 0) return;
    racing_ = lane;
    other_ = other;
    other_wrote_ = wrote;
  }

  void cell(int lane, SharedCell& c) {
    const std::uint32_t epoch = w_.block->epoch;
    const auto self = std::uint16_t(w_.number * kLanes + lane);
    const bool writes = access_.kind != AccessKind::load;
    const bool atomic = access_.kind == AccessKind::atomic;
    if (access_.kind != AccessKind::store && c.write_epoch < w_.block->first_epoch &&
        unwritten_ < 0 && w_.worker->check_uninitialised) {
      unwritten_ = lane;
    }
    if (w_.worker->check_shared_race) {
      const bool after_write = c.write_epoch == epoch && !ordered(c.writer, c.write_sync, self);
      if (after_write && !(atomic && c.atomic) &&
          !(access_.kind == AccessKind::store && same_value(lane))) {
        found(lane, c.writer, true);
      }
      if (writes && c.read_epoch == epoch && !ordered(c.reader, c.read_sync, self) &&
          !(access_.kind == AccessKind::store && same_value(lane))) {
        found(lane, c.reader, false);
      }
    }
    if (writes) {
      c.write_epoch = epoch;
      c.write_sync = w_.sync_epoch;
      c.writer = self;
      c.atomic = atomic;
    } else {
      note_read(c, epoch, self);
    }
  }

  void note_read(SharedCell& c, std::uint32_t epoch, std::uint16_t self) const {
    const auto warp = std::uint16_t(kSeveralOfWarp | unsigned(w_.number));
    if (c.read_epoch != epoch) {
      c.reader = self;
    } else if (c.reader != self && c.reader != kSeveral) {
      const bool same_warp =
          c.reader == warp || ((c.reader & kSeveralOfWarp) == 0 && c.reader / kLanes == w_.number);
      c.reader = same_warp ? warp : kSeveral;
    }
    c.read_epoch = epoch;
    c.read_sync = w_.sync_epoch;
  }

  Warp& w_;
  const Instruction& i_;
  const Access& access_;
  std::byte** pointers_;
  int unwritten_ = -1;
  int racing_ = -1;
  std::uint16_t other_ = 0;
  bool other_wrote_ = false;
};

// Memory of a block or a thread, of a fixed size.
std::uint32_t resolve_small(Warp& w, const Instruction& i, const Access& access,
                            std::byte** pointers, std::size_t size, const char* name) {
  const auto bytes = std::size_t(access.bytes);
  std::uint32_t lost = 0;
  each_lane_of(w.mask, [&](int lane) {
    const std::uint64_t address = access.addresses[lane];
    if (address >= size || size - address < bytes) lost |= 1U << lane;
  });
  if (lost == 0) return 0;
  const int lane = std::countr_zero(lost);
  w.worker->report(Check::out_of_bounds, w, i, lane, [&] {
    return fmt::format("{} {} bytes at {} {:#x}; there are {} bytes", verb(access.kind), bytes,
                       name, access.addresses[lane], size);
  });
  each_lane_of(lost, [&](int l) { pointers[l] = nowhere(*w.worker, access.kind); });
  return lost;
}

void resolve_shared(Warp& w, const Instruction& i, const Access& access, std::byte** pointers) {
  Worker& worker = *w.worker;
  check_alignment(w, i, access, "shared ");
  const std::uint32_t lost = resolve_small(w, i, access, pointers, worker.shared_bytes, "shared");
  ++worker.counts.shared_requests;
  const bool side_by_side = neighbours(access, w.mask);
  if (!side_by_side) worker.counts.bank_conflicts += bank_conflicts(access, w.mask);
  std::byte* shared = w.block->shared.data();
  each_lane_of(w.mask & ~lost, [&](int lane) { pointers[lane] = shared + access.addresses[lane]; });
  if (worker.check_shared_race || worker.check_uninitialised) {
    SharedCheck check(w, i, access, pointers);
    const bool simple = side_by_side && lost == 0 &&
                        access.bytes == worker.program->shared_granule &&
                        access.addresses[0] % std::uint64_t(access.bytes) == 0;
    if (!simple || !check.all_own()) {
      each_lane_of(w.mask & ~lost, [&](int lane) { check.lane(lane); });
      check.report();
    }
  }
  if (lost != 0 && access.kind != AccessKind::load) end_threads(w, lost);
}

void resolve_local(Warp& w, const Instruction& i, const Access& access, std::byte** pointers) {
  const std::size_t size = w.worker->program->local_bytes;
  check_alignment(w, i, access, "local ");
  const std::uint32_t lost = resolve_small(w, i, access, pointers, size, "local");
  std::byte* local = w.block->local.data();
  each_lane_of(w.mask & ~lost, [&](int lane) {
    const auto thread = std::size_t(w.number) * kLanes + std::size_t(lane);
    pointers[lane] = local + thread * size + access.addresses[lane];
  });
  if (lost != 0 && access.kind != AccessKind::load) end_threads(w, lost);
}

void resolve_parameter(Warp& w, const Instruction& i, const Access& access, std::byte** pointers) {
  check_alignment(w, i, access, "parameter ");
  const std::uint32_t lost =
      resolve_small(w, i, access, pointers, w.worker->parameter_bytes, "parameter");
  each_lane_of(w.mask & ~lost, [&](int lane) {
    // Nothing writes through it: there is no store into parameters.
    pointers[lane] = const_cast<std::byte*>(w.worker->parameters) + access.addresses[lane];
  });
}

}  // namespace

const char* verb(AccessKind kind) {
  switch (kind) {
    case AccessKind::load:
      return "reads";
    case AccessKind::store:
      return "writes";
    default:
      return "updates";
  }
}

void resolve(Space space, Warp& warp, const Instruction& instruction, const Access& access,
             std::byte** pointers) {
  if (access.kind == AccessKind::store) ++warp.worker->changes;
  switch (space) {
    case Space::shared:
      resolve_shared(warp, instruction, access, pointers);
      break;
    case Space::local:
      resolve_local(warp, instruction, access, pointers);
      break;
    case Space::parameter:
      resolve_parameter(warp, instruction, access, pointers);
      break;
    default:
      resolve_global(warp, instruction, access, pointers);
      break;
  }
}

Contiguous resolve_contiguous(Warp& warp, const Instruction& instruction,
                              const std::uint64_t* addresses, int bytes, bool store) {
  const std::uint64_t address = addresses[0];
  Worker& worker = *warp.worker;
  Window& window = worker.windows[instruction.index];
  const auto all = std::size_t(bytes) * kLanes;
  if ((address & std::uint64_t(bytes - 1)) != 0) return {};
  if (!inside(window, address, all) && !open_window(worker, window, address, all)) return {};
  const std::size_t offset = address - window.address;
  prefetch(window, offset, all);
  if (!store && worker.check_uninitialised && !all_set(window.written, offset, all)) return {};
  Contiguous found{.data = window.data + offset};
  if (window.races != nullptr) {
    if (instruction.strong) return {};
    const auto [done, copy] = worker.races->note_all(*window.races, warp, instruction, {0, kLanes},
                                                     offset, std::size_t(bytes), store, nullptr);
    if (!done && store) return {};
    if (!done) {
      note_races(warp, instruction, {addresses, bytes, AccessKind::load, nullptr}, window, 0,
                 kLanes);
    }
    found.copy = copy;
  }
  if (store) {
    set_all(window.written, offset, all);
    if (window.launch_written != nullptr) set_all(window.launch_written, offset, all);
    ++worker.changes;
  } else if (instruction.read_only && window.launch_read != nullptr) {
    note_nc_load(worker, instruction, window, address, all);
  }
  Counts::Access& count = store ? worker.counts.stores : worker.counts.loads;
  count.requests += 1;
  count.bytes += all;
  count.sectors += (address + all - 1) / kSector - address / kSector + 1;
  return found;
}

void synchronise(Warp& warp, const Instruction& instruction, AccessKind kind, int lane,
                 std::uint64_t address, bool reads, bool writes) {
  Causality* causality = warp.worker->causality;
  if (causality == nullptr || !instruction.strong) return;
  BlockClock& clock = warp.block->clock;
  const auto thread = std::uint32_t(warp.number * kLanes + lane);
  if (reads) causality->read(clock, thread, address);
  if (writes && instruction.releases) causality->release(clock, thread);
  if (writes) causality->write(clock, thread, address, kind == AccessKind::atomic);
  if (reads && instruction.acquires) {
    causality->acquire(clock, thread, FenceKind::acquire_release);
  }
}

Space space_of(std::uint64_t address) {
  switch (address / kWindow) {
    case kSharedWindow / kWindow:
      return Space::shared;
    case kLocalWindow / kWindow:
      return Space::local;
    case kParameterWindow / kWindow:
      return Space::parameter;
    default:
      return Space::global;
  }
}

std::uint64_t window_of(Space space) {
  switch (space) {
    case Space::shared:
      return kSharedWindow;
    case Space::local:
      return kLocalWindow;
    case Space::parameter:
      return kParameterWindow;
    default:
      return 0;
  }
}

void end_threads(Warp& warp, std::uint32_t lanes) {
  warp.exited |= lanes;
  warp.mask &= ~lanes;
  warp.end = 0;
  warp.block->exited += std::uint32_t(std::popcount(lanes));
}

}  // namespace grkan::vgpu
