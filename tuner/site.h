// TuneSite: what a tuning works with.
#pragma once

#include <cstddef>
#include <string>

#include "cache/binaries.h"
#include "cache/cache.h"
#include "core/device.h"
#include "core/log.h"
#include "core/schedule.h"

namespace grkan {

// All of it outlives the tuning.
struct TuneSite {
  Device& device;
  Cache& cache;
  Binaries& binaries;  // and through it the compiler
  const Log& log;
  Determinism determinism = Determinism::run_to_run;
  std::size_t memory = 0;       // bytes for buffers; 0: a quarter of the free memory, at most 1 GiB
  std::string unmeasured_date;  // of winners that were not measured; "": now
};

}  // namespace grkan
