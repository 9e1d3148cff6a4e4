// Tuning before a plan prepares a range: where nothing measured holds.
#pragma once

#include "runtime/plan.h"

namespace grkan {

// Tunes each part of the range's rows where no measurement on this device of this driver and
// generator (on the CPU: and compiler) holds, at the upper end of inner, with the context's effort.
// A failure is logged; the plan then takes what it has. A virtual GPU's plans don't tune.
void tune_where_unknown(Plan& plan, const Task& task, Range rows, Range inner);

}  // namespace grkan
