// Times of a task's schedules and of its memory bound, interleaved in one run.
#pragma once

#include <string>
#include <vector>

#include "cli/verb.h"
#include "tuner/search/statistics.h"
#include "tuner/workbench.h"

namespace grkan::cli {

struct Timed {
  std::string name;  // a schedule, or a kind of bound
  std::vector<double> seconds;
};

// Each kernel, then each kind of bound that applies, once a round. The first round is not counted.
struct Timings {
  std::vector<Timed> kernels;
  std::vector<Timed> bounds;
  // The bound with the lowest median; none on a device that has none.
  [[nodiscard]] const Timed* bound() const;
};
Timings time_interleaved(Workbench& bench, const std::vector<const Kernel*>& kernels, int rounds);

}  // namespace grkan::cli
