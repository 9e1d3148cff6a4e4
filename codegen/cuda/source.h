// The CUDA source of a task and a schedule: the skeletons of templates/ filled in, holding only
// what this kernel uses. It stands alone, includes no header, and the same request gives the same
// text.
#pragma once

#include <string>
#include <string_view>

#include "core/target.h"
#include "core/task.h"
#include "cuda/launch.h"
#include "cuda/schedule.h"

namespace grkan {

struct CudaSource {
  std::string text;
  std::string symbol;              // kernel_symbol of the task and the compiled schedule
  std::string second_pass_symbol;  // empty: the task has no sums
};

// Throws invalid_argument with why_illegal's reason when the schedule is illegal. The target is
// named in the head comment's compile line only: the code is the same for all architectures.
CudaSource cuda_source(const Task& task, const CudaSchedule& schedule, const Target& target);

// The source with a small host program after it (CUDA runtime API, for nvcc) that allocates,
// launches and prints: where a reader starts. The grid is the one for these rows.
std::string cuda_launch_example(const Task& task, const CudaSchedule& schedule,
                                const Target& target, std::int64_t rows, std::int64_t inner,
                                int multiprocessors);

}  // namespace grkan
