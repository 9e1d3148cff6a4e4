// The cost model: how long launches would take on a GPU that is not here. A pure function of what
// is known of them and of the GPU; docs/prediction.md explains it.
//
//   GpuCall call{task, schedule, gpu_model("h200"), rows, inner};
//   executed:  SampleShape sample = sample_shape(call);
//              run sample.rows rows on a virtual GPU with a grid for sample.multiprocessors
//              facts = executed_facts(call, sample, report.at("launches"));
//   static:    counts = the compiler's `count` for task, schedule, target, rows, inner and the
//              model's multiprocessors (core/compiler_api.h)
//              facts = static_facts(call, counts);
//   predict(facts, call.gpu).seconds
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/gpu_models.h"
#include "tuner/launch_facts.h"

namespace grkan {

// What a launch can be bound by.
enum class Resource : std::uint8_t {
  dram,
  latency,  // of memory: too few bytes requested ahead
  l2,
  issue,  // warp instructions of any kind
  fp32,
  fp64,
  special,
  convert,
  integer,
  shared,  // shared memory and the first-level cache
  atomics,
  dependencies,  // of arithmetic: too few warps and chains
  launch,        // what a launch costs beside its work
};
inline constexpr std::size_t kResources = 13;
std::string_view to_string(Resource resource);

struct Prediction {
  double seconds = 0;
  // What each alone would take, the work spread evenly over the multiprocessors. They overlap:
  // their sum is more than `seconds`.
  std::array<double, kResources> parts{};
  double tail_seconds = 0;          // of `seconds`: multiprocessors idle for want of blocks
  Resource bound = Resource::dram;  // the largest part
  double floor_seconds = 0;         // all dram_bytes at the data sheet's bandwidth
  bool executed = false;            // all counts were executed
  // The figures it rests on that are assumed: "clock_mhz: commonly reported ...".
  std::vector<std::string> assumed;

  [[nodiscard]] double part(Resource resource) const { return parts.at(std::size_t(resource)); }
  // 1: as fast as DRAM.
  [[nodiscard]] double fraction_of_floor() const {
    return seconds > 0 ? floor_seconds / seconds : 0;
  }
};

// Finite, and positive for one launch or more. Launches run one after another.
Prediction predict(std::span<const LaunchFacts> launches, const GpuModel& gpu);

}  // namespace grkan
