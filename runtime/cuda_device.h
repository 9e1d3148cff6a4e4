// A CUDA device, and the virtual GPU (the same driver calls, another library), as a Device.
#pragma once

#include <memory>
#include <string_view>

#include "runtime/kernel.h"
#include "runtime/options.h"

namespace grkan {

// name: "cuda:0" or "virtual:h200". Throws no_device, naming what was looked for: a driver library,
// or a device of that number among those there are.
std::unique_ptr<Device> make_cuda_device(std::string_view name, const ContextOptions& options);

// 0 where there is no driver.
int cuda_device_count(const ContextOptions& options);

// The schedule of the kernel that serves calls whose pointers or strides are not aligned to the
// vectors of `schedule`: one column a thread.
CudaSchedule narrow_schedule(const Task& task, const CudaSchedule& schedule);

}  // namespace grkan
