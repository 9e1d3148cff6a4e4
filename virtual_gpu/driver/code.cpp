#include "virtual_gpu/driver/code.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "virtual_gpu/driver/limits.h"

namespace grkan::vgpu::driver {
namespace {

constexpr int kNewestPtx = 90;  // of the driver's version, 13.0
constexpr int kUsualRegisters = 40;

bool begins_with(const void* image, std::string_view magic) {
  // Byte by byte: a text may be shorter.
  const char* bytes = static_cast<const char*>(image);
  return std::ranges::all_of(magic, [&](char byte) { return *bytes++ == byte; });
}

// 90 for ".version 9.0"; 0 where there is none.
int version_of(std::string_view ptx) {
  constexpr std::string_view kDirective = ".version";
  std::size_t at = ptx.find(kDirective);
  if (at == std::string_view::npos) return 0;
  at = ptx.find_first_not_of(" \t", at + kDirective.size());
  if (at == std::string_view::npos) return 0;
  int major = 0;
  int minor = 0;
  const char* end = ptx.data() + ptx.size();
  const auto [point, error] = std::from_chars(ptx.data() + at, end, major);
  if (error != std::errc{} || point == end || *point != '.') return 0;
  std::from_chars(point + 1, end, minor);
  return major * 10 + minor;
}

void tell(const std::string& message, const JitOptions& options) {
  if (state().printed.insert(message).second) {
    std::fprintf(stderr, "grkan virtual GPU: %s\n", message.c_str());
  }
  if (options.error_log == nullptr || options.error_log_size == 0) return;
  const std::size_t length = std::min(message.size(), options.error_log_size - 1);
  std::memcpy(options.error_log, message.data(), length);
  options.error_log[length] = '\0';
  if (options.error_log_used != nullptr) {
    *options.error_log_used = reinterpret_cast<void*>(length + 1);
  }
}

}  // namespace

Result read_options(unsigned count, const int* options, void** values, JitOptions& read) {
  if (count != 0 && (options == nullptr || values == nullptr)) return Result::invalid_value;
  for (unsigned i = 0; i < count; ++i) {
    const auto number = reinterpret_cast<std::uintptr_t>(values[i]);
    switch (options[i]) {
      case 0:  // MAX_REGISTERS
        read.most_registers = int(std::min<std::uintptr_t>(number, kMostRegisters));
        break;
      case 4:  // INFO_LOG_BUFFER_SIZE_BYTES: used of it; there is nothing to inform of
        values[i] = nullptr;
        break;
      case 5:  // ERROR_LOG_BUFFER
        read.error_log = static_cast<char*>(values[i]);
        break;
      case 6:  // ERROR_LOG_BUFFER_SIZE_BYTES
        read.error_log_size = number & 0xFFFFFFFFU;
        read.error_log_used = &values[i];
        break;
      default:  // of the assembler that the virtual GPU does not have
        break;
    }
  }
  if (read.error_log_used != nullptr) *read.error_log_used = nullptr;
  return Result::success;
}

Result ptx_of(const void* image, std::string& ptx, Build& build) {
  thread_local std::vector<CubinKernel> refused;
  if (image == nullptr) return Result::invalid_value;
  build.cubin = std::exchange(refused, {});
  constexpr std::string_view kElf =
      "\x7F"
      "ELF";
  if (begins_with(image, kElf)) {
    refused = read_cubin(image);
    return Result::no_binary_for_gpu;
  }
  constexpr std::array<std::string_view, 2> kMachineCode = {"\x50\xED\x55\xBA",   // a fat binary
                                                            "\xB1\x43\x62\x46"};  // its wrapper
  for (const std::string_view magic : kMachineCode) {
    if (begins_with(image, magic)) return Result::no_binary_for_gpu;
  }
  ptx = static_cast<const char*>(image);
  return Result::success;
}

std::unique_ptr<vgpu::Module> compile(const std::string& ptx, int capability, Memory& memory,
                                      const JitOptions& options, Result& result) {
  if (const int version = version_of(ptx); version > kNewestPtx) {
    tell(fmt::format("PTX of version {}.{} came, but {}.{} is the newest that driver {}.{} takes",
                     version / 10, version % 10, kNewestPtx / 10, kNewestPtx % 10, kVersion / 1000,
                     kVersion % 1000 / 10),
         options);
    result = Result::unsupported_ptx_version;
    return nullptr;
  }
  try {
    auto module = std::make_unique<vgpu::Module>(ptx, memory);
    if (module->target() <= capability) {
      result = Result::success;
      return module;
    }
    tell(fmt::format("PTX for sm_{} can't run on a device of sm_{}; compile for that or an older "
                     "one",
                     module->target(), capability),
         options);
    result = Result::invalid_ptx;
  } catch (const Error& error) {
    tell(error.what(), options);
    result = error.status() == Status::out_of_memory ? Result::out_of_memory : Result::invalid_ptx;
  }
  return nullptr;
}

std::shared_ptr<Settings> default_settings(const ModuleKernel& kernel) {
  auto settings = std::make_shared<Settings>();
  settings->most_dynamic_shared = kDefaultShared - std::min(kDefaultShared, kernel.shared_bytes);
  return settings;
}

std::shared_ptr<FunctionState> function_of(const std::shared_ptr<ModuleState>& module,
                                           std::string_view name, Function& handle) {
  State& s = state();
  if (const auto known = module->functions.find(name); known != module->functions.end()) {
    handle = known->second;
    return s.functions.find(handle);
  }
  const ModuleKernel* kernel = module->code->kernel(name);
  if (kernel == nullptr) return nullptr;
  auto function = std::make_shared<FunctionState>();
  function->module = module;
  function->kernel = kernel;
  function->settings = default_settings(*kernel);
  handle = s.functions.add(function);
  module->functions.emplace(name, handle);
  return function;
}

Result load(FunctionState& function) {
  if (function.loaded) return Result::success;
  const Result refused = refuse_in_capture();
  if (refused == Result::success) function.loaded = true;
  return refused;
}

Result module_of(const std::shared_ptr<LibraryState>& library, ContextState& context,
                 std::shared_ptr<ModuleState>& module) {
  if (const auto known = library->modules.find(&context); known != library->modules.end()) {
    module = known->second;
    return Result::success;
  }
  Result result = refuse_in_capture();
  if (result != Result::success) return result;
  auto code = compile(library->ptx, context.device->model->compute_capability,
                      *context.device->memory, {}, result);
  if (code == nullptr) return result;
  module = std::make_shared<ModuleState>();
  module->context = &context;
  module->code = std::move(code);
  module->build = library->build;
  module->handle = state().modules.add(module);
  library->modules.emplace(&context, module);
  return Result::success;
}

Result function_of(KernelState& kernel, ContextState& context,
                   std::shared_ptr<FunctionState>& function, Function& handle) {
  std::shared_ptr<ModuleState> module;
  Result result = module_of(kernel.library, context, module);
  if (result != Result::success) return result;
  function = function_of(module, kernel.kernel->name, handle);
  if (function == nullptr) return Result::not_found;
  auto& settings = kernel.settings[context.device->ordinal];
  if (settings == nullptr) settings = default_settings(*kernel.kernel);
  function->settings = settings;
  return load(*function);
}

Result resolve(Function handle, ContextState& context, std::shared_ptr<FunctionState>& function) {
  function = state().functions.find(handle);
  if (function != nullptr) return Result::success;
  const auto kernel = state().kernels.find(reinterpret_cast<CudaKernel>(handle));
  if (kernel == nullptr) return Result::invalid_handle;
  Function ignored = nullptr;
  return function_of(*kernel, context, function, ignored);
}

Resources resources_of(const ModuleKernel& kernel, const Build& build) {
  constexpr int kRegisterFile = 65536;
  const auto known = std::ranges::find(build.cubin, kernel.name, &CubinKernel::name);
  Resources r;
  r.of_cubin = known != build.cubin.end();
  if (r.of_cubin) {
    r.registers = known->registers;
    r.shared_bytes = known->shared_bytes;
    r.local_bytes = known->local_bytes;
  } else {
    const int resident = kernel.max_threads * std::max(1, kernel.min_blocks);
    const int allowed = std::min(kMostRegisters, kRegisterFile / std::max(1, resident) / 8 * 8);
    r.registers = std::min(allowed, kUsualRegisters);
    r.shared_bytes = kernel.shared_bytes;
    r.local_bytes = kernel.local_bytes;
  }
  if (build.most_registers != 0) r.registers = std::min(r.registers, build.most_registers);
  return r;
}

int occupancy(const FunctionState& function, int threads, std::size_t dynamic_shared) {
  const Resources resources = resources_of(*function.kernel, function.module->build);
  return resident_blocks(*function.module->context->device->model, threads, resources.registers,
                         resources.shared_bytes + dynamic_shared);
}

}  // namespace grkan::vgpu::driver
