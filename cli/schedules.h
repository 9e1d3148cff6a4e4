// How a verb names the schedule and the target of a generated kernel.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "cli/options.h"
#include "runtime/context.h"

namespace grkan::cli {

struct ScheduleOptions {
  std::string schedule;  // printed; empty: the default schedule
  std::string targets;   // comma-separated; empty: of `device`
  std::string device;    // whose target it is; empty: this machine's CPU

  void declare(CLI::App& command, bool many_targets);

  [[nodiscard]] std::vector<Target> target_list(Context& context) const;
  // The schedule given or the default one for these rows. Throws invalid_argument with
  // why_illegal's reason.
  [[nodiscard]] Schedule schedule_for(const Task& task, const Target& target, std::int64_t rows,
                                      std::int64_t inner, Determinism determinism) const;
};

}  // namespace grkan::cli
