// PyTorch's stable C ABI, found in the libraries that `import torch` has loaded: neither PyTorch
// nor its headers are needed to build, nothing of it is linked, and one binary serves every PyTorch
// from 2.10 on. Declared by hand; tests/python/torch_abi_test.cpp holds the declarations against
// its headers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace grkan::torch {

using Result = std::int32_t;         // AOTITorchError: 0 is success
using Handle = struct HandleTag*;    // AtenTensorHandle
using Library = struct LibraryTag*;  // TorchLibraryHandle
using Guard = struct GuardTag*;      // DeviceGuardHandle
using Slot = std::uint64_t;          // StableIValue: a handle, or the bits of an int

// The PyTorch whose behaviour the calls below expect: 2.10, as torch/headeronly/version.h has it.
inline constexpr std::uint64_t kVersion = (std::uint64_t{2} << 56) | (std::uint64_t{10} << 48);

using BoxedKernel = void (*)(Slot* stack, std::uint64_t arguments, std::uint64_t results);
using RangeBody = void (*)(std::int64_t begin, std::int64_t end, void* context);

// Symbol, name here, result, parameters.
// clang-format off
#define GRKAN_TORCH_FUNCTIONS(X)                                                                                  \
  X(aoti_torch_dtype_float32, dtype_float32, std::int32_t, ())                                                    \
  X(aoti_torch_dtype_float64, dtype_float64, std::int32_t, ())                                                    \
  X(aoti_torch_dtype_float16, dtype_float16, std::int32_t, ())                                                    \
  X(aoti_torch_dtype_bfloat16, dtype_bfloat16, std::int32_t, ())                                                  \
  X(aoti_torch_dtype_uint8, dtype_uint8, std::int32_t, ())                                                        \
  X(aoti_torch_device_type_cpu, device_type_cpu, std::int32_t, ())                                                \
  X(aoti_torch_device_type_cuda, device_type_cuda, std::int32_t, ())                                              \
  X(aoti_torch_get_dim, get_dim, Result, (Handle tensor, std::int64_t* dimensions))                               \
  X(aoti_torch_get_sizes, get_sizes, Result, (Handle tensor, std::int64_t** sizes))                               \
  X(aoti_torch_get_strides, get_strides, Result, (Handle tensor, std::int64_t** strides))                         \
  X(aoti_torch_get_dtype, get_dtype, Result, (Handle tensor, std::int32_t* dtype))                                \
  X(aoti_torch_get_device_type, get_device_type, Result, (Handle tensor, std::int32_t* type))                     \
  X(aoti_torch_get_device_index, get_device_index, Result, (Handle tensor, std::int32_t* index))                  \
  X(torch_get_const_data_ptr, get_const_data, Result, (Handle tensor, const void** data))                         \
  X(torch_get_mutable_data_ptr, get_mutable_data, Result, (Handle tensor, void** data))                           \
  X(aoti_torch_empty_strided, empty_strided, Result, (std::int64_t dimensions, const std::int64_t* sizes, const std::int64_t* strides, std::int32_t dtype, std::int32_t device_type, std::int32_t device_index, Handle* tensor)) \
  X(aoti_torch_as_strided, as_strided, Result, (Handle tensor, const std::int64_t* sizes, const std::int64_t* strides, Handle* view)) \
  X(aoti_torch_copy_, copy, Result, (Handle to, Handle from, std::int32_t non_blocking))                          \
  X(aoti_torch_zero_, zero, Result, (Handle tensor))                                                              \
  X(aoti_torch_delete_tensor_object, delete_tensor, Result, (Handle tensor))                                      \
  X(aoti_torch_get_current_device_index, get_current_device, Result, (std::int32_t* index))                       \
  X(aoti_torch_create_device_guard, create_device_guard, Result, (std::int32_t index, Guard* guard))              \
  X(aoti_torch_delete_device_guard, delete_device_guard, Result, (Guard guard))                                   \
  X(aoti_torch_library_init_def, library_init_def, Result, (const char* name, const char* file, std::uint32_t line, Library* library)) \
  X(aoti_torch_library_init_impl, library_init_impl, Result, (const char* name, const char* key, const char* file, std::uint32_t line, Library* library)) \
  X(aoti_torch_library_def, library_def, Result, (Library library, const char* schema))                           \
  X(torch_library_impl, library_impl, Result, (Library library, const char* name, BoxedKernel kernel, std::uint64_t version)) \
  X(torch_parallel_for, parallel_for, Result, (std::int64_t begin, std::int64_t end, std::int64_t grain, RangeBody body, void* context)) \
  X(torch_get_num_threads, get_num_threads, Result, (std::uint32_t* threads))                                     \
  X(aoti_torch_check, check, void, (bool condition, const char* function, const char* file, std::uint32_t line, const char* message))

// What may be missing: of libtorch_cuda.so, and of later versions.
#define GRKAN_TORCH_OPTIONAL_FUNCTIONS(X)                                                                         \
  X(aoti_torch_get_current_cuda_stream, get_current_cuda_stream, Result, (std::int32_t device, void** stream))    \
  X(torch_exception_get_what_without_backtrace, exception_text, const char*, ())
// clang-format on

struct Abi {
#define GRKAN_TORCH_MEMBER(symbol, name, result, parameters) result(*name) parameters = nullptr;
  GRKAN_TORCH_FUNCTIONS(GRKAN_TORCH_MEMBER)
  GRKAN_TORCH_OPTIONAL_FUNCTIONS(GRKAN_TORCH_MEMBER)
#undef GRKAN_TORCH_MEMBER

  // Looks everything up. Returns what is wrong, naming what was looked for; "" when nothing is.
  std::string load();
};

}  // namespace grkan::torch
