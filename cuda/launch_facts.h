// What is known of the launches of a call before anything is timed: their shape, and what they make
// a GPU do. It comes from counts of the virtual GPU, which executed them, or of the compiler's
// code.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/cost_model.h"
#include "core/gpu_models.h"
#include "core/task.h"
#include "cuda/launch.h"
#include "cuda/schedule.h"

namespace grkan {

// Warp instructions by what executes them: each is in one class.
struct WarpInstructions {
  double fp32 = 0;    // fma, mul, add
  double packed = 0;  // the same on two values at once
  double fp64 = 0;
  double special = 0;  // reciprocals and the like
  double convert = 0;
  double integer = 0;  // integers, logic, comparisons
  double memory = 0;   // loads, stores, atomics, shuffles
  double other = 0;    // moves, branches, barriers: issued, no more

  [[nodiscard]] double issued() const {
    return fp32 + packed + fp64 + special + convert + integer + memory + other;
  }
  bool operator==(const WarpInstructions&) const = default;
};

// One launch. Counts are totals, not whole where they were scaled.
struct LaunchFacts {
  std::string kernel;
  bool executed = false;      // counted by executing it; else from the code
  bool programmatic = false;  // starts while the launch before it ends

  // Its shape. No blocks: something else that the device does in between, such as a memset.
  double blocks = 0;
  int threads = 0;          // of a block
  int resident_blocks = 1;  // that a multiprocessor holds at once

  WarpInstructions instructions;
  double independent = 1;  // chains of arithmetic that a thread has side by side

  double dram_bytes = 0;      // the least that has to come from or go to DRAM
  double streamed_bytes = 0;  // of these, those loaded: what threads wait for
  double bytes_ahead = 0;     // that a thread has requested at once, of streamed_bytes
  double sectors = 0;         // of 32 bytes, of loads and stores of global memory
  double requests = 0;        // of warps, of global memory
  // Loads that are waited for one after another and hit L2: in each block, beside streamed_bytes;
  // and once, when all blocks are done.
  double round_trips = 0;
  double last_round_trips = 0;

  double shared_passes = 0;     // of warps through shared memory: requests and bank conflicts
  double atomic_passes = 0;     // through the atomic units of L2 (docs/virtual-gpu.md)
  double most_line_passes = 0;  // the most of these at one line of 128 bytes

  bool operator==(const LaunchFacts&) const = default;
};

// `factor` times as many blocks that do the same.
LaunchFacts scaled(LaunchFacts facts, double factor);

// A launch of a virtual GPU's report as it stands. What the report does not have (programmatic,
// independent, dram_bytes, streamed_bytes, bytes_ahead, round trips) is as by default. Throws
// invalid_argument when it is no launch of a report.
LaunchFacts launch_facts(const nlohmann::json& launch);

// A call of this project's kernels on a GPU model.
struct GpuCall {
  Task task;
  CudaSchedule schedule;
  GpuModel gpu;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
};

// There are few row blocks, and each has as many rows, up to 64 a thread or a slab; the whole
// call's counts are its counts times the rows, so that long blocks' starts count a little too
// often.
SampleShape sample_shape(const GpuCall& call);

// The launches of a call in order, memsets included.

// From `launches` of the report of a virtual GPU (of call.gpu's model) that executed the call with
// these rows and a grid for these multiprocessors: the sample, or the whole call {rows, those of
// the model}. Throws invalid_argument when they are others, or when a block had other rows than it
// has in the call.
std::vector<LaunchFacts> executed_facts(const GpuCall& call, const SampleShape& sample,
                                        const nlohmann::json& launches);
// From the compiler's counts (codegen/cuda/sass.h) for this call and the model's multiprocessors:
// of machine code, or of PTX where there are none of that. Throws unsupported with the reason where
// there are neither, and where a block does not fit on a multiprocessor.
std::vector<LaunchFacts> static_facts(const GpuCall& call, const nlohmann::json& counts);
// From the schedule and its launch alone (cuda/code_estimate.h): about what static_facts() would
// say. Throws unsupported where a block would not fit on a multiprocessor.
std::vector<LaunchFacts> estimated_facts(const GpuCall& call, const CudaLaunch& launch);

}  // namespace grkan
