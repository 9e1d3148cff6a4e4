// Backend: what one kind of device asks of schedules. The CPU's is in cpu/, CUDA's in cuda/; which
// one a target has is said in runtime/backends.cpp alone. Another kind of device is a folder with
// its Backend and a line there.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/binary.h"
#include "core/cost_model.h"
#include "core/device_info.h"
#include "core/gpu_models.h"
#include "core/schedule.h"
#include "core/target.h"
#include "core/task.h"

namespace grkan {

// How a schedule's kernel rounds, as far as error bounds depend on it (core/bounds.h).
struct Arithmetic {
  int reciprocal_roundings = 1;            // of 1/Q, beyond those of Q
  bool pairs_of_terms = false;             // polynomials by Estrin's scheme; else term by term
  bool slope_rounds_coefficients = false;  // i c_i is rounded before it is used
  bool multiplies_by_reciprocal = false;   // forward: y = P (1/Q), two operations
  double run = 0;  // terms that one running sum of the arithmetic takes; 0 without sums

  bool operator==(const Arithmetic&) const = default;
};

// Bytes of workspace that no kernel of a task exceeds, whatever its schedule and rows; `per_inner`
// grows with channels-first's inner. Calls of few rows need no more than `few` and `per_row` for
// each row (and element of inner); 0: not known.
struct WorkspaceBound {
  std::size_t fixed = 0;
  std::size_t per_inner = 0;
  std::size_t few = 0;
  std::size_t per_row = 0;

  bool operator==(const WorkspaceBound&) const = default;
  [[nodiscard]] std::size_t bytes(std::int64_t inner) const {
    return fixed + per_inner * std::size_t(inner);
  }
  // Becomes enough for another task's calls too.
  void hold(const WorkspaceBound& other) {
    fixed = std::max(fixed, other.fixed);
    per_inner = std::max(per_inner, other.per_inner);
    few = std::max(few, other.few);
    per_row = std::max(per_row, other.per_row);
  }
  // Of calls of up to so many rows; their elements can be addressed.
  [[nodiscard]] std::size_t bytes(std::int64_t rows, std::int64_t inner) const {
    const std::size_t any = bytes(inner);
    if (per_row == 0 || any <= few) return any;
    const auto lines = std::size_t(rows) * std::size_t(inner);
    return lines >= (any - few) / per_row ? any : few + per_row * lines;
  }
};

// A schedule, and what its main kernel takes.
struct CompiledSchedule {
  Schedule schedule;
  KernelResources kernel;
};

// Every Schedule given is of this backend, every Target one that has it.
class Backend {
 public:
  Backend() = default;
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  [[nodiscard]] virtual std::string_view name() const = 0;
  // The parameters of its schedules, at most kMostParameters, in the order of Schedule::values.
  [[nodiscard]] virtual std::span<const Parameter> parameters() const = 0;
  // A printed schedule, for messages that tell the form.
  [[nodiscard]] virtual std::string_view example() const = 0;

  // As the functions of core/schedule.h, which ask the target's backend.
  [[nodiscard]] virtual std::string why_illegal(const Task& task, const Schedule& schedule,
                                                const Target& target,
                                                Determinism determinism) const = 0;
  [[nodiscard]] virtual Schedule default_schedule(const Task& task, const Target& target,
                                                  std::int64_t rows, std::int64_t inner,
                                                  Determinism determinism) const = 0;

  // Why a legal schedule is not worth a look at these rows, though the default (`standard`) may be:
  // another one does the same, or more with it. Empty: it is.
  [[nodiscard]] virtual std::string why_pointless(const Task& task, const Schedule& schedule,
                                                  const Schedule& standard, const Target& target,
                                                  std::int64_t rows, std::int64_t inner) const = 0;

  // Schedules that were among the fastest of other problems, the best first; none where none are
  // known.
  [[nodiscard]] virtual std::vector<Schedule> starting_points(const Task& task,
                                                              const Target& target) const;
  // How far a candidate is from a starting point: parameters that differ. What depends on the
  // problem stands for what the default has.
  [[nodiscard]] virtual int distance_from_start(const Schedule& candidate, const Schedule& start,
                                                const Schedule& standard) const;

  // Schedules whose kernels a device loads beside this one's: for the calls that its can't serve.
  [[nodiscard]] virtual std::vector<Schedule> loaded_beside(const Task& task,
                                                            const Schedule& schedule) const;

  [[nodiscard]] virtual Arithmetic arithmetic(const Task& task, const Schedule& schedule) const = 0;

  // Why a candidate is not worth a timing beside the default (`standard`), by what the compiler
  // said of both, with the figures; empty: it may be. `model`: the device's, null where it is not
  // known. What the compiler did not tell rules nothing out.
  [[nodiscard]] virtual std::string why_pruned(const CompiledSchedule& candidate,
                                               const CompiledSchedule& standard,
                                               const Target& target, const GpuModel* model) const;
  // Predicts times on a model of GPUs, or on a device that is described; null where there is no
  // cost model.
  [[nodiscard]] virtual std::unique_ptr<const CostModel> cost_model(const GpuModel& model) const;
  [[nodiscard]] virtual std::unique_ptr<const CostModel> cost_model_of(
      const DeviceInfo& device) const;

  // `units` as DeviceInfo has them: threads of a CPU, multiprocessors of a GPU.
  [[nodiscard]] virtual WorkspaceBound workspace_bound(const Task& task, const Target& target,
                                                       int units) const = 0;
};

// The CPU's for CPUs of every target, those without a name included.
const Backend& backend_of(const Target& target);

// How many parameters differ. Both schedules are of one backend.
int distance(const Schedule& a, const Schedule& b);

// For why_illegal: a parameter that the task needs (`wanted`) but that is 0, or that does not apply
// to it but isn't; else empty.
std::string why_misplaced(std::string_view parameter, int value, bool wanted, const Task& task);

}  // namespace grkan
