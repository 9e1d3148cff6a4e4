// A CUDA device, and the virtual GPU (the same driver calls, another library), as a Device.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/device.h"
#include "runtime/options.h"

namespace grkan {

// name: "cuda:0" or "virtual:h200". Throws no_device, naming what was looked for: a driver library,
// or a device of that number among those there are; invalid_argument for a model that is not known.
std::unique_ptr<Device> make_cuda_device(std::string_view name, const ContextOptions& options);

// The driver that virtual:MODEL opens. Throws no_device, naming where it was looked for.
std::string virtual_driver_path();

// How many CUDA devices there are and, where there are none, why.
struct CudaDevices {
  int count = 0;
  std::string why;
};
CudaDevices cuda_devices(const ContextOptions& options);

}  // namespace grkan
