// The portable kernel: one slice of any task in plain C++, an element at a time, by the formulas of
// core/problem.h in the task's arithmetic. Slow but right: for CPUs that the generator has no
// target for (below x86-64-v3), and as a kernel that needs no compiler.
#pragma once

#include "core/task.h"
#include "cpu/call.h"
#include "cpu/schedule.h"

namespace grkan {

// The schedule that the portable kernel reads its call by: vector 1, broadcast. Its launch part is
// the given one's.
CpuSchedule portable_schedule(const Task& task, int slice_rows);

// As a generated kernel of portable_schedule, with sums added straight into double.
void run_portable(const Task& task, const CpuCall& call);

}  // namespace grkan
