// What a call on the CPU makes its cores do, by its schedule alone: nothing is compiled. Counts
// follow codegen/cpu_kernel, /cpu_columns and /rational; docs/prediction.md explains them.
#pragma once

#include <cstdint>

#include "core/target.h"
#include "core/task.h"
#include "cpu/cpu_models.h"
#include "cpu/schedule.h"

namespace grkan {

// A call of this project's kernels on a CPU model.
struct CpuWork {
  Task task;
  CpuSchedule schedule;
  Target target;
  CpuModel cpu;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  std::int64_t threads = 1;
};

// Instructions and passes (cpu/cpu_models.h).
struct CoreCounts {
  double instructions = 0;
  double multiplies = 0;
  double others = 0;  // additions, logic, comparisons
  double divisions = 0;
  double conversions = 0;
  double loads = 0;
  double stores = 0;
  double dependent_clocks = 0;  // of chains of operations, as far as the window can't hide them

  CoreCounts& operator+=(const CoreCounts& other);
  friend CoreCounts operator*(double times, CoreCounts counts);
  friend CoreCounts operator+(CoreCounts a, const CoreCounts& b) { return a += b; }
  bool operator==(const CoreCounts&) const = default;
};

// Of the whole call.
struct CpuFacts {
  CoreCounts first;    // the loops that read and write the tensors
  CoreCounts second;   // the loops of the sums, where they are on their own (split)
  CoreCounts between;  // around them: coefficients, addresses, sums added to the call's

  // Lines of 64 bytes.
  double streamed_lines = 0;     // read in the wake of the prefetchers; those that stores overwrite
                                 // are read too
  double exposed_lines = 0;      // read before the prefetchers follow, and waited for
  double requested_lines = 0;    // of these, those that the schedule's own requests fetch
  double overwritten_lines = 0;  // of exposed_lines, those of stores
  double lines_ahead = 1;        // that a core has asked for at once when it waits for one
  double evicted_lines = 0;      // requested so far ahead that they come from L2 again
  double stored_lines = 0;       // past the caches, and pieces of lines
  double written_lines = 0;      // back from the caches
  double tensor_bytes = 0;       // the least that has to be read and written
  double least_stored_bytes = 0;  // of these, written

  double slices = 1;
  double busiest = 1;        // share of the busiest thread
  double reduced = 0;        // additions that end slices, one after another
  double serial_clocks = 0;  // of one thread: planes, partial sums
};

CpuFacts cpu_facts(const CpuWork& work);

}  // namespace grkan
