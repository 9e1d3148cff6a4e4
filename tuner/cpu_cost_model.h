// The CPU's cost model: how long a call would take, by its schedule and the processor's figures.
// Nothing is compiled or timed. docs/prediction.md explains it.
//
//   CpuWork work{task, schedule, target, cpu_model_for(target, machine), rows, inner, threads};
//   predict(work).seconds
#pragma once

#include "tuner/cpu_facts.h"
#include "tuner/prediction.h"

namespace grkan {

// Finite and positive for every legal schedule; rows, inner and threads are positive.
Prediction predict(const CpuWork& work);
Prediction predict(const CpuFacts& facts, const CpuWork& work);
// Seconds of each of these schedules, in the place of the work's own.
std::vector<double> predicted_seconds(CpuWork work, std::span<const Schedule> schedules);

}  // namespace grkan
