// A CUDA device, and the virtual GPU (the same driver calls, another library), as a Device.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "runtime/kernel.h"
#include "runtime/options.h"

namespace grkan {

// name: "cuda:0" or "virtual:h200". Throws no_device, naming what was looked for: a driver library,
// or a device of that number among those there are.
std::unique_ptr<Device> make_cuda_device(std::string_view name, const ContextOptions& options);

// How many CUDA devices there are and, where there are none, why.
struct CudaDevices {
  int count = 0;
  std::string why;
};
CudaDevices cuda_devices(const ContextOptions& options);

}  // namespace grkan
