// Tuning a task on a device: gives the search of libgrkan_compiler (tuner/tune.h) what builds,
// checks and measures (or counts) a schedule here, keeps every measurement, and stores the winner.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cache/winner.h"
#include "runtime/context.h"
#include "runtime/plan.h"

namespace grkan {

struct TuneProgress {
  std::int64_t done = 0;
  std::int64_t total = 0;
  double seconds_left = 0;
  std::string schedule;
};

struct TuneOptions {
  Effort effort = Effort::quick;
  double budget_seconds = 0;  // 0: what the effort takes
  std::uint64_t seed = 1;
  bool strict = false;  // throws disturbed rather than store what a busy machine gave
  std::function<void(const TuneProgress&)> progress;
  std::function<bool()> cancelled;
};

struct TuneResult {
  Winner winner;
  bool stored = false;       // false: the cache could not take it
  bool timed_again = false;  // only the best few of an earlier tuning, or of a prediction
  std::int64_t rows = 0;     // timed; less than asked for where memory was short
  std::string answer;        // the search's whole answer (tuner/tune.h), JSON
};

// Tunes at one size; the winner holds for half to twice of it. On a virtual GPU nothing is timed:
// the winner is predicted for the GPU that it stands for, from counts (tuner/offline.h).
//
// With effort quick, where there is a winner of this size that was predicted, or measured with
// another driver, compiler or generator, its best few alone are timed again.
//
// rows and inner are positive. Throws unsupported for a device of portable kernels, no_compiler, or
// what the default schedule failed with.
TuneResult tune(Context& context, Device& device, const Task& task, std::int64_t rows,
                std::int64_t inner, const TuneOptions& options);

// Tunes for every number of rows in a range: at several sizes, the winners hold for the stretches
// between the crossovers (crossovers.h), which are their rows. At the upper end of inner; effort
// instant at the upper end of rows, for the whole range. The budget is that of one size. A tuning
// that is cancelled covers the range as far as it came.
std::vector<TuneResult> tune_range(Context& context, Device& device, const Task& task, Range rows,
                                   Range inner, const TuneOptions& options);

// The space that tune() would search, and why the rest of the combinations is not in it:
// {tried, candidates, left_out {reason: count}, refused {reason: count}}, JSON. `refused` are
// candidates that turned out not to fit, or not to be worth a timing, once they were compiled:
// those of earlier tunings, and on a virtual GPU those that effort instant compiles. Nothing is
// timed or stored as a winner.
std::string explain_space(Context& context, Device& device, const Task& task, std::int64_t rows,
                          std::int64_t inner);

// Before a plan prepares a range: tunes each part of its rows where no measurement on this device
// of this driver and generator (on the CPU: and compiler) holds, at the upper end of inner, with
// the context's effort. A failure is logged; the plan then takes what it has. A virtual GPU's plans
// don't tune.
void tune_where_unknown(Plan& plan, const Task& task, Range rows, Range inner);

}  // namespace grkan
