#include "virtual_runtime.h"

#include <cuda.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "virtual_runtime: %s\n", why.c_str());
  std::abort();
}

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) stop(std::string(name) + " is not set");
  return value;
}

// clang-format off
#define DRIVER_FUNCTIONS(X)                                                                  \
  X(cuInit) X(cuDevicePrimaryCtxRetain) X(cuCtxSetCurrent) X(cuDeviceGetAttribute)           \
  X(cuDriverGetVersion) X(cuGetErrorName) X(cuLaunchKernelEx) X(cuMemAlloc) X(cuMemFree)     \
  X(cuMemcpyDtoH) X(cuMemcpyHtoD) X(cuMemsetD8Async) X(cuModuleLoadData) X(cuModuleGetFunction)
// clang-format on
// cuda.h's names stand for those with a version.
#define TEXT(name) #name
#define NAME(name) TEXT(name)

// The virtual GPU's library, with the PTX loaded.
struct Driver {
#define MEMBER(name) decltype(&::name) name##_ = nullptr;
  DRIVER_FUNCTIONS(MEMBER)
#undef MEMBER
  const char* (*report)() = nullptr;
  void (*reset)() = nullptr;
  std::vector<CUmodule> modules;

  Driver() {
    const std::string path = setting("GRKAN_TEST_DRIVER");
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) stop(dlerror());
    const auto find = [&](const char* name) {
      void* found = dlsym(library, name);
      if (found == nullptr) stop(path + " has no " + name);
      return found;
    };
#define BIND(name) name##_ = reinterpret_cast<decltype(&::name)>(find(NAME(name)));
    DRIVER_FUNCTIONS(BIND)
#undef BIND
    report = reinterpret_cast<const char* (*)()>(find("grkan_virtual_report"));
    reset = reinterpret_cast<void (*)()>(find("grkan_virtual_reset"));
    check(cuInit_(0), "cuInit");
    make_current();
    for (const auto& file : std::filesystem::directory_iterator(setting("GRKAN_TEST_PTX"))) {
      if (file.path().extension() != ".ptx") continue;
      std::ifstream stream(file.path(), std::ios::binary);
      const std::string text(std::istreambuf_iterator<char>(stream), {});
      modules.emplace_back();
      check(cuModuleLoadData_(&modules.back(), text.c_str()), file.path().c_str());
    }
  }
  // PyTorch runs backward on a thread of its own.
  void make_current() const {
    thread_local bool done = false;
    if (done) return;
    CUcontext context = nullptr;
    check(cuDevicePrimaryCtxRetain_(&context, 0), "cuDevicePrimaryCtxRetain");
    check(cuCtxSetCurrent_(context), "cuCtxSetCurrent");
    done = true;
  }
  void check(CUresult result, const char* what) const {
    if (result == CUDA_SUCCESS) return;
    const char* name = "?";
    cuGetErrorName_(result, &name);
    stop(std::string(what) + ": " + name);
  }
  [[nodiscard]] CUfunction function(const void* handle) const {
    Dl_info info{};
    if (dladdr(handle, &info) == 0 || info.dli_sname == nullptr) stop("a handle has no name");
    for (const CUmodule module : modules) {
      CUfunction found = nullptr;
      if (cuModuleGetFunction_(&found, module, info.dli_sname) == CUDA_SUCCESS) return found;
    }
    stop(std::string("no PTX has ") + info.dli_sname);
  }
};

const Driver& driver() {
  static const Driver opened;
  opened.make_current();
  return opened;
}

CUdeviceptr address(const void* memory) { return reinterpret_cast<CUdeviceptr>(memory); }

}  // namespace

namespace virtual_runtime {

void* allocate(std::size_t bytes) {
  CUdeviceptr memory = 0;
  driver().check(driver().cuMemAlloc_(&memory, bytes == 0 ? 1 : bytes), "cuMemAlloc");
  return reinterpret_cast<void*>(memory);
}
void release(void* memory) { driver().check(driver().cuMemFree_(address(memory)), "cuMemFree"); }
void to_device(void* device, const void* host, std::size_t bytes) {
  if (bytes == 0) return;
  driver().check(driver().cuMemcpyHtoD_(address(device), host, bytes), "cuMemcpyHtoD");
}
void to_host(void* host, const void* device, std::size_t bytes) {
  if (bytes == 0) return;
  driver().check(driver().cuMemcpyDtoH_(host, address(device), bytes), "cuMemcpyDtoH");
}
const char* report() {
  static std::string text;
  text = driver().report();
  driver().reset();
  return text.c_str();
}

}  // namespace virtual_runtime

extern "C" {

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int /*device*/) {
  const auto which = static_cast<CUdevice_attribute>(attribute);  // the numbers are the same
  return static_cast<cudaError_t>(driver().cuDeviceGetAttribute_(value, which, 0));
}

cudaError_t cudaDriverGetVersion(int* version) {
  return static_cast<cudaError_t>(driver().cuDriverGetVersion_(version));
}

const char* cudaGetErrorString(cudaError_t error) {
  const char* name = "?";
  driver().cuGetErrorName_(static_cast<CUresult>(error), &name);
  return name;
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  return static_cast<cudaError_t>(
      driver().cuMemsetD8Async_(address(memory), static_cast<unsigned char>(value), bytes, stream));
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* kernel,
                                void** arguments) {
  std::vector<CUlaunchAttribute> attributes(config->numAttrs);
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    if (config->attrs[i].id != cudaLaunchAttributeProgrammaticStreamSerialization) {
      stop("an unknown attribute");
    }
    attributes[i].id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    attributes[i].value.programmaticStreamSerializationAllowed =
        config->attrs[i].val.programmaticStreamSerializationAllowed;
  }
  CUlaunchConfig launch{};
  launch.gridDimX = config->gridDim.x;
  launch.gridDimY = config->gridDim.y;
  launch.gridDimZ = config->gridDim.z;
  launch.blockDimX = config->blockDim.x;
  launch.blockDimY = config->blockDim.y;
  launch.blockDimZ = config->blockDim.z;
  launch.sharedMemBytes = static_cast<unsigned>(config->dynamicSmemBytes);
  launch.hStream = config->stream;
  launch.attrs = attributes.data();
  launch.numAttrs = config->numAttrs;
  return static_cast<cudaError_t>(
      driver().cuLaunchKernelEx_(&launch, driver().function(kernel), arguments, nullptr));
}

}  // extern "C"
