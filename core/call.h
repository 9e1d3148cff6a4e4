// Call: what a caller brings for one run of a task. Shared by the runtime, the reference and the
// checks.
#pragma once

#include <cstdint>

namespace grkan {

// Element types and the meaning of rows and strides are the task's problem's. Tensors are
// [rows, channels] or [rows, channels, inner], dense but for the row stride (in elements).
struct Call {
  std::int64_t rows = 0;
  std::int64_t inner = 1;  // 1 for channels-last
  const void* x = nullptr;
  std::int64_t x_stride = 0;
  const void* dy = nullptr;  // backward
  std::int64_t dy_stride = 0;
  void* out = nullptr;  // forward: y; backward: dx, or null where it is not asked for
  std::int64_t out_stride = 0;
  const void* a = nullptr;  // [numerator_groups][m + 1], the arithmetic's type
  const void* b = nullptr;  // [denominator_groups][terms]; null when it has no coefficients
  void* da = nullptr;       // as a
  void* db = nullptr;       // as b
  bool accumulate = false;  // da = round(da + sum), and db likewise
};

}  // namespace grkan
