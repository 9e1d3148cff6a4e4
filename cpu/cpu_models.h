// CPU models: what the CPU's cost model knows of a processor. Every figure carries its source and
// how sure it is.
#pragma once

#include <span>
#include <string_view>

#include "core/figure.h"
#include "core/target.h"

namespace grkan {

// Of one core, where nothing else is said.
struct CpuModel {
  std::string_view name;  // "zen4", or "avx2", "avx512", "neon": any processor of that target
  Figure clock_mhz;
  Figure instructions;  // a clock
  Figure window;        // instructions under way at once
  // A pass is what a pipe does in a clock; a wider operation is several.
  Figure pass_bytes;
  Figure multiply_pipes;  // multiplications, fused ones
  Figure vector_pipes;    // all pipes of vectors, those included
  Figure convert_pipes;   // between types of 16, 32 and 64 bits
  Figure load_pipes;      // of the first-level cache
  Figure store_pipes;
  Figure division_clocks;      // f32, a pass
  Figure division_clocks_f64;  // f64, a pass
  Figure division_multiplies;  // passes that it takes of the multiply pipes, a pass of f32
  Figure division_multiplies_f64;
  Figure multiply_latency;  // clocks
  Figure division_latency;  // clocks
  // Memory.
  Figure l1_bytes;
  Figure l2_bytes;
  Figure l2_line_clocks;     // a line from L2 to L1
  Figure memory_latency_ns;  // of a load that misses every cache
  Figure lines_in_flight;    // that the first-level cache waits for at once
  Figure lines_to_learn;     // of a row of its own, until the prefetchers follow it
  Figure read_gbs;           // 1e9 bytes a second: a core reads one address after another
  Figure write_gbs;          // and stores past the caches
  Figure bandwidth_gbs;      // of all cores
  // Of the calls.
  Figure launch_us;  // waking the threads and waiting for the last one
  Figure slice_us;   // handing out a slice
};

// Its figures by name, in the order above.
std::span<const NamedFigure<CpuModel>> cpu_figure_fields();

std::span<const CpuModel> cpu_models();
// Throws invalid_argument naming the known models.
const CpuModel& cpu_model(std::string_view name);
// For a machine by its own name (core/device.h's `model`): the processor where it is known, else
// what is typical of the target's processors, all of it assumed.
const CpuModel& cpu_model_for(const Target& target, std::string_view machine);

}  // namespace grkan
