// What a handler sees: a warp of a block, executed by a worker (one host thread of a launch).
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "virtual_gpu/checks/causality.h"
#include "virtual_gpu/checks/shared_races.h"
#include "virtual_gpu/machine/launch.h"
#include "virtual_gpu/ptx/program.h"

namespace grkan::vgpu {

struct Block;
struct Worker;
class GlobalRaces;
class LaunchShadow;
struct Race;
struct RaceMap;

struct Warp {
  std::byte* registers = nullptr;
  std::uint32_t mask = 0;  // lanes that execute now
  std::uint32_t pc = 0;
  std::uint32_t end = 0;    // a straight run goes up to here; a handler may shorten it
  std::uint32_t carry = 0;  // the condition code, a bit for each lane
  Block* block = nullptr;
  Worker* worker = nullptr;
  int number = 0;  // in its block

  // Lanes by what they wait for; a lane of none of these and not exited can run.
  std::uint32_t lanes = 0;  // that exist
  std::uint32_t exited = 0;
  std::uint32_t at_barrier = 0;
  std::uint32_t at_sync = 0;  // wait for other lanes of the warp
  std::array<std::uint32_t, kLanes> pcs{};
  std::array<std::uint8_t, kLanes> barrier{};  // its number
  std::uint32_t sync_epoch = 0;                // warp-level synchronisations so far
  std::uint32_t backward = 0;                  // backward branches while other lanes wait
  bool prefer_highest = false;
  std::uint64_t executed = 0;  // warp instructions

  [[nodiscard]] std::uint32_t runnable() const { return lanes & ~exited & ~at_barrier & ~at_sync; }
};

struct Barrier {
  std::uint32_t arrived = 0;   // threads
  std::uint32_t expected = 0;  // 0: all that have not exited
  std::uint32_t count = 0;     // bar.red: true predicates
  bool all = true;
  bool any = false;
};

struct Block {
  std::uint64_t linear = 0;  // index in the grid, x fastest
  Dim3 index;
  std::vector<Warp> warps;
  std::vector<std::byte> registers;  // of all warps
  std::byte* aligned_registers = nullptr;
  std::vector<std::byte> shared;
  std::vector<std::byte> local;
  SharedRaces shared_races;
  std::array<Barrier, 16> barriers;
  std::uint32_t threads = 0;
  std::uint32_t exited = 0;
  bool done = false;
  BlockClock clock;  // among the blocks
};

// A finding under way. The block that reports is the one that runs first by number, so that the
// text does not depend on the order.
struct PendingFinding {
  std::string detail;
  std::uint64_t block = 0;
  std::uint64_t times = 0;
};

// Part of an allocation's state that a memory instruction used last.
struct Window {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  std::byte* data = nullptr;
  std::uint64_t* written = nullptr;
  std::uint64_t* launch_read = nullptr;     // by .nc loads of this launch
  std::uint64_t* launch_written = nullptr;  // by this launch
  RaceMap* races = nullptr;
};

struct Worker {
  const ModuleKernel* kernel = nullptr;
  const Program* program = nullptr;
  Memory* memory = nullptr;
  LaunchShadow* shadow = nullptr;
  GlobalRaces* races = nullptr;    // null: not checked
  Causality* causality = nullptr;  // null: not checked, or nothing orders blocks
  const std::byte* parameters = nullptr;
  std::size_t parameter_bytes = 0;
  std::size_t shared_bytes = 0;
  std::size_t dynamic_shared = 0;
  Dim3 grid, block;
  std::bitset<kChecks> checks;
  bool check_uninitialised = false;
  bool check_misaligned = false;
  bool check_shared_race = false;
  bool check_read_only = false;
  std::uint64_t seed = 0;
  int approximation_ulps = 0;
  std::array<std::uint8_t, kLanes> lane_order{};  // of atomics

  std::vector<Window> windows;  // of each instruction
  // Executions of each instruction as differences: what runs[i] adds holds from i on.
  std::vector<std::uint64_t> lane_steps;
  std::vector<std::uint64_t> warp_steps;
  std::vector<std::uint64_t> lanes_off;  // guarded off
  Counts counts;                         // memory's part
  std::unordered_map<std::uint64_t, std::uint64_t> atomic_addresses;
  std::unordered_map<std::uint64_t, std::uint64_t> atomic_lines;  // passes
  struct NcRange {                                                // addresses that an .nc load read
    std::uint64_t first = ~std::uint64_t{0};
    std::uint64_t last = 0;
  };
  std::map<std::uint32_t, NcRange> nc_ranges;  // by instruction
  std::map<std::pair<std::uint32_t, Check>, PendingFinding> findings;
  std::uint64_t changes = 0;            // of memory: a sign of progress
  std::array<std::byte, 64> scratch{};  // where stores that nothing backs go
  std::string trap;                     // the first
  std::uint64_t trap_block = 0;

  // "thread (3, 0, 0) of block (0, 1, 0)"
  [[nodiscard]] std::string name_of(std::uint32_t thread, std::uint64_t block) const;
  // name_of() + " " + what(). Nothing where the check is switched off.
  void report(Check check, const Warp& warp, const Instruction& instruction, int lane,
              const std::function<std::string()>& what);
  void report(const Race& race);
  // Takes over what another worker of the launch found and noted, but for its counts.
  void merge(const Worker& other);

 private:
  void report(Check check, std::uint32_t instruction, std::uint64_t linear, std::uint32_t thread,
              const std::function<std::string()>& what);
};

// Calls f(lane) for the lanes of the mask.
template <class F>
inline void each_lane_of(std::uint32_t mask, F f) {
  for (; mask != 0; mask &= mask - 1) f(__builtin_ctz(mask));
}

template <class T>
inline T* slot(Warp& warp, std::uint32_t at) {
  return reinterpret_cast<T*>(warp.registers + at);
}
inline std::uint32_t& predicate(Warp& warp, std::uint32_t at) {
  return *reinterpret_cast<std::uint32_t*>(warp.registers + at);
}

}  // namespace grkan::vgpu
