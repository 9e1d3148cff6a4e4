// Names and descriptions of all codes of the driver API.
#include <algorithm>
#include <array>

#include "virtual_gpu/driver/state.h"

namespace grkan::vgpu::driver {
namespace {

struct Entry {
  int code;
  const char* name;
  const char* text;
};

constexpr std::array kEntries = {
    Entry{0, "CUDA_SUCCESS", "no error"},
    Entry{1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    Entry{2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    Entry{3, "CUDA_ERROR_NOT_INITIALIZED", "cuInit was not called"},
    Entry{4, "CUDA_ERROR_DEINITIALIZED", "deinitialized"},
    Entry{5, "CUDA_ERROR_PROFILER_DISABLED", "profiler disabled"},
    Entry{6, "CUDA_ERROR_PROFILER_NOT_INITIALIZED", "profiler not initialized"},
    Entry{7, "CUDA_ERROR_PROFILER_ALREADY_STARTED", "profiler already started"},
    Entry{8, "CUDA_ERROR_PROFILER_ALREADY_STOPPED", "profiler already stopped"},
    Entry{34, "CUDA_ERROR_STUB_LIBRARY", "stub library"},
    Entry{36, "CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER", "call requires newer driver"},
    Entry{46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "device unavailable"},
    Entry{100, "CUDA_ERROR_NO_DEVICE", "no device"},
    Entry{101, "CUDA_ERROR_INVALID_DEVICE", "no such device"},
    Entry{102, "CUDA_ERROR_DEVICE_NOT_LICENSED", "device not licensed"},
    Entry{200, "CUDA_ERROR_INVALID_IMAGE", "the image is no code of a device"},
    Entry{201, "CUDA_ERROR_INVALID_CONTEXT", "no context is current, or the context is not valid"},
    Entry{202, "CUDA_ERROR_CONTEXT_ALREADY_CURRENT", "context already current"},
    Entry{205, "CUDA_ERROR_MAP_FAILED", "map failed"},
    Entry{206, "CUDA_ERROR_UNMAP_FAILED", "unmap failed"},
    Entry{207, "CUDA_ERROR_ARRAY_IS_MAPPED", "array is mapped"},
    Entry{208, "CUDA_ERROR_ALREADY_MAPPED", "already mapped"},
    Entry{209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "the image has no code for this device"},
    Entry{210, "CUDA_ERROR_ALREADY_ACQUIRED", "already acquired"},
    Entry{211, "CUDA_ERROR_NOT_MAPPED", "not mapped"},
    Entry{212, "CUDA_ERROR_NOT_MAPPED_AS_ARRAY", "not mapped as array"},
    Entry{213, "CUDA_ERROR_NOT_MAPPED_AS_POINTER", "not mapped as pointer"},
    Entry{214, "CUDA_ERROR_ECC_UNCORRECTABLE", "ecc uncorrectable"},
    Entry{215, "CUDA_ERROR_UNSUPPORTED_LIMIT", "the device has no such limit"},
    Entry{216, "CUDA_ERROR_CONTEXT_ALREADY_IN_USE", "context already in use"},
    Entry{217, "CUDA_ERROR_PEER_ACCESS_UNSUPPORTED", "peer access unsupported"},
    Entry{218, "CUDA_ERROR_INVALID_PTX", "the PTX can not be compiled"},
    Entry{219, "CUDA_ERROR_INVALID_GRAPHICS_CONTEXT", "invalid graphics context"},
    Entry{220, "CUDA_ERROR_NVLINK_UNCORRECTABLE", "nvlink uncorrectable"},
    Entry{221, "CUDA_ERROR_JIT_COMPILER_NOT_FOUND", "jit compiler not found"},
    Entry{222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
          "the PTX is of a newer version than the driver"},
    Entry{223, "CUDA_ERROR_JIT_COMPILATION_DISABLED", "jit compilation disabled"},
    Entry{224, "CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY", "unsupported exec affinity"},
    Entry{225, "CUDA_ERROR_UNSUPPORTED_DEVSIDE_SYNC", "unsupported devside sync"},
    Entry{226, "CUDA_ERROR_CONTAINED", "contained"},
    Entry{300, "CUDA_ERROR_INVALID_SOURCE", "invalid source"},
    Entry{301, "CUDA_ERROR_FILE_NOT_FOUND", "file not found"},
    Entry{302, "CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND", "shared object symbol not found"},
    Entry{303, "CUDA_ERROR_SHARED_OBJECT_INIT_FAILED", "shared object init failed"},
    Entry{304, "CUDA_ERROR_OPERATING_SYSTEM", "operating system"},
    Entry{400, "CUDA_ERROR_INVALID_HANDLE", "invalid handle"},
    Entry{401, "CUDA_ERROR_ILLEGAL_STATE", "not in the state that the call needs"},
    Entry{402, "CUDA_ERROR_LOSSY_QUERY", "lossy query"},
    Entry{500, "CUDA_ERROR_NOT_FOUND", "no such name"},
    Entry{600, "CUDA_ERROR_NOT_READY", "not ready"},
    Entry{700, "CUDA_ERROR_ILLEGAL_ADDRESS", "a kernel accessed memory out of bounds"},
    Entry{701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
          "not enough registers or shared memory for the launch"},
    Entry{702, "CUDA_ERROR_LAUNCH_TIMEOUT", "a kernel did not end"},
    Entry{703, "CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING", "launch incompatible texturing"},
    Entry{704, "CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED", "peer access already enabled"},
    Entry{705, "CUDA_ERROR_PEER_ACCESS_NOT_ENABLED", "peer access not enabled"},
    Entry{708, "CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE", "the primary context is active"},
    Entry{709, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "the context was destroyed"},
    Entry{710, "CUDA_ERROR_ASSERT", "assert"},
    Entry{711, "CUDA_ERROR_TOO_MANY_PEERS", "too many peers"},
    Entry{712, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", "host memory already registered"},
    Entry{713, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "host memory not registered"},
    Entry{714, "CUDA_ERROR_HARDWARE_STACK_ERROR", "hardware stack error"},
    Entry{715, "CUDA_ERROR_ILLEGAL_INSTRUCTION", "illegal instruction"},
    Entry{716, "CUDA_ERROR_MISALIGNED_ADDRESS", "a kernel accessed a misaligned address"},
    Entry{717, "CUDA_ERROR_INVALID_ADDRESS_SPACE", "invalid address space"},
    Entry{718, "CUDA_ERROR_INVALID_PC", "invalid pc"},
    Entry{719, "CUDA_ERROR_LAUNCH_FAILED", "launch failed"},
    Entry{720, "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE", "cooperative launch too large"},
    Entry{721, "CUDA_ERROR_TENSOR_MEMORY_LEAK", "tensor memory leak"},
    Entry{800, "CUDA_ERROR_NOT_PERMITTED", "not permitted"},
    Entry{801, "CUDA_ERROR_NOT_SUPPORTED", "not supported"},
    Entry{802, "CUDA_ERROR_SYSTEM_NOT_READY", "system not ready"},
    Entry{803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system driver mismatch"},
    Entry{804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "compat not supported on device"},
    Entry{805, "CUDA_ERROR_MPS_CONNECTION_FAILED", "mps connection failed"},
    Entry{806, "CUDA_ERROR_MPS_RPC_FAILURE", "mps rpc failure"},
    Entry{807, "CUDA_ERROR_MPS_SERVER_NOT_READY", "mps server not ready"},
    Entry{808, "CUDA_ERROR_MPS_MAX_CLIENTS_REACHED", "mps max clients reached"},
    Entry{809, "CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED", "mps max connections reached"},
    Entry{810, "CUDA_ERROR_MPS_CLIENT_TERMINATED", "mps client terminated"},
    Entry{811, "CUDA_ERROR_CDP_NOT_SUPPORTED", "cdp not supported"},
    Entry{812, "CUDA_ERROR_CDP_VERSION_MISMATCH", "cdp version mismatch"},
    Entry{900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "not permitted while a stream is captured"},
    Entry{901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
          "the capture is invalid after an earlier error"},
    Entry{902, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "two captures would be merged"},
    Entry{903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "the capture was not begun on this stream"},
    Entry{904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "a stream of the capture was not joined"},
    Entry{905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION",
          "a dependency would cross the border of the capture"},
    Entry{906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "the legacy stream would depend on a capture"},
    Entry{907, "CUDA_ERROR_CAPTURED_EVENT", "the event was last recorded in a capture"},
    Entry{908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "the capture was begun by another thread"},
    Entry{909, "CUDA_ERROR_TIMEOUT", "timeout"},
    Entry{910, "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE", "graph exec update failure"},
    Entry{911, "CUDA_ERROR_EXTERNAL_DEVICE", "external device"},
    Entry{912, "CUDA_ERROR_INVALID_CLUSTER_SIZE", "invalid cluster size"},
    Entry{913, "CUDA_ERROR_FUNCTION_NOT_LOADED", "function not loaded"},
    Entry{914, "CUDA_ERROR_INVALID_RESOURCE_TYPE", "invalid resource type"},
    Entry{915, "CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION", "invalid resource configuration"},
    Entry{916, "CUDA_ERROR_KEY_ROTATION", "key rotation"},
    Entry{999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

const Entry* find(Result error) {
  const auto* const found = std::ranges::find(kEntries, int(error), &Entry::code);
  return found == kEntries.end() ? nullptr : found;
}

}  // namespace

Result cuGetErrorName(Result error, const char** text) {
  if (text == nullptr) return Result::invalid_value;
  const Entry* entry = find(error);
  *text = entry == nullptr ? nullptr : entry->name;
  return entry == nullptr ? Result::invalid_value : Result::success;
}

Result cuGetErrorString(Result error, const char** text) {
  if (text == nullptr) return Result::invalid_value;
  const Entry* entry = find(error);
  *text = entry == nullptr ? nullptr : entry->text;
  return entry == nullptr ? Result::invalid_value : Result::success;
}

}  // namespace grkan::vgpu::driver
