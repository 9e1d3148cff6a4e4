// GPU models known without a device: what offline tuning and `grkan devices` read. Every figure
// carries its source and how sure it is.
#pragma once

#include <span>
#include <string_view>

#include "core/figure.h"

namespace grkan {

struct GpuModel {
  std::string_view name;       // "h200": as in virtual:h200 and --gpu h200
  std::string_view marketing;  // "NVIDIA H200 SXM"
  int compute_capability = 0;  // 90
  Figure multiprocessors;
  Figure memory_bytes;
  Figure clock_mhz;      // boost
  Figure bandwidth_gbs;  // 1e9 bytes a second
  Figure l2_bytes;
  Figure threads_per_multiprocessor;
  Figure registers_per_multiprocessor;     // 32-bit
  Figure shared_bytes_per_multiprocessor;  // the most that shared memory can be set to
  // What a cost model needs.
  Figure bandwidth_reached;  // of bandwidth_gbs, by a kernel that does nothing but stream
  Figure l2_bandwidth_gbs;   // 1e9 bytes a second, of reads that hit
  Figure memory_latency_ns;  // of a load that misses every cache, on an idle GPU
  Figure launch_us;          // from one small kernel to the next in a stream
  Figure atomic_clocks;      // an atomic unit of L2 for one pass (docs/virtual-gpu.md)
  // Of a multiprocessor, a clock.
  Figure warp_schedulers;  // each issues one warp instruction
  Figure fp32_lanes;       // lane results: fma, mul, add
  Figure fp64_lanes;
  Figure special_lanes;         // reciprocals and the like
  Figure convert_lanes;         // between types of 16, 32 and 64 bits
  Figure integer_lanes;         // add, compare, logic
  Figure shared_bytes_a_clock;  // shared memory, and the first-level cache beside it
};

// Its figures by name, in the order above.
using FigureField = NamedFigure<GpuModel>;
std::span<const FigureField> figure_fields();

std::span<const GpuModel> gpu_models();
// Throws invalid_argument naming the known models.
const GpuModel& gpu_model(std::string_view name);
// The model that a device is: of its compute capability and multiprocessors, with its memory within
// 10 %; the nearest in memory. Null where there is none.
const GpuModel* find_gpu_model(int compute_capability, int multiprocessors, double memory_bytes);

}  // namespace grkan
