// What is known of kernels, and occupancy.
#include <algorithm>
#include <optional>

#include "virtual_gpu/driver/code.h"
#include "virtual_gpu/driver/limits.h"

namespace grkan::vgpu::driver {
namespace {

constexpr int kMaxDynamicShared = 8;
constexpr int kCarveout = 9;

struct Known {
  const ModuleKernel& kernel;
  const Settings& settings;
  const GpuModel& model;
  Resources resources;
};

std::optional<int> attribute(const Known& known, int which) {
  switch (which) {
    case 0: {  // MAX_THREADS_PER_BLOCK
      const auto all = int(known.model.registers_per_multiprocessor.value);
      return std::min(
          {kMostThreads, known.kernel.max_threads, all / known.resources.registers / 32 * 32});
    }
    case 1:  // SHARED_SIZE_BYTES
      return int(known.resources.shared_bytes);
    case 3:  // LOCAL_SIZE_BYTES
      return int(known.resources.local_bytes);
    case 4:  // NUM_REGS
      return known.resources.registers;
    case 5:  // PTX_VERSION: of the code, as a capability
    case 6:  // BINARY_VERSION
      return known.model.compute_capability;
    case kMaxDynamicShared:
      return int(known.settings.most_dynamic_shared);
    case kCarveout:
      return known.settings.carveout;
    default:  // constants, cache mode, clusters: there are none
      if (which < 0 || which > 15) return std::nullopt;
      return 0;
  }
}

Result set_attribute(const ModuleKernel& kernel, Settings& settings, const GpuModel& model,
                     int which, int value) {
  if (which == kMaxDynamicShared) {
    const std::size_t most = block_limits(model).shared_opt_in;
    if (value < 0 || std::size_t(value) + kernel.shared_bytes > most) return Result::invalid_value;
    settings.most_dynamic_shared = std::size_t(value);
    return Result::success;
  }
  if (which == kCarveout) {
    if (value < -1 || value > 100) return Result::invalid_value;
    settings.carveout = value;
    return Result::success;
  }
  return Result::invalid_value;
}

// `body(FunctionState&)` of a function's handle, or a kernel's.
template <class Body>
Result with_function(Function handle, const Body& body) {
  return with_context([&](ContextState& context) {
    std::shared_ptr<FunctionState> function;
    const Result result = resolve(handle, context, function);
    return result == Result::success ? body(*function) : result;
  });
}

// `body(KernelState&, Settings&, const GpuModel&)`
template <class Body>
Result with_kernel(CudaKernel handle, Device device, const Body& body) {
  return with_device(device, [&](DeviceState& on) {
    const auto kernel = state().kernels.find(handle);
    if (kernel == nullptr) return Result::invalid_handle;
    auto& settings = kernel->settings[device];
    if (settings == nullptr) settings = default_settings(*kernel->kernel);
    return body(*kernel, *settings, *on.model);
  });
}

Result put(int* value, std::optional<int> known) {
  if (value == nullptr || !known) return Result::invalid_value;
  *value = *known;
  return Result::success;
}

}  // namespace

Result cuFuncGetAttribute(int* value, int which, Function function) {
  return with_function(function, [&](FunctionState& f) {
    const ModuleState& module = *f.module;
    return put(value, attribute({*f.kernel, *f.settings, *module.context->device->model,
                                 resources_of(*f.kernel, module.build)},
                                which));
  });
}

Result cuFuncSetAttribute(Function function, int which, int value) {
  return with_function(function, [&](FunctionState& f) {
    return set_attribute(*f.kernel, *f.settings, *f.module->context->device->model, which, value);
  });
}

Result cuFuncSetCacheConfig(Function function, int config) {
  return with_function(function, [&](FunctionState&) {
    return config >= 0 && config <= 3 ? Result::success : Result::invalid_value;
  });
}

Result cuFuncGetName(const char** name, Function function) {
  return with_function(function, [&](FunctionState& f) {
    if (name == nullptr) return Result::invalid_value;
    *name = f.kernel->name.c_str();
    return Result::success;
  });
}

Result cuFuncGetModule(Module* module, Function function) {
  return with_function(function, [&](FunctionState& f) {
    if (module == nullptr) return Result::invalid_value;
    *module = f.module->handle;
    return Result::success;
  });
}

Result cuFuncGetParamInfo(Function function, std::size_t index, std::size_t* offset,
                          std::size_t* size) {
  return with_function(function, [&](FunctionState& f) {
    const auto& parameters = f.kernel->parameters;
    if (offset == nullptr || index >= parameters.size()) return Result::invalid_value;
    *offset = parameters[index].offset;
    if (size != nullptr) *size = parameters[index].size;
    return Result::success;
  });
}

Result cuFuncIsLoaded(int* loaded, Function function) {
  return guarded([&] {
    const auto found = state().functions.find(function);
    if (found == nullptr) return Result::invalid_handle;
    if (loaded == nullptr) return Result::invalid_value;
    *loaded = found->loaded ? 1 : 0;
    return Result::success;
  });
}

Result cuFuncLoad(Function function) {
  return with_function(function, [&](FunctionState& f) { return load(f); });
}

Result cuKernelGetName(const char** name, CudaKernel kernel) {
  return guarded([&] {
    const auto found = state().kernels.find(kernel);
    if (found == nullptr) return Result::invalid_handle;
    if (name == nullptr) return Result::invalid_value;
    *name = found->kernel->name.c_str();
    return Result::success;
  });
}

Result cuKernelGetAttribute(int* value, int which, CudaKernel kernel, Device device) {
  return with_kernel(kernel, device,
                     [&](KernelState& k, Settings& settings, const GpuModel& model) {
                       return put(value, attribute({*k.kernel, settings, model,
                                                    resources_of(*k.kernel, k.library->build)},
                                                   which));
                     });
}

Result cuKernelSetAttribute(int which, int value, CudaKernel kernel, Device device) {
  return with_kernel(kernel, device,
                     [&](KernelState& k, Settings& settings, const GpuModel& model) {
                       return set_attribute(*k.kernel, settings, model, which, value);
                     });
}

Result cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function function, int threads,
                                                   std::size_t dynamic_shared) {
  return with_function(function, [&](FunctionState& f) {
    if (blocks == nullptr || threads < 1) return Result::invalid_value;
    const BlockLimits limits = block_limits(*f.module->context->device->model);
    const bool fits = threads <= std::min(kMostThreads, f.kernel->max_threads) &&
                      dynamic_shared <= limits.shared_opt_in;
    *blocks = fits ? occupancy(f, threads, dynamic_shared) : 0;
    return Result::success;
  });
}

Result cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, Function function,
                                                            int threads, std::size_t dynamic_shared,
                                                            unsigned flags) {
  // 1: without the caching of globals in L1, which changes nothing here.
  if (flags > 1) return Result::invalid_value;
  return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, threads, dynamic_shared);
}

}  // namespace grkan::vgpu::driver
