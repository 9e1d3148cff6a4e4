#include "cuda/driver.h"

#include <dlfcn.h>

#include "core/error.h"

namespace grkan::cuda {
namespace {

constexpr int kOldest = 12000;  // cuLibraryLoadData

// Sets one function; false where the library does not have it.
template <class Pointer>
bool bind(void* library, const char* symbol, Pointer& function) {
  function = reinterpret_cast<Pointer>(dlsym(library, symbol));
  return function != nullptr;
}

std::string text_of(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

}  // namespace

Driver::Driver(const std::string& path) {
  // Never closed: a driver does not take being unloaded.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fail(Status::no_device,
         "the CUDA driver {} can't be opened: {}; install the driver, or set GRKAN_CUDA_DRIVER to "
         "its path",
         path, dlerror());
  }
  // The version first: an old driver lacks newer functions, and that is what to say.
  if (bind(library, "cuDriverGetVersion", driver_get_version)) driver_get_version(&version_);
  if (version_ < kOldest) {
    fail(Status::no_device, "the CUDA driver {} is of version {}, but {} or later is needed", path,
         text_of(version_), text_of(kOldest));
  }
  VirtualGpu extra;
  if (bind(library, "grkan_virtual_report", extra.report) &&
      bind(library, "grkan_virtual_reset", extra.reset) &&
      bind(library, "grkan_virtual_device", extra.device)) {
    virtual_ = extra;
  }
  const char* missing = nullptr;
#define GRKAN_CUDA_BIND(symbol, name, parameters) \
  if (!bind(library, #symbol, name)) missing = #symbol;
  GRKAN_CUDA_FUNCTIONS(GRKAN_CUDA_BIND)
#undef GRKAN_CUDA_BIND
  if (missing != nullptr) {
    fail(Status::no_device, "the CUDA driver {} of version {} has no {}; install a newer one", path,
         version_text(), missing);
  }
  if (const Result result = init(0); result != kSuccess) {
    fail(Status::no_device, "the CUDA driver {} can't be initialised: {}", path,
         error_text(result));
  }
}

std::string Driver::version_text() const { return text_of(version_); }

std::string Driver::error_text(Result result) const {
  const char* name = nullptr;
  const char* text = nullptr;
  if (get_error_name(result, &name) != kSuccess || name == nullptr) name = "unknown error";
  if (get_error_string(result, &text) != kSuccess || text == nullptr) text = "no description";
  return fmt::format("{} ({}): {}", name, result, text);
}

void Driver::check(Result result, const char* call) const {
  if (result == kSuccess) return;
  fail(result == kOutOfMemory ? Status::out_of_memory : Status::device_error, "{} failed: {}", call,
       error_text(result));
}

}  // namespace grkan::cuda
