// The error bounds: the one place that knows k. docs/errors.md derives it.
//
//   y, dx:  |err| <= k u cond + half a unit of a 16-bit output
//   da, db: |err| <= k u S + run u M + slack, and the rounding of the result
// with cond, S, M and slack from the reference.
#pragma once

#include <optional>

#include "core/schedule.h"
#include "core/task.h"

namespace grkan {

struct ErrorBound {
  double u = 0;      // unit roundoff of the arithmetic
  double k_out = 0;  // of y or dx
  double k_da = 0;
  double k_db = 0;
  double run = 0;  // terms that one running sum of the arithmetic takes; 0 without sums
};
ErrorBound error_bound(const Task& task, const Schedule& schedule);

// The largest |x| at which nothing overflows in the task's arithmetic (and 1/Q stays normal), for
// coefficients and incoming gradients up to 16 in magnitude. Absent where Q has poles.
std::optional<double> finite_below(const Task& task, const Schedule& schedule);

}  // namespace grkan
