// Modules, which belong to a context, and libraries, which go with all.
#include <algorithm>

#include "virtual_gpu/driver/code.h"

namespace grkan::vgpu::driver {
namespace {

constexpr int kLazy = 2;  // CUmoduleLoadingMode
// Room for the variables of a library that no context has loaded; it is mapped lazily.
constexpr std::size_t kScratch = std::size_t{1} << 40;

Result global(const vgpu::Module& code, const char* name, Pointer* pointer, std::size_t* bytes) {
  const auto& all = code.globals();
  const auto found = std::ranges::find(all, name, &vgpu::Module::Global::name);
  if (found == all.end()) return Result::not_found;
  if (pointer != nullptr) *pointer = found->address;
  if (bytes != nullptr) *bytes = found->size;
  return Result::success;
}

void forget(const ModuleState& module) {
  state().functions.remove_if([&](const FunctionState& f) { return f.module.get() == &module; });
  state().modules.remove(module.handle);
}

// The capability that a library's PTX must run on: the current context's, else the best there is.
int capability_for_library() {
  ContextState* context = nullptr;
  if (current_context(context) == Result::success) {
    return context->device->model->compute_capability;
  }
  int best = 0;
  for (const auto& device : state().devices) {
    best = std::max(best, device->model->compute_capability);
  }
  return best;
}

}  // namespace

Result cuModuleLoadData(Module* module, const void* image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

Result cuModuleLoadDataEx(Module* module, const void* image, unsigned count, int* options,
                          void** values) {
  return with_context([&](ContextState& context) {
    if (module == nullptr) return Result::invalid_value;
    if (context.fault != Result::success) return context.fault;
    JitOptions read;
    std::string ptx;
    Build build;
    Result result = read_options(count, options, values, read);
    if (result == Result::success) result = ptx_of(image, ptx, build);
    if (result == Result::success) result = refuse_in_capture();
    if (result != Result::success) return result;
    auto code = compile(ptx, context.device->model->compute_capability, *context.device->memory,
                        read, result);
    if (code == nullptr) return result;
    auto made = std::make_shared<ModuleState>();
    made->context = &context;
    made->code = std::move(code);
    made->build = std::move(build);
    made->build.most_registers = read.most_registers;
    made->handle = state().modules.add(made);
    *module = made->handle;
    return Result::success;
  });
}

Result cuModuleUnload(Module module) {
  return with_context([&](ContextState&) {
    const auto found = state().modules.find(module);
    if (found == nullptr) return Result::invalid_handle;
    const Result refused = refuse_in_capture();
    if (refused != Result::success) return refused;
    // A library's module goes with the library.
    bool of_library = false;
    state().libraries.for_each([&](const LibraryState& library) {
      for (const auto& [context, own] : library.modules) of_library |= own == found;
    });
    if (of_library) return Result::not_permitted;
    forget(*found);
    return Result::success;
  });
}

Result cuModuleGetFunction(Function* function, Module module, const char* name) {
  return with_context([&](ContextState&) {
    if (function == nullptr || name == nullptr) return Result::invalid_value;
    const auto found = state().modules.find(module);
    if (found == nullptr) return Result::invalid_handle;
    Function handle = nullptr;
    const auto made = function_of(found, name, handle);
    if (made == nullptr) return Result::not_found;
    const Result result = load(*made);
    if (result == Result::success) *function = handle;
    return result;
  });
}

Result cuModuleGetGlobal_v2(Pointer* pointer, std::size_t* bytes, Module module, const char* name) {
  return with_context([&](ContextState&) {
    if (name == nullptr || (pointer == nullptr && bytes == nullptr)) return Result::invalid_value;
    const auto found = state().modules.find(module);
    if (found == nullptr) return Result::invalid_handle;
    return global(*found->code, name, pointer, bytes);
  });
}

Result cuModuleGetLoadingMode(int* mode) {
  return guarded([&] {
    if (mode == nullptr) return Result::invalid_value;
    *mode = kLazy;
    return Result::success;
  });
}

Result cuLibraryLoadData(Library* library, const void* code, int* jit_options, void** jit_values,
                         unsigned jit_count, int* options, void** values, unsigned count) {
  return guarded([&] {
    if (library == nullptr || (count != 0 && (options == nullptr || values == nullptr))) {
      return Result::invalid_value;
    }
    JitOptions read;
    auto made = std::make_shared<LibraryState>();
    Result result = read_options(jit_count, jit_options, jit_values, read);
    if (result == Result::success) result = ptx_of(code, made->ptx, made->build);
    if (result != Result::success) return result;
    made->build.most_registers = read.most_registers;
    made->scratch = std::make_unique<Memory>(kScratch);
    made->code = compile(made->ptx, capability_for_library(), *made->scratch, read, result);
    if (made->code == nullptr) return result;
    *library = state().libraries.add(std::move(made));
    return Result::success;
  });
}

Result cuLibraryUnload(Library library) {
  return guarded([&] {
    const auto found = state().libraries.find(library);
    if (found == nullptr) return Result::invalid_handle;
    const Result refused = refuse_in_capture();
    if (refused != Result::success) return refused;
    for (const auto& [context, module] : found->modules) forget(*module);
    state().kernels.remove_if([&](const KernelState& k) { return k.library == found; });
    state().libraries.remove(library);
    return Result::success;
  });
}

Result cuLibraryGetKernel(CudaKernel* kernel, Library library, const char* name) {
  return guarded([&] {
    if (kernel == nullptr || name == nullptr) return Result::invalid_value;
    const auto found = state().libraries.find(library);
    if (found == nullptr) return Result::invalid_handle;
    const ModuleKernel* code = found->code->kernel(name);
    if (code == nullptr) return Result::not_found;
    CudaKernel& handle = found->kernels[name];
    if (handle == nullptr) {
      auto made = std::make_shared<KernelState>();
      made->library = found;
      made->kernel = code;
      handle = state().kernels.add(std::move(made));
    }
    *kernel = handle;
    return Result::success;
  });
}

Result cuLibraryGetKernelCount(unsigned* count, Library library) {
  return guarded([&] {
    if (count == nullptr) return Result::invalid_value;
    const auto found = state().libraries.find(library);
    if (found == nullptr) return Result::invalid_handle;
    *count = unsigned(found->code->kernels().size());
    return Result::success;
  });
}

Result cuLibraryGetModule(Module* module, Library library) {
  return with_context([&](ContextState& context) {
    if (module == nullptr) return Result::invalid_value;
    const auto found = state().libraries.find(library);
    if (found == nullptr) return Result::invalid_handle;
    std::shared_ptr<ModuleState> own;
    const Result result = module_of(found, context, own);
    if (result == Result::success) *module = own->handle;
    return result;
  });
}

Result cuLibraryGetGlobal(Pointer* pointer, std::size_t* bytes, Library library, const char* name) {
  return with_context([&](ContextState& context) {
    if (name == nullptr || (pointer == nullptr && bytes == nullptr)) return Result::invalid_value;
    const auto found = state().libraries.find(library);
    if (found == nullptr) return Result::invalid_handle;
    std::shared_ptr<ModuleState> own;
    const Result result = module_of(found, context, own);
    return result == Result::success ? global(*own->code, name, pointer, bytes) : result;
  });
}

Result cuKernelGetFunction(Function* function, CudaKernel kernel) {
  return with_context([&](ContextState& context) {
    if (function == nullptr) return Result::invalid_value;
    const auto found = state().kernels.find(kernel);
    if (found == nullptr) return Result::invalid_handle;
    std::shared_ptr<FunctionState> made;
    Function handle = nullptr;
    const Result result = function_of(*found, context, made, handle);
    if (result == Result::success) *function = handle;
    return result;
  });
}

}  // namespace grkan::vgpu::driver
