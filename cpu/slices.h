// Slices: how a call on the CPU is cut into pieces of work. A pure function of the task, the
// schedule and the size, never of the number of threads: partial sums are added in slice order, so
// the bits are the same for any threads.
#pragma once

#include <cstdint>

#include "core/task.h"
#include "cpu/schedule.h"

namespace grkan {

inline constexpr std::int64_t kMostSlices = 256;
// Below this many elements a slice is not worth a thread's waking (a few microseconds).
inline constexpr std::int64_t kSliceElements = 16384;
// Memory that partial sums of all slices of a call may take, unless 8 slices need more.
inline constexpr std::int64_t kPartialBytes = std::int64_t{8} << 20;

// What of a task and a schedule the cutting needs; computed once, when a kernel is loaded.
struct SliceShape {
  std::int64_t segments = 0;       // of a row
  std::int64_t segment_width = 0;  // in channels
  std::int64_t block_rows = 1;     // a slice's rows are a multiple of it
  std::int64_t slice_rows = 1;     // most rows of a slice, while there may be more slices
  std::int64_t most_slices = 1;
  bool channels_first = false;

  static SliceShape make(const Task& task, const CpuSchedule& schedule);
};

// Rows, segments and columns of one slice; the last along each may be smaller.
struct Slices {
  std::int64_t rows = 1;
  std::int64_t segments = 1;
  std::int64_t columns = 1;
  std::int64_t row_slices = 1;
  std::int64_t segment_slices = 1;
  std::int64_t column_slices = 1;

  bool operator==(const Slices&) const = default;
  [[nodiscard]] std::int64_t count() const { return row_slices * segment_slices * column_slices; }
};

// rows and inner are positive, and rows * channels * inner fits in 63 bits.
Slices make_slices(const SliceShape& shape, std::int64_t rows, std::int64_t inner);

// Doubles of one partial sum: of da and db of all groups, each with its compensation in f64.
std::int64_t partial_doubles(const Task& task);

}  // namespace grkan
