#include "python/src/torch_abi.h"

#include <dlfcn.h>

namespace grkan::torch {
namespace {

// Sets one function; false where the library does not have it.
template <class Pointer>
bool bind(void* library, const char* symbol, Pointer& function) {
  if (library == nullptr) return false;
  function = reinterpret_cast<Pointer>(dlsym(library, symbol));
  return function != nullptr;
}

}  // namespace

std::string Abi::load() {
  void* cpu = dlopen("libtorch_cpu.so", RTLD_NOLOAD | RTLD_LAZY | RTLD_LOCAL);
  if (cpu == nullptr) return "libtorch_cpu.so is not loaded; import torch first";
  const char* missing = nullptr;
#define GRKAN_TORCH_BIND(symbol, name, result, parameters) \
  if (!bind(cpu, #symbol, name)) missing = #symbol;
  GRKAN_TORCH_FUNCTIONS(GRKAN_TORCH_BIND)
#undef GRKAN_TORCH_BIND
  if (missing != nullptr) {
    return "the loaded libtorch_cpu.so has no " + std::string(missing) +
           "; PyTorch 2.10 or later is needed";
  }
  void* cuda = dlopen("libtorch_cuda.so", RTLD_NOLOAD | RTLD_LAZY | RTLD_LOCAL);
#define GRKAN_TORCH_BIND(symbol, name, result, parameters) \
  if (!bind(cpu, #symbol, name)) bind(cuda, #symbol, name);
  GRKAN_TORCH_OPTIONAL_FUNCTIONS(GRKAN_TORCH_BIND)
#undef GRKAN_TORCH_BIND
  return "";
}

}  // namespace grkan::torch
