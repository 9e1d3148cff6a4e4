// What a learnt model is told of a call on the CPU: its task, schedule and size, and what the cost
// model found. Nothing is compiled.
#pragma once

#include <span>

#include "core/features.h"
#include "core/prediction.h"
#include "cpu/facts.h"

namespace grkan {

struct CpuEstimate {
  const CpuWork& work;
  const Prediction& physics;
};

std::span<const Feature<CpuEstimate>> cpu_features();

}  // namespace grkan
