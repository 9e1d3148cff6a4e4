// Runs a kernel once on test data: how checks and the tuner get a kernel's answer.
#pragma once

#include "core/device.h"
#include "core/sample.h"

namespace grkan {

// Runs the kernel on the sample's call; afterwards the sample's buffers hold what it wrote (on a
// GPU they are copied there and back, guards included). Zero elements give what a plan gives: da
// and db cleared unless the sample accumulates. `multiprocessors`: as in Workspace. Throws device
// errors and out_of_memory.
void run_sample(Device& device, const Kernel& kernel, Sample& sample, int multiprocessors = 0);

// Rows of a sample that candidates are checked with, of the rows they are tuned at: enough for
// several slices and runs, and a reference in a fraction of a second.
std::int64_t checked_rows(const Task& task, std::int64_t rows, std::int64_t inner);

}  // namespace grkan
