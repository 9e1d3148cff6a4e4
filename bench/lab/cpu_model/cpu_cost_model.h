// The CPU's cost model: how long a call would take, by its schedule and the processor's figures.
// Nothing is compiled or timed. docs/prediction.md explains it, and why no tuning rests on it.
//
//   CpuWork work{task, schedule, target, cpu_model_for(target, machine), rows, inner, threads};
//   predict(work).seconds
#pragma once

#include "bench/lab/cpu_model/cpu_facts.h"
#include "core/prediction.h"

namespace grkan {

// Finite and positive for every legal schedule; rows, inner and threads are positive.
Prediction predict(const CpuWork& work);
Prediction predict(const CpuFacts& facts, const CpuWork& work);

}  // namespace grkan
