// A sample's tensors in the memory of a virtual GPU, and this project's kernels launched on them.
#pragma once

#include <vector>

#include "core/sample.h"
#include "cuda/launch.h"
#include "virtual_gpu/machine/launch.h"

namespace grkan::vgpu {

// Copies the sample's buffers to the device, as aligned as on the host, and frees them when it
// goes.
class VirtualSample {
 public:
  // Throws out_of_memory when `memory` has no room.
  VirtualSample(Sample& sample, Memory& memory);
  VirtualSample(const VirtualSample&) = delete;
  VirtualSample& operator=(const VirtualSample&) = delete;
  ~VirtualSample();

  // The launches that the runtime would make, one after another.
  std::vector<LaunchResult> run(const Module& module, const CudaSchedule& schedule,
                                int multiprocessors, const LaunchOptions& options);
  // Copies what they wrote into the sample.
  void read_back();

  // For other launches: the sample's call over addresses of the device, and its memory. The tensors
  // are allocated in the order x, dy, out, a, b, da, db.
  [[nodiscard]] Call call() const;
  [[nodiscard]] Memory& memory() const { return memory_; }

 private:
  struct Place {
    SampleBuffer* buffer;
    std::uint64_t base;
    std::uint64_t address;
  };
  [[nodiscard]] const void* moved(const void* pointer) const;

  Sample& sample_;
  Memory& memory_;
  std::vector<Place> places_;
};

}  // namespace grkan::vgpu
