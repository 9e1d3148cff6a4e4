// One launch of a kernel, executed on the CPU warp by warp: what it computed is in Memory, what it
// did is counted, what it did wrong is found.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "virtual_gpu/checks/finding.h"
#include "virtual_gpu/machine/memory.h"
#include "virtual_gpu/machine/module.h"

namespace grkan::vgpu {

struct Dim3 {
  std::uint32_t x = 1, y = 1, z = 1;
  [[nodiscard]] std::uint64_t count() const { return std::uint64_t{x} * y * z; }
  bool operator==(const Dim3&) const = default;
};

struct LaunchOptions {
  std::bitset<kChecks> checks = std::bitset<kChecks>().set();
  std::uint64_t seed = 0;  // 0: blocks, warps and atomics in order; else shuffled by it
  // Approximate instructions (rcp.approx, ex2.approx ...): 0 exact, else off by at most that many
  // units in the last place, by the seed.
  int approximation_ulps = 0;
  int threads = 0;  // of the host; 0: all. The result does not depend on it.
  std::size_t most_findings = 100;
};

// Thread instructions (executed by active lanes), and what memory saw.
struct Counts {
  std::uint64_t instructions = 0;       // by active lanes
  std::uint64_t warp_instructions = 0;  // lane efficiency = instructions / (32 warp_instructions)
  std::map<std::string, std::uint64_t> classes;  // "fma", "global load" ...: lane instructions
  struct Access {                                // of one direction of global memory
    std::uint64_t requests = 0;                  // warp instructions
    std::uint64_t bytes = 0;                     // asked for by lanes
    std::uint64_t sectors = 0;                   // 32-byte sectors touched by each request
    bool operator==(const Access&) const = default;
  };
  Access loads, stores;
  std::uint64_t atomics = 0;           // lane operations, global
  std::uint64_t atomic_addresses = 0;  // different addresses among them
  std::uint64_t most_atomics = 0;      // at one address: contention
  // Passes that they need where the caches meet: of a request, lanes at one address take turns,
  // lanes at different addresses of a 32-byte sector go together.
  std::uint64_t atomic_passes = 0;
  std::uint64_t most_line_passes = 0;  // the most at one line of 128 bytes
  std::uint64_t shared_requests = 0;   // warp instructions
  std::uint64_t bank_conflicts = 0;    // passes beyond the first
  std::uint64_t barriers = 0;          // warp instructions

  bool operator==(const Counts&) const = default;
};

struct LaunchResult {
  Counts counts;
  std::vector<Finding> findings;  // in the order of the program
  std::string trap;               // empty, or which thread executed trap (an assertion, for one)
};

// `parameters` has kernel.parameter_bytes. The caller has checked grid, block and shared memory
// against the device. A finding does not stop the launch but for deadlock and out-of-bounds writes,
// which end the thread: an access that nothing backs reads 0 and writes nothing.
LaunchResult launch(const ModuleKernel& kernel, Dim3 grid, Dim3 block, std::size_t dynamic_shared,
                    std::span<const std::byte> parameters, Memory& memory,
                    const LaunchOptions& options);

}  // namespace grkan::vgpu
