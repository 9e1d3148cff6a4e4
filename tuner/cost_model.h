// The cost model: how long a call would take on a GPU that is not here, from what is known of its
// launches and of the GPU. Pure functions of plain values; docs/prediction.md explains the
// formulas.
//
//   GpuCall call{task, schedule, gpu_model("h200"), rows, inner};
//   executed:  SampleShape sample = sample_shape(call);
//              run sample.rows rows on a virtual GPU with a grid for sample.multiprocessors
//              facts = executed_facts(call, sample, report.at("launches"));
//   static:    json = CompilerApi::count(task, schedule, target, rows, inner, multiprocessors)
//              facts = static_facts(call, json);
//   predict(facts, call.gpu).seconds
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/gpu_models.h"
#include "core/schedule.h"
#include "core/task.h"

namespace grkan {

// Warp instructions, by what executes them. Each is in one class; their sum is what is issued.
struct WarpInstructions {
  double fp32 = 0;    // fma, mul, add; a packed pair counts as one
  double packed = 0;  // of fp32: those that work on two values
  double fp64 = 0;
  double special = 0;  // reciprocals and the like
  double convert = 0;
  double integer = 0;  // integers, logic, comparisons
  double memory = 0;   // loads, stores, atomics, shuffles
  double other = 0;    // moves, branches, barriers: issued, no pipe of their own

  [[nodiscard]] double issued() const {
    return fp32 + fp64 + special + convert + integer + memory + other;
  }
  bool operator==(const WarpInstructions&) const = default;
};

// What is known of one launch. Counts are totals of the launch, not whole where they were scaled.
struct LaunchFacts {
  std::string kernel;
  bool executed = false;      // counted by executing it; else from the code
  bool programmatic = false;  // starts while the launch before it ends

  // Its shape. No blocks: something that the device does in between, such as a memset.
  double blocks = 0;
  int threads = 0;          // of a block
  int resident_blocks = 1;  // that a multiprocessor holds at once

  WarpInstructions instructions;
  double dram_bytes = 0;    // the least that has to come from or go to DRAM
  double loaded_bytes = 0;  // of that and of the caches: what threads wait for
  double bytes_ahead = 0;   // that a thread has requested and waits for at once, at most
  double independent = 1;   // chains of arithmetic that a thread has side by side
  double round_trips = 1;   // of a block outside of the loop over loaded_bytes, one after another
  double sectors = 0;       // of 32 bytes: loads and stores of global memory
  double memory_requests = 0;  // of warps, of global memory
  double shared_passes = 0;    // of warps, of shared memory: requests and bank conflicts
  double barriers = 0;         // of warps
  double atomics = 0;          // of lanes, on global memory
  double most_atomics = 0;     // at one address

  bool operator==(const LaunchFacts&) const = default;
};

// `factor` times as many blocks that do the same.
LaunchFacts scaled(LaunchFacts facts, double factor);

// A call of this project's kernels on a GPU model.
struct GpuCall {
  Task task;
  CudaSchedule schedule;
  GpuModel gpu;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
};

// A small call whose blocks do what the blocks of the whole call do: as many rows of each block,
// but few row blocks. Executing it costs milliseconds, and the counts of the whole call are its
// counts times the blocks.
struct SampleShape {
  std::int64_t rows = 1;
  int multiprocessors = 1;  // for core/cuda_call.h's cuda_launch
  bool operator==(const SampleShape&) const = default;
};
SampleShape sample_shape(const GpuCall& call);

// The launches of a call, memsets between them included, in order.
// From the launches of a virtual GPU's report (docs/virtual-gpu.md, "launches") of the sample. The
// sample may also be any other call of the same task and schedule, {rows executed, multiprocessors
// of the virtual GPU}: the whole call itself gives its own counts, one with other rows for each
// block gives them as far as they grow with the rows. Throws invalid_argument when the report is
// not one of these launches.
std::vector<LaunchFacts> executed_facts(const GpuCall& call, const SampleShape& sample,
                                        const nlohmann::json& launches);
// From the instruction counts of the compiler (codegen/sass.h) for this call. Throws unsupported
// when the counts are null, with their reason.
std::vector<LaunchFacts> static_facts(const GpuCall& call, const nlohmann::json& counts);

// One launch of a report as it stands, for kernels that are not ours: what the report does not have
// (dram_bytes, loaded_bytes, bytes_ahead, independent, round_trips) is left as it is by default.
LaunchFacts launch_facts(const nlohmann::json& launch);

// The resources of a GPU; a launch takes at least as long as the one it needs longest.
enum class Resource : std::uint8_t {
  dram,
  l2,
  issue,  // warp instructions of any kind
  fp32,
  fp64,
  special,
  convert,
  integer,
  shared,  // shared memory and first-level cache
  atomics,
  latency,       // waiting for memory with too few bytes requested ahead
  dependencies,  // waiting for arithmetic with too few warps and chains
  launch,        // overhead of launches
};
inline constexpr std::size_t kResources = 13;
std::string_view to_string(Resource resource);

struct Prediction {
  double seconds = 0;
  // What each resource alone would take, work spread evenly over the multiprocessors. They overlap:
  // their sum is not `seconds`.
  std::array<double, kResources> parts{};
  double tail_seconds = 0;  // of `seconds`: lost because blocks don't fill multiprocessors evenly
  Resource bound = Resource::dram;  // the largest part
  double floor_seconds = 0;         // dram_bytes at the bandwidth of the data sheet
  bool executed = false;            // all counts were executed
  // The figures that it rests on and that are assumed: "clock_mhz: commonly reported ...".
  std::vector<std::string> assumed;

  [[nodiscard]] double part(Resource resource) const { return parts[std::size_t(resource)]; }
  // floor / time: 1 is as fast as DRAM.
  [[nodiscard]] double fraction_of_floor() const {
    return seconds > 0 ? floor_seconds / seconds : 0;
  }
};
// Always finite and positive for at least one launch.
Prediction predict(std::span<const LaunchFacts> launches, const GpuModel& gpu);

}  // namespace grkan
