// What a learnt model is told of a call on a GPU: its schedule, and what the cost model found.
#pragma once

#include <span>
#include <vector>

#include "core/features.h"
#include "core/prediction.h"
#include "cuda/launch_facts.h"

namespace grkan {

struct CudaEstimate {
  const GpuCall& call;
  const LaunchFacts& main;    // the main kernel's launch
  const Prediction& physics;  // of the whole call
};

std::span<const Feature<CudaEstimate>> cuda_features();

// The main kernel's of a call's launches: the first that has blocks.
const LaunchFacts& main_launch(std::span<const LaunchFacts> launches);

}  // namespace grkan
