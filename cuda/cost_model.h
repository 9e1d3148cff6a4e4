// CUDA's cost model (core/cost_model.h): how long launches would take on a GPU that is not here. A
// pure function of what is known of them and of the GPU; docs/prediction.md explains it.
//
//   GpuCall call{task, schedule, gpu_model("h200"), rows, inner};
//   executed:  SampleShape sample = sample_shape(call);
//              run sample.rows rows on a virtual GPU with a grid for sample.multiprocessors
//              facts = executed_facts(call, sample, report.at("launches"));
//   static:    counts = the compiler's `count` for task, schedule, target, rows, inner and the
//              model's multiprocessors (core/compiler_api.h)
//              facts = static_facts(call, counts);
//   predict(facts, call.gpu).ns
#pragma once

#include <span>

#include "core/gpu_models.h"
#include "core/learned.h"
#include "core/prediction.h"
#include "cuda/launch_facts.h"

namespace grkan {

// By the model alone. Finite, and positive for one launch or more. Launches run one after another.
Prediction predict(std::span<const LaunchFacts> launches, const GpuModel& gpu);
// With what was learnt (cuda/features.h), and how wrong it may be. `launches`: of the call.
Prediction predict_learnt(const GpuCall& call, std::span<const LaunchFacts> launches,
                          const Learned& learned);

}  // namespace grkan
