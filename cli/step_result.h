// A step's time (tuner/step_time.h) as `grkan tune` tells it.
#pragma once

#include <string>

#include "cli/verb.h"
#include "tuner/step_time.h"

namespace grkan::cli {

// The documented `step`: {weights, calls, time_ns, default_time_ns, gain, evidence, layers
// [{problem, rows, inner, time_ns, default_time_ns, share}]}. Null without calls; the text is empty
// then.
Json step_json(const Step& step);
std::string step_text(const Step& step);

}  // namespace grkan::cli
