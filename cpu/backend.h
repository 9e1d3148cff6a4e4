// The CPU's Backend. schedule.cpp has its table of parameters; legality.cpp,
// default_schedule.cpp and cost_model.cpp what their names say, backend.cpp the rest.
#pragma once

#include "core/backend.h"
#include "cpu/schedule.h"

namespace grkan {

// Vectors have a power of two of lanes, up to these.
inline constexpr int kCpuWidestVector = 16;

class CpuBackend final : public Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "cpu"; }
  [[nodiscard]] std::span<const Parameter> parameters() const override;
  [[nodiscard]] std::string_view example() const override;
  [[nodiscard]] std::string why_illegal(const Task& task, const Schedule& schedule,
                                        const Target& target,
                                        Determinism determinism) const override;
  [[nodiscard]] Schedule default_schedule(const Task& task, const Target& target, std::int64_t rows,
                                          std::int64_t inner,
                                          Determinism determinism) const override;
  [[nodiscard]] std::string why_pointless(const Task& task, const Schedule& schedule,
                                          const Schedule& standard, const Target& target,
                                          std::int64_t rows, std::int64_t inner) const override;
  [[nodiscard]] std::vector<Schedule> starting_points(const Task& task,
                                                      const Target& target) const override;
  [[nodiscard]] int distance_from_start(const Schedule& candidate, const Schedule& start,
                                        const Schedule& standard) const override;
  [[nodiscard]] std::unique_ptr<const CostModel> cost_model_of(
      const DeviceInfo& device) const override;
  [[nodiscard]] Arithmetic arithmetic(const Task& task, const Schedule& schedule) const override;
  [[nodiscard]] WorkspaceBound workspace_bound(const Task& task, const Target& target,
                                               int units) const override;
};

}  // namespace grkan
