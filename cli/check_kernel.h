// One run of one schedule on test data, held against the reference.
#pragma once

#include <string>

#include "cli/verb.h"
#include "core/check.h"
#include "core/sample.h"
#include "runtime/context.h"

namespace grkan::cli {

struct Outcome {
  Task task;
  SampleOptions sample;
  Schedule schedule;
  TensorErrors error;
  std::string failure;            // empty: passed
  Json findings = Json::array();  // of a virtual GPU's checks; each is a failure
};

Outcome check_kernel(Context& context, Device& device, const Task& task,
                     const SampleOptions& options, const Schedule& schedule);

// {y, dx, da, db: {max_abs, mean_abs, scaled, bound}}: those the task has.
Json error_json(const TensorErrors& error);

}  // namespace grkan::cli
