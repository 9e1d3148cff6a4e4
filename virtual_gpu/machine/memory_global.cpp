// Global memory: allocations, sectors, atomics, and races between blocks.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "virtual_gpu/checks/bits.h"
#include "virtual_gpu/checks/global_races.h"
#include "virtual_gpu/checks/launch_shadow.h"
#include "virtual_gpu/machine/memory_spaces.h"

namespace grkan::vgpu {
namespace {

constexpr std::size_t kSector = 32;
constexpr std::size_t kLine = 128;

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
    const LaunchShadow::Maps maps = worker.shadow->of(allocation->address, allocation->size);
    found.launch_read = maps.read;
    found.launch_written = maps.written;
  }
  if (worker.races != nullptr) {
    found.races = &worker.races->of(allocation->address, allocation->size);
  }
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

RaceActor actor_of(const Warp& w, const Instruction& i, int lane) {
  const auto thread = std::uint32_t(w.number * kLanes + lane);
  return {w.block->clock, Accessor::pack(i.index, thread), i.strong};
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
    return races.note_all(map, actor_of(w, i, first), count, offset, bytes, store, written).done;
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
      if (done) continue;
      const std::optional<Race> race =
          races.note(map, actor_of(w, i, lane), access, lane, offset, window.data + offset);
      if (race) w.worker->report(*race);
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

}  // namespace

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
    const auto [done, copy] =
        worker.races->note_all(*window.races, actor_of(warp, instruction, 0), kLanes, offset,
                               std::size_t(bytes), store, nullptr);
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

}  // namespace grkan::vgpu
