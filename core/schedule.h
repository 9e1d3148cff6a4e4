// Schedule: HOW a task is computed. Two parts: what is compiled in, and how it is launched.
// One table of parameters for each kind of schedule (parameters()) drives printing, parsing and the
// tuner's space: a new parameter is one field and one row. Which schedules are legal: legality.cpp;
// those used when nothing is known: default_schedule.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/target.h"
#include "core/task.h"

namespace grkan {

// As CUB names it. run_to_run: same plan, same winner, same bits. gpu_to_gpu: also across winners
// and devices of a kind.
enum class Determinism : std::uint8_t { not_guaranteed, run_to_run, gpu_to_gpu };
std::string_view to_string(Determinism determinism);
Determinism parse_determinism(std::string_view text);

// Fields are ints so that one table can read and set them; 0 means "does not apply" and isn't
// printed.
struct CpuSchedule {
  enum Coefficients { broadcast = 1, expanded = 2 };
  enum Backward { split = 1, fused = 2 };
  enum Stores { cached = 1, nontemporal = 2 };

  // compiled in
  int vector = 8;  // lanes; LLVM splits what is wider than a register
  int unroll = 1;  // vectors computed in one step of the inner loop
  int rows = 4;    // rows of a block; a block is what shares coefficients in registers
  int coefficients = broadcast;  // broadcast: a segment at a time, one coefficient for all lanes.
                                 // expanded: a vector of columns at a time, each lane its own
                                 // coefficients (groups narrower than a vector)
  int run = 0;          // backward: terms that one f32 sum takes before it is added into double
  int backward = 0;     // split: w and v go through an L1 scratch to a second loop; or fused
  int stores = cached;  // of y or dx
  int prefetch = 0;  // blocks of rows ahead of a load that the same columns are requested; 0: none
  // launched with
  int slice_rows = 256;  // rows of a slice: what one thread takes, and one partial sum covers

  bool operator==(const CpuSchedule&) const = default;
};

struct CudaSchedule {
  enum Polynomial { horner = 0, powers = 1, estrin = 2 };
  enum Division { ieee = 1, newton = 2, approximate = 3 };
  enum Accumulator { compensated = 0, f64 = 1 };
  enum Sums { two_pass = 1, programmatic = 2, last_block = 3, block_atomics = 4 };

  // compiled in
  int columns = 4;          // adjacent columns (elements) of a thread, all in one segment
  int rows_in_flight = 2;   // rows whose loads are requested before they are computed
  int tile_columns = 32;    // threads of a block side by side along the columns
  int tile_rows = 8;        // threads of a block along the rows
  int min_blocks = 0;       // __launch_bounds__' second value: resident blocks a multiprocessor
  int polynomial = horner;  // horner: value and slope together; powers: sums of a_i x^i, with the
                            // powers of da and db; estrin: pairs, a shorter chain
  int packed = 0;           // 1: two adjacent columns in one f32x2 operation (sm_100 and later)
  int division = newton;    // ieee: correctly rounded; newton: rcp.approx and one Newton step;
                            // approximate: rcp.approx alone
  int run = 0;              // backward: rows a thread sums in f32 before a flush
  int accumulator = compensated;  // what runs are flushed to: f32 with its rounding error, or f64
  int sums = 0;    // backward with da or db. two_pass: partial sums, then a second kernel;
                   // programmatic: the second kernel starts while the first ends (sm_90 and
                   // later); last_block: the last block to finish adds; block_atomics: each block
                   // adds to da and db, in any order
  int loads = 0;   // of tensors; 1: streaming, first to leave the caches
  int stores = 0;  // of y or dx; 1: streaming
  // launched with
  int blocks = 4;  // blocks a multiprocessor of the grid; each walks down the rows
  int slab = 0;    // 0: the grid is that of `blocks`. Else rows of a block, on any device

  bool operator==(const CudaSchedule&) const = default;

  [[nodiscard]] int threads() const { return tile_columns * tile_rows; }
};

using Schedule = std::variant<CpuSchedule, CudaSchedule>;

// One parameter of a schedule. It prints as its token and number ("v8"), or, where it has words, as
// words[value - 1].
template <class S>
struct Parameter {
  std::string_view name;                    // as in the struct, for people
  std::string_view token;                   // printed before the number
  std::span<const std::string_view> words;  // empty: a number
  std::span<const int> values;              // what a tuner tries; any positive value parses
  bool compiled;                            // else a launch parameter
  bool shape;                               // of the tile; else how a tile is computed
  int S::* field;
};
std::span<const Parameter<CpuSchedule>> cpu_parameters();
std::span<const Parameter<CudaSchedule>> cuda_parameters();

// The compiled part, e.g. "v8_u1_r4_bcast_run64_split_nt"; the whole adds "@" and the launch part:
// "v8_u1_r4_bcast_run64_split_nt@slice256".
std::string compiled_text(const Schedule& schedule);
std::string to_string(const Schedule& schedule);
// The inverse of both. The kind of schedule is the target's.
Schedule parse_schedule(std::string_view text, const Target& target);

// Empty when the schedule can be generated for this task, target and determinism; else the reason,
// with the values met.
std::string why_illegal(const Task& task, const Schedule& schedule, const Target& target,
                        Determinism determinism = Determinism::run_to_run);

// The schedule used when nothing is known: always legal. Rows and inner only choose stores and
// sizes.
Schedule default_schedule(const Task& task, const Target& target, std::int64_t rows,
                          std::int64_t inner = 1,
                          Determinism determinism = Determinism::run_to_run);

// Whether what a call writes, y or dx, is small enough to be found in the last-level cache by the
// layer that reads it next: at most half of a typical cache of 32 MiB. Then stores past the caches
// cost that layer more than they save here (bench_next_layer). False where nothing is written.
bool output_stays_cached(const Task& task, std::int64_t rows, std::int64_t inner);

// Bytes of the widest load or store that the schedule's kernel uses on a target.
int cuda_widest_access(const CudaSchedule& schedule, const Target& target);

// The schedule of the kernel that serves calls whose pointers or strides are not aligned to the
// vectors of `schedule`: one column a thread. Legal where `schedule` is.
CudaSchedule narrow_schedule(const Task& task, const CudaSchedule& schedule);

}  // namespace grkan
