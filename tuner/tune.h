// Tuning a task on a device: searches at one size or over a range of rows, keeps every measurement,
// and stores the winners.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cache/winner.h"
#include "core/effort.h"
#include "tuner/outcome.h"
#include "tuner/site.h"
#include "tuner/trial.h"

namespace grkan {

struct TuneOptions {
  Effort effort = Effort::quick;  // but none
  double budget_seconds = 0;      // 0: what the effort takes
  std::uint64_t seed = 1;
  bool strict = false;  // throws disturbed rather than store what a busy machine gave
  std::function<void(const TuneProgress&)> progress;
  std::function<bool()> cancelled;
};

struct TuneResult {
  Winner winner;
  TuneOutcome outcome;       // of the search
  bool stored = false;       // false: the cache could not take it
  bool timed_again = false;  // only the best few of an earlier tuning, or of a prediction
  std::int64_t rows = 0;     // timed; less than asked for where memory was short
};

// Tunes at one size; the winner holds for half to twice of it. On a virtual GPU nothing is timed:
// the winner is predicted for the GPU that it stands for, from counts (predicted_run.h).
//
// With effort quick, where there is a winner of this size that was predicted, or measured with
// another driver, compiler or generator, its best few alone are timed again.
//
// rows and inner are positive. Throws unsupported for a device of portable kernels, no_compiler, or
// what the default schedule failed with.
TuneResult tune(const TuneSite& site, const Task& task, std::int64_t rows, std::int64_t inner,
                const TuneOptions& options);

// Tunes for every number of rows in a range: at several sizes, the winners hold for the stretches
// between the crossovers (crossovers.h), which are their rows. At the upper end of inner; effort
// instant at the upper end of rows, for the whole range. The budget is that of one size. A tuning
// that is cancelled covers the range as far as it came.
std::vector<TuneResult> tune_range(const TuneSite& site, const Task& task, Range rows, Range inner,
                                   const TuneOptions& options);

// The space that tune() would search, and why the rest of the combinations is not in it. `refused`
// are candidates that turned out not to fit, or not to be worth a timing, once they were compiled:
// those of earlier tunings, and on a virtual GPU those that effort instant compiles. Nothing is
// timed or stored as a winner.
SpaceOutcome explain_space(const TuneSite& site, const Task& task, std::int64_t rows,
                           std::int64_t inner);

// Whether what a winner measured is of the driver and generator that are here now, and of
// `compiler`; "": of the one here, which may load the compiler library to ask.
bool is_current(const TuneSite& site, const Winner& winner, std::string_view compiler = {});

}  // namespace grkan
