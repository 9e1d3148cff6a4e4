// The CPU's cost model: how long a call would take, by its schedule and the processor's figures.
// Nothing is compiled or timed. By itself it orders schedules badly; what was learnt from times
// (core/learned.h) is told its parts. docs/prediction.md explains it.
//
//   CpuWork work{task, schedule, target, cpu_model_for(target, machine), rows, inner, threads};
//   predict(work).ns
#pragma once

#include "core/learned.h"
#include "core/prediction.h"
#include "cpu/facts.h"

namespace grkan {

// Finite and positive for every legal schedule; rows, inner and threads are positive.
Prediction predict(const CpuWork& work);
Prediction predict(const CpuFacts& facts, const CpuWork& work);
// With what was learnt (cpu/features.h), and how wrong it may be.
Prediction predict_learnt(const CpuWork& work, const Learned& learned);

}  // namespace grkan
