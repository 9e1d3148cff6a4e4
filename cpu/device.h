// The CPU as a Device.
#pragma once

#include <memory>

#include "core/device.h"
#include "cpu/thread_pool.h"

namespace grkan {

// The pool must outlive the device and its kernels. `portable` hides the processor's target: the
// portable kernels run, whatever it is.
std::unique_ptr<Device> make_cpu_device(ThreadPool& pool, const Allocator& allocator,
                                        bool portable = false);

}  // namespace grkan
