// The call of a generated CPU kernel: one slice of the work. The kernel's only argument is a
// pointer to this struct; generated code reads the fields at their offsets. `out` may be x in
// forward and dy in backward, with equal strides and types; nothing else may overlap.
//
// A row has segments() * width columns, where width = segment_width() * inner is a segment's run of
// adjacent elements. A slice is rows x segments x columns within each segment; `segment_end` and
// `column_end` let channels-first work with few rows be cut into more slices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace grkan {

struct CpuCall {
  const void* x;   // first row of the slice, column 0 of the row
  const void* dy;  // backward
  void* out;       // y or dx, or null where no tensor is written
  // Coefficients in the arithmetic's type. bcast: a [numerator_groups][m + 1] and
  // b [denominator_groups][terms], as the caller has them. expand: planes, [m + 1][channels] and
  // [terms][channels].
  const void* a;
  const void* b;
  // Sums over the slice, added to: double[segment_end - segment_begin][sum_terms][2][vector], where
  // [0] is the sum and [1] its compensation (only f64 arithmetic uses it). da's terms first. bcast:
  // a lane holds the columns of a segment that are congruent to it modulo vector, counted from
  // column_begin, but columns past the last whole vector go to lane 0. expand: a "segment" is one
  // of the ceil(channels / vector) vectors of columns, a lane a column. Where Q has absolute
  // terms, db's sums are of v |x|^i: the caller applies sign(b). Where [0] is not finite, [1] means
  // nothing. Not read where sum_terms is 0.
  double* sums;
  void* scratch;  // kCpuScratchBytes, 64-byte aligned, for this thread alone
  std::int64_t rows;
  std::int64_t x_stride;  // elements between rows
  std::int64_t dy_stride;
  std::int64_t out_stride;
  std::int64_t width;  // elements of a segment in a row; the generator knows it for channels-last
  std::int64_t segment_begin;  // expand: 0 and ceil(channels / vector)
  std::int64_t segment_end;
  std::int64_t column_begin;  // within each segment; channels-last: 0 and width
  std::int64_t column_end;
};
static_assert(std::is_standard_layout_v<CpuCall>);

using CpuKernel = void (*)(const CpuCall*);

inline constexpr std::size_t kCpuScratchBytes = 32768;

}  // namespace grkan
