// A CUDA device, and the virtual GPU (the same driver calls, another library), as a Device.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/device.h"

namespace grkan {

// name: "cuda:0" or "virtual:h200"; driver: the library to open, "": libcuda.so.1. Throws
// no_device, naming what was looked for: a driver library, or a device of that number among those
// there are; invalid_argument for a model that is not known.
std::unique_ptr<Device> make_cuda_device(std::string_view name, const std::string& driver,
                                         const Allocator& allocator = {});

// How many CUDA devices a driver has ("": libcuda.so.1) and, where there are none, why.
struct CudaDevices {
  int count = 0;
  std::string why;
};
CudaDevices cuda_devices(const std::string& driver);

}  // namespace grkan
