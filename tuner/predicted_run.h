// A predicted run, for a GPU that is not here: candidates are compiled for it, counted, and judged
// by the cost model.
//
//   screen:    the strategy proposes; each is compiled, two at a time, and predicted from its
//              code's counts (a candidate whose code can't be counted is executed at once)
//   finals:    the best few and the default are checked against the reference and executed on a
//              virtual GPU, all of its checks on, and predicted from these counts
//   decision:  as in search.h, without noise
// The same request gives the same answer, in any machine's time. Effort instant executes nothing
// that its code tells.
#pragma once

#include "tuner/outcome.h"
#include "tuner/request.h"
#include "tuner/trial.h"

namespace grkan {

// Predicts for `gpu`, which request.gpu names. Throws wrong_answer, compile_failed or device_error
// when the default itself fails.
TuneOutcome predicted_run(const TuneRequest& request, const GpuModel& gpu, Trial& trial,
                          const TuneHooks& hooks);

}  // namespace grkan
