// Module: PTX text made ready to run. Parsed once; an opcode, type or directive that the virtual
// GPU does not know is an error here, never while a kernel runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "virtual_gpu/machine/memory.h"

namespace grkan::vgpu {

struct Program;  // a kernel's instructions (program.h)

struct KernelParameter {
  std::size_t offset = 0;
  std::size_t size = 0;
};

struct ModuleKernel {
  std::string name;
  std::vector<KernelParameter> parameters;
  std::size_t parameter_bytes = 0;
  std::size_t shared_bytes = 0;  // static
  std::size_t local_bytes = 0;   // of a thread
  int max_threads = 1024;        // .maxntid
  int min_blocks = 0;            // .minnctapersm
  std::shared_ptr<const Program> program;
};

class Module {
 public:
  // Places .global and .const variables in `memory` and frees them when it goes. Throws Error
  // (Status::compile_failed) with the line and what was expected: "line 214: unknown instruction
  // 'wgmma.mma_async...'".
  Module(std::string_view ptx, Memory& memory);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  [[nodiscard]] int ptx_version() const { return ptx_version_; }  // 90 for 9.0
  [[nodiscard]] int target() const { return target_; }            // 90 for sm_90
  [[nodiscard]] const std::vector<ModuleKernel>& kernels() const { return kernels_; }
  [[nodiscard]] const ModuleKernel* kernel(std::string_view name) const;  // null: none
  struct Global {
    std::string name;
    std::uint64_t address = 0;
    std::size_t size = 0;
  };
  [[nodiscard]] const std::vector<Global>& globals() const { return globals_; }

 private:
  Memory& memory_;
  int ptx_version_ = 0;
  int target_ = 0;
  std::vector<ModuleKernel> kernels_;
  std::vector<Global> globals_;
};

}  // namespace grkan::vgpu
