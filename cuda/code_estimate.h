// CodeEstimate: about what the compiler makes of a schedule, by the schedule alone: nothing is
// compiled. It is made of what the generated source asks for (docs/cuda-kernels.md) and of what
// NVRTC's code for sm_90 adds to that; a test holds it to the compiler's counts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/launch.h"
#include "cuda/launch_facts.h"

namespace grkan {

// Of one kernel of a call.
struct CodeEstimate {
  int registers = 32;            // of a thread
  std::size_t shared_bytes = 0;  // of a block
  LaunchFacts facts;             // of these: instructions, requests, passes
};

// Of the launch's main kernel.
CodeEstimate estimate_main(const GpuCall& call, const CudaLaunch& launch);
// Of the second pass, whose threads make `steps` rounds.
CodeEstimate estimate_second_pass(const CudaLaunch& launch, double steps);

}  // namespace grkan
