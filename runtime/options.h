// ContextOptions: how a context works; what is left open is taken from the environment, once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/device.h"
#include "core/effort.h"
#include "core/log.h"
#include "core/schedule.h"
#include "core/target.h"
#include "cpu/thread_pool.h"

namespace grkan {

inline constexpr int kMostThreads = 1024;

struct ContextOptions {
  std::string cache_dir =
      {};  // empty: GRKAN_CACHE_DIR, else XDG_CACHE_HOME/grkan, else HOME/.cache/grkan
  Effort effort = Effort::instant;  // what a plan made on a miss may spend
  Determinism determinism = Determinism::run_to_run;
  int threads = 0;              // 0: GRKAN_THREADS, else one a processor
  std::size_t tune_memory = 0;  // 0: a quarter of the free memory, at most 1 GiB
  ParallelFor parallel_for = {};
  Allocator allocator = {};
  LogSink log = {};                        // null: standard error
  std::optional<LogLevel> log_level = {};  // none: GRKAN_LOG, else warn
  std::string cuda_driver = {};            // GRKAN_CUDA_DRIVER, else libcuda.so.1
  std::string compiler = {};               // GRKAN_COMPILER, else beside this library
  // Of winners that were not measured, 2026-11-23T22:40:05Z; empty: that of SOURCE_DATE_EPOCH, else
  // the time when they are stored.
  std::string unmeasured_date = {};
  // The CPU's kernels are this target's, not those of the best it has: an empty name for the
  // portable ones. The processor must have it.
  std::optional<Target> cpu_target = {};
};

// The options with all that was open filled from the environment and defaults. Throws
// invalid_argument on a value out of range, naming the variable or the option it came from.
ContextOptions resolve(ContextOptions options);

}  // namespace grkan
