// CudaSchedule: how a CUDA kernel computes a task, with a name for each value of a Schedule.
#pragma once

#include "core/backend.h"
#include "core/schedule.h"

namespace grkan {

// Fields are ints so that one table (schedule.cpp), which says what each does, can read and set
// them; 0 means "does not apply" but where it has a name.
struct CudaSchedule {
  enum Polynomial { horner = 0, powers = 1, estrin = 2 };
  enum Division { ieee = 1, newton = 2, approximate = 3 };
  enum Accumulator { compensated = 0, f64 = 1 };
  enum Sums { two_pass = 1, programmatic = 2, last_block = 3, block_atomics = 4 };

  // compiled in
  int columns = 4;
  int rows_in_flight = 2;
  int tile_columns = 32;
  int tile_rows = 8;
  int min_blocks = 0;
  int polynomial = horner;
  int packed = 0;
  int division = newton;
  int run = 0;  // backward with da or db
  int accumulator = compensated;
  int sums = 0;  // backward with da or db
  int loads = 0;
  int stores = 0;
  // launched with
  int blocks = 4;
  int slab = 0;

  bool operator==(const CudaSchedule&) const = default;

  [[nodiscard]] int threads() const { return tile_columns * tile_rows; }

  operator Schedule() const;  // NOLINT(google-explicit-constructor): the same value
  static CudaSchedule from(const Schedule& schedule);
};

const Backend& cuda_backend();

// Bytes of the widest load or store that the schedule's kernel uses on a target.
int cuda_widest_access(const CudaSchedule& schedule, const Target& target);

// The schedule of the kernel that serves calls whose pointers or strides are not aligned to the
// vectors of `schedule`: one column a thread. Legal where `schedule` is.
CudaSchedule narrow_schedule(const Task& task, const CudaSchedule& schedule);

}  // namespace grkan
