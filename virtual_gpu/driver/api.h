// The part of the CUDA driver API that the virtual GPU has: libgrkan_virtual_cuda.so, opened by its
// path in place of libcuda. Declared by hand, so that no toolkit is needed;
// tests/virtual_gpu/virtual_driver_test.cpp holds the table against cuda.h where there is one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace grkan::vgpu::driver {

// CUresult: those that the virtual GPU returns. errors.cpp has the names of all.
enum class Result : int {
  success = 0,
  invalid_value = 1,
  out_of_memory = 2,
  not_initialized = 3,
  invalid_device = 101,
  invalid_image = 200,
  invalid_context = 201,
  no_binary_for_gpu = 209,
  unsupported_limit = 215,
  invalid_ptx = 218,
  unsupported_ptx_version = 222,
  invalid_handle = 400,
  illegal_state = 401,
  not_found = 500,
  illegal_address = 700,
  launch_out_of_resources = 701,
  launch_timeout = 702,
  primary_context_active = 708,
  context_is_destroyed = 709,
  misaligned_address = 716,
  launch_failed = 719,
  not_permitted = 800,
  not_supported = 801,
  stream_capture_unsupported = 900,
  stream_capture_invalidated = 901,
  stream_capture_merge = 902,
  stream_capture_unmatched = 903,
  stream_capture_unjoined = 904,
  stream_capture_isolation = 905,
  stream_capture_implicit = 906,
  captured_event = 907,
  stream_capture_wrong_thread = 908,
  unknown = 999,
};

// What a program holds is a number that never comes twice, not an address: a wrong or stale handle
// is looked up in vain and never followed.
using Device = int;
using Context = struct ContextTag*;
using Stream = struct StreamTag*;
using Event = struct EventTag*;
using Module = struct ModuleTag*;
using Library = struct LibraryTag*;
using CudaKernel = struct KernelTag*;
using Function = struct FunctionTag*;
using Pool = struct PoolTag*;
using Graph = struct GraphTag*;
using GraphExec = struct GraphExecTag*;
using GraphNode = struct GraphNodeTag*;
using Pointer = unsigned long long;  // CUdeviceptr

struct Uuid {
  char bytes[16];
};
struct LaunchAttribute {
  int id;
  alignas(8) char value[64];
};
struct LaunchConfig {
  unsigned grid_x, grid_y, grid_z;
  unsigned block_x, block_y, block_z;
  unsigned shared_bytes;
  Stream stream;
  LaunchAttribute* attributes;
  unsigned attribute_count;
};

