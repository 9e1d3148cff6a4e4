// The memory bound of a task on the CPU: loops that move its bytes on the threads of a kernel.
#pragma once

#include <vector>

#include "core/memory_bound.h"
#include "core/task.h"
#include "cpu/thread_pool.h"

namespace grkan {

std::vector<BoundKind> cpu_bound_kinds(const Task& task);

// Reads x (and dy) and writes out once, in up to 256 slices on the pool; little work in one, on the
// calling thread, as a kernel's. kind must be one of cpu_bound_kinds; non-temporal kinds need out
// aligned to 32 bytes and become plain ones on a processor that has no such stores.
void run_cpu_bound(BoundKind kind, const Task& task, const BoundBuffers& buffers, ThreadPool& pool);

}  // namespace grkan
