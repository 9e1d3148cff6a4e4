// Code of programs: loading it, and the functions behind handles.
#pragma once

#include <string>
#include <string_view>

#include "virtual_gpu/driver/state.h"

namespace grkan::vgpu::driver {

// CUjit_option, as far as the virtual GPU hears them.
struct JitOptions {
  int most_registers = 0;  // 0: none given
  char* error_log = nullptr;
  std::size_t error_log_size = 0;
  void** error_log_used = nullptr;
};
Result read_options(unsigned count, const int* options, void** values, JitOptions& read);

// The PTX of an image, in `ptx`; no_binary_for_gpu for machine code. What a cubin tells of its
// kernels is kept for the PTX that this thread gives next, and then is in `build`.
Result ptx_of(const void* image, std::string& ptx, Build& build);

// The module of `ptx`; null with the code in `result`, the message in the options' log and, once,
// on stderr. `capability`: of the device, 90 for 9.0.
std::unique_ptr<vgpu::Module> compile(const std::string& ptx, int capability, Memory& memory,
                                      const JitOptions& options, Result& result);

// The function of a module by its name, null: none. It is loaded when something runs it.
std::shared_ptr<FunctionState> function_of(const std::shared_ptr<ModuleState>& module,
                                           std::string_view name, Function& handle);

// Loads a function, which some captures forbid.
Result load(FunctionState& function);

// The module of a library in a context.
Result module_of(const std::shared_ptr<LibraryState>& library, ContextState& context,
                 std::shared_ptr<ModuleState>& module);
// The function of a library's kernel in a context.
Result function_of(KernelState& kernel, ContextState& context,
                   std::shared_ptr<FunctionState>& function, Function& handle);

// What is behind a function's handle, or a kernel's that stands for the function in `context`.
Result resolve(Function handle, ContextState& context, std::shared_ptr<FunctionState>& function);

std::shared_ptr<Settings> default_settings(const ModuleKernel& kernel);

// What a kernel takes of a multiprocessor. Without a cubin the registers are an estimate: PTX
// declares as many as it likes, and what is left after allocation only ptxas knows. It is what the
// launch bounds or the program allow, 40 at the most.
struct Resources {
  int registers = 0;             // of a thread
  std::size_t shared_bytes = 0;  // of a block, static
  std::size_t local_bytes = 0;   // of a thread
  bool of_cubin = false;
};
Resources resources_of(const ModuleKernel& kernel, const Build& build);

// Blocks that a multiprocessor holds at once.
int occupancy(const FunctionState& function, int threads, std::size_t dynamic_shared);

}  // namespace grkan::vgpu::driver
