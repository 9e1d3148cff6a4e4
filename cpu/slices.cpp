#include "cpu/slices.h"

#include <algorithm>

namespace grkan {
namespace {

// Threads to be fed when there are few rows; more slices of small work cost more than they gain.
constexpr std::int64_t kWantedSlices = 16;
// Columns of a slice are a multiple of this: no cache line is written by two slices, and lanes are
// the same as in an uncut row.
constexpr std::int64_t kColumnStep = 64;

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t round_up(std::int64_t a, std::int64_t b) { return divide_up(a, b) * b; }

// channels-last: by rows alone.
Slices cut_rows(const SliceShape& shape, std::int64_t rows, std::int64_t wanted) {
  Slices s;
  s.segments = shape.segments;
  s.columns = shape.segment_width;
  const std::int64_t fewer = std::min(shape.slice_rows, divide_up(rows, wanted));
  s.rows = std::max(fewer, divide_up(rows, shape.most_slices));
  s.rows = round_up(s.rows, s.rows > shape.slice_rows ? shape.slice_rows : shape.block_rows);
  s.row_slices = divide_up(rows, s.rows);
  return s;
}

// channels-first: by batch entries, then segments, then columns within each segment, so that a
// batch of one is shared too.
Slices cut_all(const SliceShape& shape, std::int64_t rows, std::int64_t width,
               std::int64_t wanted) {
  Slices s;
  const std::int64_t row_slices = std::min(rows, wanted);
  s.rows = divide_up(rows, row_slices);
  s.row_slices = divide_up(rows, s.rows);
  const std::int64_t segment_slices =
      std::min(shape.segments, std::max<std::int64_t>(1, wanted / s.row_slices));
  s.segments = divide_up(shape.segments, segment_slices);
  s.segment_slices = divide_up(shape.segments, s.segments);
  const std::int64_t column_slices =
      std::max<std::int64_t>(1, wanted / (s.row_slices * s.segment_slices));
  s.columns = round_up(divide_up(width, column_slices), kColumnStep);
  s.column_slices = divide_up(width, s.columns);
  return s;
}

}  // namespace

std::int64_t partial_doubles(const Task& task) {
  const Problem& p = task.problem;
  const std::int64_t sums = (task.gradients.da ? p.numerator_groups * p.numerator_terms() : 0) +
                            (task.gradients.db ? p.denominator_groups * p.denominator_terms() : 0);
  return sums * (p.math_type() == Type::f64 ? 2 : 1);
}

SliceShape SliceShape::make(const Task& task, const CpuSchedule& schedule) {
  SliceShape shape;
  shape.segments = task.problem.segments();
  shape.segment_width = task.problem.segment_width();
  shape.block_rows = std::max(1, schedule.rows);
  shape.slice_rows = std::max<std::int64_t>(shape.block_rows, schedule.slice_rows);
  shape.channels_first = task.problem.layout == Layout::channels_first;
  const std::int64_t bytes = partial_doubles(task) * std::int64_t{sizeof(double)};
  shape.most_slices =
      bytes == 0 ? kMostSlices : std::clamp<std::int64_t>(kPartialBytes / bytes, 8, kMostSlices);
  return shape;
}

Slices make_slices(const SliceShape& shape, std::int64_t rows, std::int64_t inner) {
  const std::int64_t width = shape.segment_width * inner;
  const std::int64_t worthwhile = rows * (shape.segments * width) / kSliceElements;
  if (shape.channels_first) {
    const std::int64_t wanted = std::clamp<std::int64_t>(worthwhile, 1, shape.most_slices);
    return cut_all(shape, rows, width, wanted);
  }
  return cut_rows(shape, rows, std::clamp<std::int64_t>(worthwhile, 1, kWantedSlices));
}

}  // namespace grkan
