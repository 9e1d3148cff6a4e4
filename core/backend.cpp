#include "core/backend.h"

#include "core/error.h"

namespace grkan {

std::vector<Schedule> Backend::starting_points(const Task& /*task*/,
                                               const Target& /*target*/) const {
  return {};
}

int Backend::distance_from_start(const Schedule& candidate, const Schedule& start,
                                 const Schedule& /*standard*/) const {
  return distance(candidate, start);
}

std::vector<Schedule> Backend::loaded_beside(const Task& /*task*/,
                                             const Schedule& /*schedule*/) const {
  return {};
}

std::string Backend::why_pruned(const CompiledSchedule& /*candidate*/,
                                const CompiledSchedule& /*standard*/, const Target& /*target*/,
                                const GpuModel* /*model*/) const {
  return {};
}

std::unique_ptr<const CostModel> Backend::cost_model(const GpuModel& /*model*/) const {
  return nullptr;
}

std::unique_ptr<const CostModel> Backend::cost_model_of(const DeviceInfo& /*device*/) const {
  return nullptr;
}

int distance(const Schedule& a, const Schedule& b) {
  int differ = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) differ += a.values[i] != b.values[i] ? 1 : 0;
  return differ;
}

std::string why_misplaced(std::string_view parameter, int value, bool wanted, const Task& task) {
  if (wanted == (value != 0)) return {};
  const std::string where = std::string(to_string(task.direction)) +
                            (task.backward() ? " of " + to_string(task.gradients) : "");
  return fmt::format("{} {} {}", parameter, wanted ? "is needed for" : "does not apply to", where);
}

}  // namespace grkan
