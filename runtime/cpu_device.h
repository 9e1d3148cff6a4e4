// The CPU as a Device.
#pragma once

#include <memory>

#include "core/device.h"
#include "runtime/options.h"
#include "runtime/thread_pool.h"

namespace grkan {

// The pool must outlive the device and its kernels. The options' allocator, if any, gives the
// memory for tuning; `portable` hides the processor's target.
std::unique_ptr<Device> make_cpu_device(ThreadPool& pool, const ContextOptions& options);

}  // namespace grkan
