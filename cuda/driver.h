// The CUDA driver API, opened at run time: neither the toolkit nor a driver is needed to build or
// to run without a GPU. Declared by hand, since a user's machine has no cuda.h;
// tests/cuda/cuda_driver_test.cpp holds the declarations against that header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace grkan::cuda {

using Result = int;  // CUresult
using Device = int;  // CUdevice
using Context = struct ContextTag*;
using Stream = struct StreamTag*;
using Event = struct EventTag*;
using Library = struct LibraryTag*;
using CudaKernel = struct KernelTag*;
using Function = struct FunctionTag*;
using Pointer = unsigned long long;  // CUdeviceptr

inline constexpr Result kSuccess = 0;
inline constexpr Result kOutOfMemory = 2;
inline constexpr Result kNoDevice = 100;
inline constexpr Result kInvalidImage = 200;
inline constexpr Result kInvalidContext = 201;
inline constexpr Result kNoBinaryForGpu = 209;
inline constexpr Result kInvalidPtx = 218;
inline constexpr Result kUnsupportedPtxVersion = 222;

inline constexpr int kMultiprocessorCount = 16;  // CUdevice_attribute
inline constexpr int kL2CacheSize = 38;
inline constexpr int kCapabilityMajor = 75;
inline constexpr int kCapabilityMinor = 76;

inline constexpr unsigned kProgrammaticStreamSerialization = 6;  // CUlaunchAttributeID
struct LaunchAttribute {                                         // CUlaunchAttribute
  unsigned id = 0;
  unsigned padding = 0;
  union {
    char bytes[64];
    int programmatic_stream_serialization;
  } value = {};
};
struct LaunchConfig {  // CUlaunchConfig
  unsigned grid_x = 1, grid_y = 1, grid_z = 1;
  unsigned block_x = 1, block_y = 1, block_z = 1;
  unsigned shared_bytes = 0;
  Stream stream = nullptr;
  LaunchAttribute* attributes = nullptr;
  unsigned attribute_count = 0;
};

// Name in the library, name here, parameters. The oldest driver that has all is 12.0.
// clang-format off
#define GRKAN_CUDA_FUNCTIONS(X)                                                                            \
  X(cuInit, init, (unsigned flags))                                                                        \
  X(cuDriverGetVersion, driver_get_version, (int* version))                                                \
  X(cuGetErrorName, get_error_name, (Result error, const char** text))                                     \
  X(cuGetErrorString, get_error_string, (Result error, const char** text))                                 \
  X(cuDeviceGetCount, device_get_count, (int* count))                                                      \
  X(cuDeviceGet, device_get, (Device* device, int ordinal))                                                \
  X(cuDeviceGetName, device_get_name, (char* name, int size, Device device))                               \
  X(cuDeviceGetAttribute, device_get_attribute, (int* value, int attribute, Device device))                \
  X(cuDeviceTotalMem_v2, device_total_mem, (std::size_t* bytes, Device device))                            \
  X(cuDevicePrimaryCtxRetain, primary_context_retain, (Context* context, Device device))                   \
  X(cuDevicePrimaryCtxRelease_v2, primary_context_release, (Device device))                                \
  X(cuCtxGetDevice, context_get_device, (Device* device))                                                  \
  X(cuCtxPushCurrent_v2, context_push, (Context context))                                                  \
  X(cuCtxPopCurrent_v2, context_pop, (Context* context))                                                   \
  X(cuLibraryLoadData, library_load, (Library* library, const void* code, int* jit_options, void** jit_values, unsigned jit_count, int* options, void** values, unsigned count)) \
  X(cuLibraryUnload, library_unload, (Library library))                                                    \
  X(cuLibraryGetKernel, library_get_kernel, (CudaKernel* kernel, Library library, const char* name))       \
  X(cuKernelGetFunction, kernel_get_function, (Function* function, CudaKernel kernel))                     \
  X(cuLaunchKernel, launch_kernel, (Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes, Stream stream, void** parameters, void** extra)) \
  X(cuLaunchKernelEx, launch_kernel_ex, (const LaunchConfig* config, Function function, void** parameters, void** extra)) \
  X(cuMemAlloc_v2, mem_alloc, (Pointer* pointer, std::size_t bytes))                                       \
  X(cuMemFree_v2, mem_free, (Pointer pointer))                                                             \
  X(cuMemGetInfo_v2, mem_get_info, (std::size_t* free, std::size_t* total))                                \
  X(cuMemcpyHtoD_v2, copy_to_device, (Pointer to, const void* from, std::size_t bytes))                    \
  X(cuMemcpyDtoH_v2, copy_to_host, (void* to, Pointer from, std::size_t bytes))                            \
  X(cuMemcpyDtoDAsync_v2, copy_async, (Pointer to, Pointer from, std::size_t bytes, Stream stream))        \
  X(cuMemsetD8Async, memset_async, (Pointer to, unsigned char value, std::size_t bytes, Stream stream))    \
  X(cuStreamSynchronize, stream_synchronize, (Stream stream))                                              \
  X(cuEventCreate, event_create, (Event* event, unsigned flags))                                           \
  X(cuEventDestroy_v2, event_destroy, (Event event))                                                       \
  X(cuEventRecord, event_record, (Event event, Stream stream))                                             \
  X(cuEventSynchronize, event_synchronize, (Event event))                                                  \
  X(cuEventElapsedTime, event_elapsed, (float* milliseconds, Event start, Event end))
// clang-format on

// What a virtual GPU has beyond the driver API (virtual_gpu/driver/state.h).
struct VirtualGpu {
  int (*device)(const char* model) = nullptr;
  const char* (*report)() = nullptr;
  void (*reset)() = nullptr;
};

class Driver {
 public:
  // Opens `path` and initialises it. Throws no_device, naming what was looked for and why it can't
  // be used: no such library, no device, a driver older than 12.0.
  explicit Driver(const std::string& path);
  ~Driver() = default;
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // Of a driver that executes on the CPU, so that what it times is no GPU's time; null: a GPU's.
  [[nodiscard]] const VirtualGpu* virtual_gpu() const { return virtual_ ? &*virtual_ : nullptr; }
  // 13000 for 13.0
  [[nodiscard]] int version() const { return version_; }
  // "13.0"
  [[nodiscard]] std::string version_text() const;
  // "CUDA_ERROR_INVALID_VALUE (1): invalid argument"
  [[nodiscard]] std::string error_text(Result result) const;
  // Throws device_error (out_of_memory for that) naming the call unless it succeeded.
  void check(Result result, const char* call) const;

#define GRKAN_CUDA_MEMBER(symbol, name, parameters) Result(*name) parameters = nullptr;
  GRKAN_CUDA_FUNCTIONS(GRKAN_CUDA_MEMBER)
#undef GRKAN_CUDA_MEMBER

 private:
  int version_ = 0;
  std::optional<VirtualGpu> virtual_;
};

}  // namespace grkan::cuda
