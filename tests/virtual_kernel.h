// A sample's tensors in the memory of a virtual GPU, and this project's kernels launched on them.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/cuda_call.h"
#include "core/sample.h"
#include "virtual_gpu/launch.h"

namespace grkan {

class VirtualSample {
 public:
  VirtualSample(Sample& sample, vgpu::Memory& memory) : sample_(sample), memory_(memory) {
    for (SampleBuffer* buffer :
         {&sample.x, &sample.dy, &sample.out, &sample.a, &sample.b, &sample.da, &sample.db}) {
      if (buffer->data() == nullptr || buffer->bytes() == 0) continue;
      // As aligned as on the host.
      const auto shift = reinterpret_cast<std::uintptr_t>(buffer->data()) % 64;
      const std::uint64_t base = memory.allocate(shift + buffer->bytes());
      EXPECT_NE(base, 0U);
      places_.push_back({buffer, base, base + shift});
      EXPECT_TRUE(memory.write(base + shift, buffer->data(), buffer->bytes()));
    }
  }
  VirtualSample(const VirtualSample&) = delete;
  VirtualSample& operator=(const VirtualSample&) = delete;
  ~VirtualSample() {
    for (const Place& place : places_) memory_.free(place.base);
  }

  // The launches that the runtime would make; their findings and counts, one after another.
  std::vector<vgpu::LaunchResult> run(const vgpu::Module& module, const CudaSchedule& schedule,
                                      int multiprocessors, const vgpu::LaunchOptions& options) {
    const Task& task = sample_.task();
    Call call = sample_.call();
    const CudaLaunch launch = cuda_launch(task, schedule, call.rows, call.inner, multiprocessors);
    for (const void** pointer : {&call.x, &call.dy, &call.a, &call.b}) *pointer = moved(*pointer);
    for (void** pointer : {&call.out, &call.da, &call.db}) {
      *pointer = const_cast<void*>(moved(*pointer));
    }
    std::uint64_t workspace = 0;
    if (launch.workspace_bytes != 0) {
      workspace = memory_.allocate(std::size_t(launch.workspace_bytes));
    }
    const CudaCall argument =
        cuda_call(task, schedule, launch, call, reinterpret_cast<void*>(workspace));
    for (const CudaClear& clear : cuda_clears(task, schedule, launch, argument)) {
      const std::vector<char> zeros(std::size_t(clear.bytes));
      EXPECT_TRUE(memory_.write(reinterpret_cast<std::uint64_t>(clear.memory), zeros.data(),
                                zeros.size()));
    }
    const auto bytes = std::as_bytes(std::span(&argument, 1));
    std::vector<vgpu::LaunchResult> results;
    for (const vgpu::ModuleKernel& kernel : module.kernels()) {
      const bool second = kernel.name.ends_with("_second_pass");
      EXPECT_EQ(kernel.parameter_bytes, bytes.size());
      const vgpu::Dim3 grid = second ? vgpu::Dim3{launch.second_pass_blocks, 1, 1}
                                     : vgpu::Dim3{launch.grid_x, launch.grid_y, 1};
      const std::uint32_t threads = second ? launch.second_pass_threads : launch.threads;
      results.push_back(vgpu::launch(kernel, grid, {threads, 1, 1}, 0, bytes, memory_, options));
    }
    if (workspace != 0) memory_.free(workspace);
    for (const Place& place : places_) {
      EXPECT_TRUE(memory_.read(place.buffer->data(), place.address, place.buffer->bytes()));
    }
    return results;
  }

 private:
  struct Place {
    SampleBuffer* buffer;
    std::uint64_t base;
    std::uint64_t address;
  };
  const void* moved(const void* pointer) const {
    for (const Place& place : places_) {
      if (place.buffer->data() == pointer) return reinterpret_cast<const void*>(place.address);
    }
    return nullptr;
  }

  Sample& sample_;
  vgpu::Memory& memory_;
  std::vector<Place> places_;
};

inline std::string describe(const std::vector<vgpu::Finding>& findings) {
  std::string text;
  for (const vgpu::Finding& f : findings) {
    text += std::string(to_string(f.check)) + ", line " + std::to_string(f.line) + " '" +
            f.instruction + "': " + f.detail + ", " + std::to_string(f.times) + " times\n";
  }
  return text;
}

}  // namespace grkan
