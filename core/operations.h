// What the arithmetic of an element takes, by its task alone. codegen/rational builds it,
// docs/cpu-kernels.md has it as a table; a test holds both to the compiler's code.
#pragma once

#include "core/task.h"

namespace grkan {

struct Operations {
  double multiplies = 0;  // with an addition or without
  double others = 0;      // additions, logic, comparisons
  double divisions = 0;
  double chain = 0;  // multiplications one after another
};

// y; or w, v and dx, without what nobody asks for. Polynomials and their slopes by Horner.
Operations element_operations(const Task& task);
// What an element adds to the sums of da and db.
Operations sum_operations(const Task& task);

}  // namespace grkan
