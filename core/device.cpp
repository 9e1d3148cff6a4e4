#include "core/device.h"

#include <fmt/format.h>

namespace grkan {

std::string why_not_timed(const DeviceInfo& device) {
  return fmt::format(
      "{} is a virtual GPU: the times it takes are the CPU's, so nothing is timed on it",
      device.name);
}

void clear_gradients(Device& device, const Task& task, const Call& call, void* stream) {
  if (!task.backward() || call.accumulate) return;
  const Problem& p = task.problem;
  const std::size_t size = size_of(p.coefficient_type());
  const auto a = std::size_t(p.numerator_groups * p.numerator_terms());
  const auto b = std::size_t(p.denominator_groups * p.denominator_terms());
  if (task.gradients.da) device.clear(call.da, a * size, stream);
  if (task.gradients.db && b > 0) device.clear(call.db, b * size, stream);
}

}  // namespace grkan
