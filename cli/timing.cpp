#include "cli/timing.h"

namespace grkan::cli {

const Timed* Timings::bound() const {
  const Timed* best = nullptr;
  for (const Timed& timed : bounds) {
    if (best == nullptr || median(timed.seconds) < median(best->seconds)) best = &timed;
  }
  return best;
}

Timings time_interleaved(Workbench& bench, const std::vector<const Kernel*>& kernels, int rounds) {
  Timings timings;
  for (const Kernel* kernel : kernels)
    timings.kernels.push_back({to_string(kernel->schedule()), {}});
  const std::vector<BoundKind> kinds = bench.bound_kinds();
  for (const BoundKind kind : kinds) timings.bounds.push_back({std::string(to_string(kind)), {}});
  for (int round = -1; round < rounds; ++round) {
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      const double seconds = bench.time(*kernels[i]);
      if (round >= 0) timings.kernels[i].seconds.push_back(seconds);
    }
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      const double seconds = bench.time_bound(kinds[i]);
      if (round >= 0) timings.bounds[i].seconds.push_back(seconds);
    }
  }
  return timings;
}

}  // namespace grkan::cli
