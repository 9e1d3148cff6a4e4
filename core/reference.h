// The reference: y, dx, da, db in double (f32 arithmetic) or double-double (f64 arithmetic), with
// compensated sums; and for each value the first-order condition that docs/errors.md turns into an
// error bound. Independent of every schedule: computed once, it checks many kernels.
#pragma once

#include <vector>

#include "core/call.h"
#include "core/task.h"

namespace grkan {

// y or dx: one entry an element, dense [rows, channels, inner].
// A NaN value: the kernel must give NaN. An infinite condition: intermediate values leave the range
// of the arithmetic, and any result is right.
struct ElementReference {
  std::vector<double> value;
  std::vector<double> condition;
};

// da or db, as [groups][terms].
struct SumReference {
  std::vector<double> value;      // with `accumulate`, what was there before + the sum
  std::vector<double> condition;  // S: sum over terms of their condition
  std::vector<double> magnitude;  // M: sum over terms of |term|
  std::vector<double> slack;      // terms whose sign may be either: sum of 2 |term|
};

struct Reference {
  ElementReference out;  // y or dx; empty where it is not asked for
  SumReference da;       // empty where it is not asked for
  SumReference db;
};

// Reads the inputs of `call` (with `accumulate` also da and db), so it comes before a run that
// works in place. The task must be valid and the call fit it.
Reference make_reference(const Task& task, const Call& call);

}  // namespace grkan
