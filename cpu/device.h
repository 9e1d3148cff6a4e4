// The CPU as a Device.
#pragma once

#include <memory>
#include <optional>

#include "core/device.h"
#include "core/target.h"
#include "cpu/thread_pool.h"

namespace grkan {

// The pool must outlive the device and its kernels. `target` stands in the place of the
// processor's: an older one's kernels run, or, where its name is empty, the portable ones.
std::unique_ptr<Device> make_cpu_device(ThreadPool& pool, const Allocator& allocator,
                                        const std::optional<Target>& target = {});

}  // namespace grkan
