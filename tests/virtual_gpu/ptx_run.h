// Runs hand-written PTX on the virtual GPU.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "virtual_gpu/machine/launch.h"

namespace grkan::vgpu {

// A kernel `k` of 64-bit parameters p0, p1 ... with registers %r (b32), %d (b64), %f (f32), %g
// (f64), %h (b16) and %p (predicates), up to 30 each. %r29 is the thread, %d20 + n is parameter n.
inline std::string ptx_kernel(const std::string& body, int parameters = 1,
                              const std::string& before = "") {
  std::string text =
      ".version 9.0\n.target sm_90\n.address_size 64\n" + before + "\n.visible .entry k(";
  for (int n = 0; n < parameters; ++n) {
    text += (n == 0 ? ".param .u64 p" : ", .param .u64 p") + std::to_string(n);
  }
  text +=
      ")\n{\n.reg .b32 %r<30>;\n.reg .b64 %d<30>;\n.reg .f32 %f<30>;\n.reg .f64 %g<30>;\n"
      ".reg .b16 %h<30>;\n.reg .pred %p<30>;\nmov.u32 %r29, %tid.x;\n";
  for (int n = 0; n < parameters; ++n) {
    text += "ld.param.u64 %d" + std::to_string(20 + n) + ", [p" + std::to_string(n) + "];\n";
  }
  return text + body + "\nret;\n}\n";
}

class PtxRun {
 public:
  explicit PtxRun(const std::string& ptx) : memory(std::size_t{1} << 28), module(ptx, memory) {}

  template <class T>
  std::uint64_t upload(const std::vector<T>& values) {
    const std::uint64_t address = memory.allocate(values.size() * sizeof(T));
    EXPECT_TRUE(memory.write(address, values.data(), values.size() * sizeof(T)));
    return address;
  }
  template <class T>
  std::vector<T> download(std::uint64_t address, std::size_t count) {
    std::vector<T> values(count);
    EXPECT_TRUE(memory.read(values.data(), address, count * sizeof(T)));
    return values;
  }
  LaunchResult run(const std::vector<std::uint64_t>& parameters, Dim3 grid, Dim3 block,
                   const LaunchOptions& options = {}, std::size_t dynamic_shared = 0) {
    return launch(module.kernels().at(0), grid, block, dynamic_shared,
                  std::as_bytes(std::span(parameters)), memory, options);
  }

  Memory memory;
  Module module;
};

}  // namespace grkan::vgpu
