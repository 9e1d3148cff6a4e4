// Tuning a task: the space, the search and its words, behind core/compiler_api.h's `tune`.
//
// Request (JSON):
//   schema 1, task, target, determinism ("run_to_run"), rows, inner (1), effort ("quick"), seed (1)
//   gpu             a model of core/gpu_models.h: predict for it (tuner/offline.h); absent: measure
//   budget_seconds  default by effort: quick 10, thorough 60, exhaustive none (then only the space
//                   ends it); none for a prediction
//   compiler        names the compiler and its build; lines of another one are not resumed
//   generator       names the code that makes kernels: the same
//   schedules       the only ones to look at, beside the default, all of them at any effort but
//                   instant; those that are illegal are left out. Absent: the space
//   resume          lines recorded before (texts or objects); those of other tasks, targets, rows,
//                   inner or default schedules are passed over
// Effort: instant measures nothing and answers with the default; quick and thorough begin with
// starting points or a random sample and then look where it may be fastest; exhaustive looks at
// everything.
//
// Answer (JSON):
//   schema, task, target, determinism, rows, inner, effort, seed
//   schedule          the winner's;  default {schedule, seconds {median, p10, p90, samples}}
//   evidence          "measured"; "predicted"; or "default", also of a search that was stopped
//                     before it compared anything
//   seconds {median, p10, p90, samples}, error_scaled, ratio_to_default {median, low, high, rounds}
//   near_ties         schedules as fast as the best
//   candidates        [{schedule, status, why, seconds, ratio_to_default, error_scaled, finalist}],
//                     all that were looked at, the best first
//   space {tried, candidates, left_out {reason: count}, refused {reason: count} (once compiled)},
//   looked_at, resumed (candidates known from lines)
//   disturbed, disturbed_why, cancelled, out_of_time, wall_seconds
// A figure that is not known is null. Of a prediction also gpu, counts ("executed"
// or "static", of each candidate too), prediction {counts, bound, floor_seconds, fraction_of_floor,
// tail_seconds, parts_seconds {resource: seconds}, assumed [figures]}; its seconds have a median
// alone.
//
// A recorded line (JSON, one for each candidate and round):
//   schema, task, target, compiler, generator, default (schedule), schedule, rows, inner, status,
//   why, error_scaled, seconds [s], reference_seconds [s] (the default's in the same round; both
//   empty when it failed)
// of a prediction instead of the times: gpu, and counts (of the code) or launches (as executed)
#pragma once

#include <string>
#include <string_view>

#include "core/compiler_api.h"

namespace grkan {

inline constexpr int kTuneSchema = 1;

// Throws invalid_argument for a wrong request; wrong_answer, compile_failed, out_of_memory or
// device_error when the default schedule itself fails.
std::string tune(std::string_view request, const TuneCallbacks& callbacks);

}  // namespace grkan
