// Random tasks, sizes and schedules for checks: everything the product promises to serve, odd sizes
// included. The same generator state gives the same answer on every machine.
#pragma once

#include <cstdint>
#include <random>

#include "core/sample.h"
#include "core/schedule.h"
#include "core/task.h"

namespace grkan {

using RandomGenerator = std::mt19937_64;

// Any degrees, variant, types, layout, groups (width 1 included) and subset of gradients.
Task random_task(RandomGenerator& generator);

// Rows from 0, inner, row padding, misaligned pointers, in-place and accumulating calls.
SampleOptions random_sample_options(RandomGenerator& generator, const Task& task);

// A legal schedule for the target, each parameter drawn from its values; the default one where no
// legal one was met in a few hundred draws.
Schedule random_schedule(RandomGenerator& generator, const Task& task, const Target& target,
                         Determinism determinism = Determinism::run_to_run);

}  // namespace grkan
