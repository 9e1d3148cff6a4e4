// Which CPU schedules can be generated for a task, and why others can't.
#include "core/error.h"
#include "cpu/backend.h"
#include "cpu/call.h"

namespace grkan {

std::string CpuBackend::why_illegal(const Task& task, const Schedule& schedule,
                                    const Target& target, Determinism determinism) const {
  const CpuSchedule s(schedule);
  if (s.vector < 1 || s.vector > kCpuWidestVector || (s.vector & (s.vector - 1)) != 0) {
    return fmt::format("vector {} is not 1, 2, 4, 8 or 16", s.vector);
  }
  if (s.unroll < 1 || s.unroll > 8) return fmt::format("unroll {} is not in 1 to 8", s.unroll);
  if (s.rows < 1 || s.rows > 64) return fmt::format("rows {} is not in 1 to 64", s.rows);
  if (s.slice_rows < 1) return fmt::format("slice_rows {} is not positive", s.slice_rows);
  if (s.coefficients == 0) return "coefficients must be bcast or expand";
  const bool expanded = s.coefficients == CpuSchedule::expanded;
  if (expanded && task.problem.layout == Layout::channels_first) {
    return "expand needs channels-last: in channels-first a vector lies within a channel";
  }
  if (expanded && s.vector == 1) return "expand with vector 1 is bcast";
  if (expanded && s.unroll != 1) return "expand takes one vector of columns: unroll must be 1";
  if (std::string why = why_misplaced("run", s.run, task.sums(), task); !why.empty()) return why;
  if (std::string why = why_misplaced("split or fused", s.backward, task.sums(), task);
      !why.empty()) {
    return why;
  }
  const std::size_t scratch =
      std::size_t(s.run) * std::size_t(s.vector) * 2 * size_of(task.problem.math_type());
  if (scratch > kCpuScratchBytes) {
    return fmt::format("a block of run {} x vector {} needs {} bytes of scratch; {} are there",
                       s.run, s.vector, scratch, kCpuScratchBytes);
  }
  if (task.sums() && s.rows > s.run) {
    return fmt::format("rows {} of a block are more than a run of {}", s.rows, s.run);
  }
  if (s.stores == 0) return "stores must be cached or nt";
  const bool writes = !task.backward() || task.gradients.dx;
  if (s.stores == CpuSchedule::nontemporal && !writes) {
    return "nt stores do not apply where no tensor is written";
  }
  if (s.prefetch < 0 || s.prefetch > 64) {
    return fmt::format("prefetch {} is not in 0 to 64", s.prefetch);
  }
  if (determinism == Determinism::gpu_to_gpu) {
    CpuSchedule fixed(default_schedule(task, target, 1, 1, determinism));
    fixed.stores = s.stores;
    fixed.prefetch = s.prefetch;
    if (s != fixed) return "gpu_to_gpu fixes the schedule to " + to_string(fixed);
  }
  return {};
}

}  // namespace grkan
