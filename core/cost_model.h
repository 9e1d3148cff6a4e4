// CostModel: how long a backend's calls would take on a device, without timing them.
//
//   from the schedule:   model.of_schedule(call): nothing is compiled
//   from the code:       counts = Compiler::count for the call and the model's multiprocessors
//                        model.of_code(call, counts)
//   from an execution:   SampleShape sample = model.sample(call);
//                        run sample.rows rows on a virtual GPU with a grid for
//                        sample.multiprocessors
//                        model.of_execution(call, the report's launches)
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "core/prediction.h"
#include "core/schedule.h"
#include "core/task.h"

namespace grkan {

// A schedule of a task at one size.
struct SizedCall {
  Task task;
  Schedule schedule;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
};

// A small call whose blocks do what those of the whole call do, so that its counts stand for them:
// executing it takes milliseconds. The whole call where there is no smaller one.
struct SampleShape {
  std::int64_t rows = 1;
  int multiprocessors = 1;  // that the grid is made for
  bool operator==(const SampleShape&) const = default;
};

class CostModel {
 public:
  virtual ~CostModel() = default;

  // Nothing where a schedule alone tells too little.
  [[nodiscard]] virtual std::optional<Prediction> of_schedule(const SizedCall& call) const = 0;

  // The others throw unsupported where a backend has no such counts.

  // Throws unsupported, with the reason, where the code could not be counted, and where it does not
  // fit the device; invalid_argument for what are no counts.
  [[nodiscard]] virtual Prediction of_code(const SizedCall& call,
                                           const nlohmann::json& counts) const = 0;
  [[nodiscard]] virtual SampleShape sample(const SizedCall& call) const = 0;
  // Throws invalid_argument for launches of another call than the sample.
  [[nodiscard]] virtual Prediction of_execution(const SizedCall& call,
                                                const nlohmann::json& launches) const = 0;
};

}  // namespace grkan
