// The last steps of the CUDA road, for who wants more than compiler.h gives.
#pragma once

#include "codegen/cuda/nvrtc.h"
#include "codegen/cuda/source.h"
#include "core/binary.h"

namespace grkan {

struct CudaBuild {
  CudaSource source;
  NvrtcOutput output;
  std::vector<KernelResources> kernels;  // the main kernel first
};

// Generates and compiles with the NVRTC that the target would use. Throws what nvrtc_compile does,
// and compile_failed where its log tells of fewer kernels than there are.
CudaBuild build_cuda(const Task& task, const CudaSchedule& schedule, const Target& target);

}  // namespace grkan
