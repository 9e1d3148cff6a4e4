// The driver of a GPU, for benches that launch kernels of their own: the device's primary context
// is the calling thread's as long as this lives.
#pragma once

#include <string>

#include "core/device_info.h"
#include "core/error.h"
#include "cuda/driver.h"
#include "runtime/context.h"

namespace grkan {

class OwnDriver {
 public:
  // `device`: "cuda:0". Throws no_device for what is no GPU, what cuda::Driver does, device_error.
  OwnDriver(const Context& context, const std::string& device)
      : driver_(context.options().cuda_driver.empty() ? "libcuda.so.1"
                                                      : context.options().cuda_driver) {
    if (device_kind(device) != DeviceKind::cuda) {
      fail(Status::no_device, "{} is no GPU that can be timed on; use cuda:0", device);
    }
    cuda::Context current = nullptr;
    const int ordinal = std::stoi(device.substr(device.find(':') + 1));
    driver_.check(driver_.device_get(&device_, ordinal), "cuDeviceGet");
    driver_.check(driver_.primary_context_retain(&current, device_), "cuDevicePrimaryCtxRetain");
    driver_.check(driver_.context_push(current), "cuCtxPushCurrent");
  }
  ~OwnDriver() {
    cuda::Context popped = nullptr;
    driver_.context_pop(&popped);
    driver_.primary_context_release(device_);
  }
  OwnDriver(const OwnDriver&) = delete;
  OwnDriver& operator=(const OwnDriver&) = delete;

  const cuda::Driver& operator*() const { return driver_; }
  const cuda::Driver* operator->() const { return &driver_; }

  // Stays loaded until unloaded.
  [[nodiscard]] cuda::Library load(const std::string& cubin) const {
    cuda::Library library = nullptr;
    driver_.check(
        driver_.library_load(&library, cubin.c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0),
        "cuLibraryLoadData");
    return library;
  }
  [[nodiscard]] cuda::Function function(cuda::Library library, const char* name) const {
    cuda::CudaKernel kernel = nullptr;
    cuda::Function function = nullptr;
    driver_.check(driver_.library_get_kernel(&kernel, library, name), name);
    driver_.check(driver_.kernel_get_function(&function, kernel), name);
    return function;
  }

 private:
  cuda::Driver driver_;
  cuda::Device device_ = 0;
};

}  // namespace grkan
