// The virtual GPU's library as a program sees it: opened by its path, every function by its name.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "tests/virtual_gpu/virtual_ptx.h"
#include "virtual_gpu/driver/api.h"

namespace grkan::vgpu::driver {

struct Api {
  explicit Api(void* library) {
#define GRKAN_BIND(name, parameters) name = reinterpret_cast<decltype(name)>(dlsym(library, #name));
    GRKAN_VIRTUAL_FUNCTIONS(GRKAN_BIND)
#undef GRKAN_BIND
    configure = reinterpret_cast<decltype(configure)>(dlsym(library, "grkan_virtual_configure"));
    device = reinterpret_cast<decltype(device)>(dlsym(library, "grkan_virtual_device"));
    report = reinterpret_cast<decltype(report)>(dlsym(library, "grkan_virtual_report"));
    reset = reinterpret_cast<decltype(reset)>(dlsym(library, "grkan_virtual_reset"));
  }
#define GRKAN_MEMBER(name, parameters) Result(*name) parameters = nullptr;
  GRKAN_VIRTUAL_FUNCTIONS(GRKAN_MEMBER)
#undef GRKAN_MEMBER
  int (*configure)(const char*) = nullptr;
  int (*device)(const char*) = nullptr;
  const char* (*report)() = nullptr;
  void (*reset)() = nullptr;
};

// Opened, not initialised.
inline const Api& open_api() {
  static const Api opened = [] {
    void* library = dlopen(GRKAN_VIRTUAL_CUDA, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      std::fprintf(stderr, "%s\n", dlerror());
      std::abort();
    }
    return Api(library);
  }();
  return opened;
}

inline void PrintTo(Result result, std::ostream* out) {
  const char* text = nullptr;
  open_api().cuGetErrorName(result, &text);
  *out << (text == nullptr ? "?" : text) << " (" << int(result) << ")";
}

template <class Handle>
Handle fake_handle(std::uintptr_t number = 0x7777) {
  return reinterpret_cast<Handle>(number);
}

// A program on the first of two devices, with its primary context current.
struct VirtualDriver : ::testing::Test {
  VirtualDriver() {
    setenv("GRKAN_VIRTUAL", "model=h200+t4,threads=2", 1);
    EXPECT_EQ(cu.cuInit(0), Result::success);
    EXPECT_EQ(cu.cuDevicePrimaryCtxRetain(&context, 0), Result::success);
    EXPECT_EQ(cu.cuCtxPushCurrent_v2(context), Result::success);
    cu.reset();
  }
  ~VirtualDriver() override {
    Context popped = nullptr;
    while (cu.cuCtxPopCurrent_v2(&popped) == Result::success) {
    }
    cu.cuDevicePrimaryCtxRelease_v2(0);
    cu.reset();
  }
  VirtualDriver(const VirtualDriver&) = delete;
  VirtualDriver& operator=(const VirtualDriver&) = delete;

  Module load() const {
    Module module = nullptr;
    EXPECT_EQ(cu.cuModuleLoadData(&module, kKernels), Result::success);
    return module;
  }
  Function function(const char* name) const {
    Function found = nullptr;
    EXPECT_EQ(cu.cuModuleGetFunction(&found, load(), name), Result::success);
    return found;
  }
  Pointer allocate(std::size_t bytes) const {
    Pointer pointer = 0;
    EXPECT_EQ(cu.cuMemAlloc_v2(&pointer, bytes), Result::success);
    return pointer;
  }
  Pointer upload(const std::vector<float>& values) const {
    const Pointer pointer = allocate(values.size() * sizeof(float));
    EXPECT_EQ(cu.cuMemcpyHtoD_v2(pointer, values.data(), values.size() * sizeof(float)),
              Result::success);
    return pointer;
  }
  std::vector<float> download(Pointer pointer, std::size_t count) const {
    std::vector<float> values(count);
    EXPECT_EQ(cu.cuMemcpyDtoH_v2(values.data(), pointer, count * sizeof(float)), Result::success);
    return values;
  }
  Result launch(Function f, unsigned blocks, unsigned threads, Stream stream = nullptr,
                void** parameters = nullptr, unsigned shared = 0) const {
    return cu.cuLaunchKernel(f, blocks, 1, 1, threads, 1, 1, shared, stream, parameters, nullptr);
  }
  Result scale(Function f, Pointer out, Pointer x, float a, unsigned n,
               Stream stream = nullptr) const {
    std::array<void*, 4> parameters = {&out, &x, &a, &n};
    return launch(f, (n + 63) / 64, 64, stream, parameters.data());
  }
  Stream stream(unsigned flags = 0) const {
    Stream made = nullptr;
    EXPECT_EQ(cu.cuStreamCreate(&made, flags), Result::success);
    return made;
  }
  int attribute(int which, Device device = 0) const {
    int value = -1;
    EXPECT_EQ(cu.cuDeviceGetAttribute(&value, which, device), Result::success);
    return value;
  }
  nlohmann::json report() const { return nlohmann::json::parse(cu.report()); }

  const Api& cu = open_api();
  Context context = nullptr;
};

inline std::vector<float> numbers(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = float(i) * 0.5F - 3;
  return values;
}
inline std::vector<float> times(float a, std::vector<float> values) {
  for (float& value : values) value *= a;
  return values;
}

}  // namespace grkan::vgpu::driver
