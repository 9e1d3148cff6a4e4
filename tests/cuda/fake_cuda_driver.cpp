// A CUDA driver that runs nothing: keeps a log of calls, holds "device" memory on the host, and
// fails where it is told to. Exports the names of the real one.
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

struct State {
  std::mutex mutex;
  std::string log;
  std::vector<int> context_stack;  // devices of the current contexts
  std::string failing;  // "function=code": that call fails with that code, once or always
  int version = 12040;
  int devices = 2;
};
State& state() {
  static State s;
  return s;
}

int finish(const char* function, const std::string& detail = {}) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.log += std::string(function) + (detail.empty() ? "" : " " + detail) + "\n";
  const std::string prefix = std::string(function) + "=";
  if (s.failing.rfind(prefix, 0) == 0) return std::atoi(s.failing.c_str() + prefix.size());
  return 0;
}

}  // namespace

EXPORT const char* fake_log() { return state().log.c_str(); }
EXPORT void fake_reset() {
  state().log.clear();
  state().failing.clear();
  state().context_stack.clear();
  state().version = 12040;
}
EXPORT void fake_fail(const char* what) { state().failing = what; }
EXPORT void fake_version(int version) { state().version = version; }
EXPORT void fake_current(int device) { state().context_stack = {device}; }

EXPORT int cuInit(unsigned) { return finish("cuInit"); }
EXPORT int cuDriverGetVersion(int* version) {
  *version = state().version;
  return 0;
}
EXPORT int cuGetErrorName(int error, const char** text) {
  *text = error == 209 ? "CUDA_ERROR_NO_BINARY_FOR_GPU" : "CUDA_ERROR_FAKE";
  return 0;
}
EXPORT int cuGetErrorString(int, const char** text) {
  *text = "a fake error";
  return 0;
}
EXPORT int cuDeviceGetCount(int* count) {
  *count = state().devices;
  return 0;
}
EXPORT int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return 0;
}
EXPORT int cuDeviceGetName(char* name, int size, int) {
  std::strncpy(name, "Fake GPU", std::size_t(size));
  return 0;
}
EXPORT int cuDeviceGetAttribute(int* value, int attribute, int) {
  switch (attribute) {
    case 16:
      *value = 132;
      break;
    case 38:
      *value = 50 << 20;
      break;
    case 75:
      *value = 9;
      break;
    default:
      *value = 0;
  }
  return 0;
}
EXPORT int cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  *bytes = std::size_t{80} << 30;
  return 0;
}
EXPORT int cuDevicePrimaryCtxRetain(void** context, int device) {
  *context = reinterpret_cast<void*>(std::size_t(device) + 1);
  return finish("cuDevicePrimaryCtxRetain");
}
EXPORT int cuDevicePrimaryCtxRelease_v2(int) { return finish("cuDevicePrimaryCtxRelease"); }
EXPORT int cuCtxGetDevice(int* device) {
  if (state().context_stack.empty()) return 201;
  *device = state().context_stack.back();
  return 0;
}
EXPORT int cuCtxPushCurrent_v2(void* context) {
  state().context_stack.push_back(int(reinterpret_cast<std::size_t>(context)) - 1);
  return 0;
}
EXPORT int cuCtxPopCurrent_v2(void**) {
  state().context_stack.pop_back();
  return 0;
}
EXPORT int cuLibraryLoadData(void** library, const void* code, int*, void**, unsigned, int*, void**,
                             unsigned) {
  const std::string text(static_cast<const char*>(code));
  int result = finish("cuLibraryLoadData", text);
  // A cubin of another architecture is refused; only PTX goes.
  if (text == "other cubin") result = 209;
  if (text == "new ptx") result = 222;
  if (result == 0) *library = new char;
  return result;
}
EXPORT int cuLibraryUnload(void* library) {
  delete static_cast<char*>(library);
  return finish("cuLibraryUnload");
}
EXPORT int cuLibraryGetKernel(void** kernel, void*, const char* name) {
  static std::deque<std::string> names;
  *kernel = &names.emplace_back(name);
  return finish("cuLibraryGetKernel", name);
}
EXPORT int cuKernelGetFunction(void** function, void* kernel) {
  *function = kernel;
  return finish("cuKernelGetFunction");
}
EXPORT int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned, unsigned threads,
                          unsigned, unsigned, unsigned, void* stream, void**, void**) {
  return finish("cuLaunchKernel", *static_cast<std::string*>(function) + " grid " +
                                      std::to_string(x) + "x" + std::to_string(y) + " threads " +
                                      std::to_string(threads) + " stream " +
                                      std::to_string(reinterpret_cast<std::size_t>(stream)));
}
EXPORT int cuLaunchKernelEx(const void* config, void* function, void**, void**) {
  // CUlaunchConfig: grid, block, shared bytes, stream, attributes and how many.
  const auto* words = static_cast<const unsigned*>(config);
  void* stream = nullptr;
  std::memcpy(&stream, words + 8, sizeof stream);
  const std::string early = words[12] != 0 ? " early" : "";
  return finish("cuLaunchKernelEx",
                *static_cast<std::string*>(function) + " grid " + std::to_string(words[0]) + "x" +
                    std::to_string(words[1]) + " threads " + std::to_string(words[3]) + " stream " +
                    std::to_string(reinterpret_cast<std::size_t>(stream)) + early);
}
EXPORT int cuMemAlloc_v2(unsigned long long* pointer, std::size_t bytes) {
  const int result = finish("cuMemAlloc");
  if (result != 0) return result;
  *pointer =
      reinterpret_cast<unsigned long long>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
  return 0;
}
EXPORT int cuMemFree_v2(unsigned long long pointer) {
  std::free(reinterpret_cast<void*>(pointer));
  return finish("cuMemFree");
}
EXPORT int cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  *free = *total = std::size_t{1} << 30;
  return 0;
}
EXPORT int cuMemcpyHtoD_v2(unsigned long long to, const void* from, std::size_t bytes) {
  std::memcpy(reinterpret_cast<void*>(to), from, bytes);
  return finish("cuMemcpyHtoD");
}
EXPORT int cuMemcpyDtoH_v2(void* to, unsigned long long from, std::size_t bytes) {
  std::memcpy(to, reinterpret_cast<const void*>(from), bytes);
  return finish("cuMemcpyDtoH");
}
EXPORT int cuMemcpyDtoDAsync_v2(unsigned long long, unsigned long long, std::size_t, void*) {
  return finish("cuMemcpyDtoDAsync");
}
EXPORT int cuMemsetD8Async(unsigned long long to, unsigned char value, std::size_t bytes, void*) {
  std::memset(reinterpret_cast<void*>(to), value, bytes);
  return finish("cuMemsetD8Async", std::to_string(bytes));
}
EXPORT int cuStreamSynchronize(void*) { return finish("cuStreamSynchronize"); }
EXPORT int cuEventCreate(void** event, unsigned) {
  *event = new char;
  return 0;
}
EXPORT int cuEventDestroy_v2(void* event) {
  delete static_cast<char*>(event);
  return 0;
}
EXPORT int cuEventRecord(void*, void*) { return finish("cuEventRecord"); }
EXPORT int cuEventSynchronize(void*) { return finish("cuEventSynchronize"); }
EXPORT int cuEventElapsedTime(float* milliseconds, void*, void*) {
  *milliseconds = 2;
  return 0;
}