// Name and parameters.
// clang-format off
#define GRKAN_VIRTUAL_FUNCTIONS(X)                                                                   \
  X(cuInit, (unsigned flags))                                                                        \
  X(cuDriverGetVersion, (int* version))                                                              \
  X(cuGetErrorName, (Result error, const char** text))                                               \
  X(cuGetErrorString, (Result error, const char** text))                                             \
  X(cuGetProcAddress, (const char* symbol, void** function, int version, std::uint64_t flags))       \
  X(cuGetProcAddress_v2, (const char* symbol, void** function, int version, std::uint64_t flags, int* status)) \
  X(cuGetExportTable, (const void** table, const Uuid* id))                                          \
  X(cuDeviceGetCount, (int* count))                                                                  \
  X(cuDeviceGet, (Device* device, int ordinal))                                                      \
  X(cuDeviceGetName, (char* name, int size, Device device))                                          \
  X(cuDeviceGetUuid, (Uuid* uuid, Device device))                                                    \
  X(cuDeviceGetUuid_v2, (Uuid* uuid, Device device))                                                 \
  X(cuDeviceGetAttribute, (int* value, int attribute, Device device))                                \
  X(cuDeviceTotalMem_v2, (std::size_t* bytes, Device device))                                        \
  X(cuDeviceCanAccessPeer, (int* can, Device device, Device peer))                                   \
  X(cuDeviceGetDefaultMemPool, (Pool* pool, Device device))                                          \
  X(cuDeviceGetMemPool, (Pool* pool, Device device))                                                 \
  X(cuDevicePrimaryCtxRetain, (Context* context, Device device))                                     \
  X(cuDevicePrimaryCtxRelease_v2, (Device device))                                                   \
  X(cuDevicePrimaryCtxReset_v2, (Device device))                                                     \
  X(cuDevicePrimaryCtxSetFlags_v2, (Device device, unsigned flags))                                  \
  X(cuDevicePrimaryCtxGetState, (Device device, unsigned* flags, int* active))                       \
  X(cuCtxCreate_v2, (Context* context, unsigned flags, Device device))                               \
  X(cuCtxCreate_v4, (Context* context, void* parameters, unsigned flags, Device device))             \
  X(cuCtxDestroy_v2, (Context context))                                                              \
  X(cuCtxGetCurrent, (Context* context))                                                             \
  X(cuCtxSetCurrent, (Context context))                                                              \
  X(cuCtxPushCurrent_v2, (Context context))                                                          \
  X(cuCtxPopCurrent_v2, (Context* context))                                                          \
  X(cuCtxGetDevice, (Device* device))                                                                \
  X(cuCtxGetFlags, (unsigned* flags))                                                                \
  X(cuCtxGetApiVersion, (Context context, unsigned* version))                                        \
  X(cuCtxGetStreamPriorityRange, (int* least, int* greatest))                                        \
  X(cuCtxGetLimit, (std::size_t* value, int limit))                                                  \
  X(cuCtxSetLimit, (int limit, std::size_t value))                                                   \
  X(cuCtxSynchronize, ())                                                                            \
  X(cuMemGetInfo_v2, (std::size_t* free, std::size_t* total))                                        \
  X(cuMemAlloc_v2, (Pointer* pointer, std::size_t bytes))                                            \
  X(cuMemFree_v2, (Pointer pointer))                                                                 \
  X(cuMemAllocAsync, (Pointer* pointer, std::size_t bytes, Stream stream))                           \
  X(cuMemAllocFromPoolAsync, (Pointer* pointer, std::size_t bytes, Pool pool, Stream stream))        \
  X(cuMemFreeAsync, (Pointer pointer, Stream stream))                                                \
  X(cuMemPoolTrimTo, (Pool pool, std::size_t bytes))                                                 \
  X(cuMemPoolSetAttribute, (Pool pool, int attribute, void* value))                                  \
  X(cuMemPoolGetAttribute, (Pool pool, int attribute, void* value))                                  \
  X(cuMemAllocHost_v2, (void** pointer, std::size_t bytes))                                          \
  X(cuMemHostAlloc, (void** pointer, std::size_t bytes, unsigned flags))                             \
  X(cuMemFreeHost, (void* pointer))                                                                  \
  X(cuMemGetAddressRange_v2, (Pointer* base, std::size_t* size, Pointer pointer))                    \
  X(cuPointerGetAttribute, (void* data, int attribute, Pointer pointer))                             \
  X(cuMemcpy, (Pointer to, Pointer from, std::size_t bytes))                                         \
  X(cuMemcpyAsync, (Pointer to, Pointer from, std::size_t bytes, Stream stream))                     \
  X(cuMemcpyHtoD_v2, (Pointer to, const void* from, std::size_t bytes))                              \
  X(cuMemcpyDtoH_v2, (void* to, Pointer from, std::size_t bytes))                                    \
  X(cuMemcpyDtoD_v2, (Pointer to, Pointer from, std::size_t bytes))                                  \
  X(cuMemcpyHtoDAsync_v2, (Pointer to, const void* from, std::size_t bytes, Stream stream))          \
  X(cuMemcpyDtoHAsync_v2, (void* to, Pointer from, std::size_t bytes, Stream stream))                \
  X(cuMemcpyDtoDAsync_v2, (Pointer to, Pointer from, std::size_t bytes, Stream stream))              \
  X(cuMemsetD8_v2, (Pointer to, unsigned char value, std::size_t count))                             \
  X(cuMemsetD16_v2, (Pointer to, unsigned short value, std::size_t count))                           \
  X(cuMemsetD32_v2, (Pointer to, unsigned value, std::size_t count))                                 \
  X(cuMemsetD8Async, (Pointer to, unsigned char value, std::size_t count, Stream stream))            \
  X(cuMemsetD16Async, (Pointer to, unsigned short value, std::size_t count, Stream stream))          \
  X(cuMemsetD32Async, (Pointer to, unsigned value, std::size_t count, Stream stream))                \
  X(cuModuleLoadData, (Module* module, const void* image))                                           \
  X(cuModuleLoadDataEx, (Module* module, const void* image, unsigned count, int* options, void** values)) \
  X(cuModuleUnload, (Module module))                                                                 \
  X(cuModuleGetFunction, (Function* function, Module module, const char* name))                      \
  X(cuModuleGetGlobal_v2, (Pointer* pointer, std::size_t* bytes, Module module, const char* name))   \
  X(cuModuleGetLoadingMode, (int* mode))                                                             \
  X(cuLibraryLoadData, (Library* library, const void* code, int* jit_options, void** jit_values, unsigned jit_count, int* options, void** values, unsigned count)) \
  X(cuLibraryUnload, (Library library))                                                              \
  X(cuLibraryGetKernel, (CudaKernel* kernel, Library library, const char* name))                     \
  X(cuLibraryGetKernelCount, (unsigned* count, Library library))                                     \
  X(cuLibraryGetModule, (Module* module, Library library))                                           \
  X(cuLibraryGetGlobal, (Pointer* pointer, std::size_t* bytes, Library library, const char* name))   \
  X(cuKernelGetFunction, (Function* function, CudaKernel kernel))                                    \
  X(cuKernelGetName, (const char** name, CudaKernel kernel))                                         \
  X(cuKernelGetAttribute, (int* value, int attribute, CudaKernel kernel, Device device))             \
  X(cuKernelSetAttribute, (int attribute, int value, CudaKernel kernel, Device device))              \
  X(cuFuncGetAttribute, (int* value, int attribute, Function function))                              \
  X(cuFuncSetAttribute, (Function function, int attribute, int value))                               \
  X(cuFuncSetCacheConfig, (Function function, int config))                                           \
  X(cuFuncGetName, (const char** name, Function function))                                           \
  X(cuFuncGetModule, (Module* module, Function function))                                            \
  X(cuFuncGetParamInfo, (Function function, std::size_t index, std::size_t* offset, std::size_t* size)) \
  X(cuFuncIsLoaded, (int* loaded, Function function))                                                \
  X(cuFuncLoad, (Function function))                                                                 \
  X(cuOccupancyMaxActiveBlocksPerMultiprocessor, (int* blocks, Function function, int threads, std::size_t dynamic_shared)) \
  X(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, (int* blocks, Function function, int threads, std::size_t dynamic_shared, unsigned flags)) \
  X(cuLaunchKernel, (Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes, Stream stream, void** parameters, void** extra)) \
  X(cuLaunchKernelEx, (const LaunchConfig* config, Function function, void** parameters, void** extra)) \
  X(cuStreamCreate, (Stream* stream, unsigned flags))                                                \
  X(cuStreamCreateWithPriority, (Stream* stream, unsigned flags, int priority))                      \
  X(cuStreamDestroy_v2, (Stream stream))                                                             \
  X(cuStreamSynchronize, (Stream stream))                                                            \
  X(cuStreamQuery, (Stream stream))                                                                  \
  X(cuStreamWaitEvent, (Stream stream, Event event, unsigned flags))                                 \
  X(cuStreamGetCtx, (Stream stream, Context* context))                                               \
  X(cuStreamGetFlags, (Stream stream, unsigned* flags))                                              \
  X(cuStreamGetPriority, (Stream stream, int* priority))                                             \
  X(cuStreamBeginCapture_v2, (Stream stream, int mode))                                              \
  X(cuStreamEndCapture, (Stream stream, Graph* graph))                                               \
  X(cuStreamIsCapturing, (Stream stream, int* status))                                               \
  X(cuStreamGetCaptureInfo_v2, (Stream stream, int* status, std::uint64_t* id, Graph* graph, const GraphNode** nodes, std::size_t* count)) \
  X(cuStreamGetCaptureInfo_v3, (Stream stream, int* status, std::uint64_t* id, Graph* graph, const GraphNode** nodes, const void** edges, std::size_t* count)) \
  X(cuThreadExchangeStreamCaptureMode, (int* mode))                                                  \
  X(cuEventCreate, (Event* event, unsigned flags))                                                   \
  X(cuEventDestroy_v2, (Event event))                                                                \
  X(cuEventRecord, (Event event, Stream stream))                                                     \
  X(cuEventRecordWithFlags, (Event event, Stream stream, unsigned flags))                            \
  X(cuEventQuery, (Event event))                                                                     \
  X(cuEventSynchronize, (Event event))                                                               \
  X(cuEventElapsedTime, (float* milliseconds, Event start, Event end))                               \
  X(cuEventElapsedTime_v2, (float* milliseconds, Event start, Event end))                            \
  X(cuGraphCreate, (Graph* graph, unsigned flags))                                                   \
  X(cuGraphDestroy, (Graph graph))                                                                   \
  X(cuGraphGetNodes, (Graph graph, GraphNode* nodes, std::size_t* count))                            \
  X(cuGraphNodeGetType, (GraphNode node, int* type))                                                 \
  X(cuGraphInstantiateWithFlags, (GraphExec* exec, Graph graph, unsigned long long flags))           \
  X(cuGraphUpload, (GraphExec exec, Stream stream))                                                  \
  X(cuGraphLaunch, (GraphExec exec, Stream stream))                                                  \
  X(cuGraphExecDestroy, (GraphExec exec))
// clang-format on

}  // namespace grkan::vgpu::driver
