#include "core/operations.h"

#include <algorithm>

namespace grkan {

Operations element_operations(const Task& task) {
  const Problem& p = task.problem;
  const double m = p.numerator_degree;
  const double n = p.denominator_degree;
  const bool q = p.denominator_terms() > 0;
  const bool dx = task.gradients.dx;
  const bool dq = dx && n > 0;
  const bool v = dq || (task.gradients.db && q);
  Operations ops;
  // The slope takes all steps of P but the last.
  if (!task.backward() || v) {
    ops.multiplies += m;
  } else if (dx) {
    ops.multiplies += std::max(0.0, m - 1);
  }
  if (dx) ops.multiplies += std::max(0.0, m - 1) + std::max(0.0, n - 1);
  ops.chain = std::max(m, n);
  if (q) {
    ops.multiplies += n;
    ops.divisions = 1;
    ops.multiplies += p.denominator().for_q.multiplies;
    ops.others += p.denominator().for_q.others;
  }
  if (!task.backward()) return ops;
  if (q) ops.multiplies += 1;  // w
  if (v) {
    ops.multiplies += 2 + p.denominator().for_slope.multiplies;  // y, v
    ops.others += p.denominator().for_slope.others;
  }
  if (dx) ops.multiplies += double(dq) + double(m > 0);
  ops.chain += 4;
  return ops;
}

Operations sum_operations(const Task& task) {
  const Problem& p = task.problem;
  const bool db = task.gradients.db && p.denominator_terms() > 0;
  const double m = task.gradients.da ? p.numerator_degree : 0;
  const double n = db ? p.denominator_degree : 0;
  Operations ops;
  ops.multiplies = std::max(0.0, std::max(m, n) - 1) + m + n;
  // Power 0 is an addition.
  ops.others = (task.gradients.da ? 1 : 0) + (db && p.denominator().first_power == 0 ? 1 : 0);
  return ops;
}

}  // namespace grkan
