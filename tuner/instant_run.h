// An instant run: nothing is timed, and nothing is compiled to choose. Each candidate is predicted
// from its schedule, and the safe choice (safe_choice.h) is taken.
#pragma once

#include <cstdint>
#include <optional>

#include "core/device_info.h"
#include "tuner/outcome.h"
#include "tuner/request.h"

namespace grkan {

// Without a model, or with one that tells too little of a schedule, the default is the answer.
TuneOutcome instant_run(const TuneRequest& request);

// The same of a device, by its cost model.
TuneOutcome instant_run(const DeviceInfo& device, const Task& task, std::int64_t rows,
                        std::int64_t inner, Determinism determinism);

// The schedule that is safely faster than the default on a device; nothing: there is none.
std::optional<Schedule> predict_schedule(const DeviceInfo& device, const Task& task,
                                         std::int64_t rows, std::int64_t inner,
                                         Determinism determinism);

}  // namespace grkan
