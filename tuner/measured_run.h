// A measured run: searches a task's space by timing candidates beside the default.
#pragma once

#include "tuner/outcome.h"
#include "tuner/request.h"
#include "tuner/trial.h"

namespace grkan {

// Effort quick or above. Throws wrong_answer,
// compile_failed, out_of_memory or device_error when the default schedule itself fails.
TuneOutcome measured_run(const TuneRequest& request, Trial& trial, const TuneHooks& hooks);

}  // namespace grkan
