// CUDA's Backend. schedule.cpp has its table of parameters; legality.cpp, default_schedule.cpp,
// pruning.cpp and cost_model.cpp what their names say, backend.cpp the rest.
#pragma once

#include "core/backend.h"
#include "cuda/schedule.h"

namespace grkan {

class CudaBackend final : public Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "cuda"; }
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
  [[nodiscard]] std::vector<Schedule> loaded_beside(const Task& task,
                                                    const Schedule& schedule) const override;
  [[nodiscard]] Arithmetic arithmetic(const Task& task, const Schedule& schedule) const override;
  [[nodiscard]] std::string why_pruned(const CompiledSchedule& candidate,
                                       const CompiledSchedule& standard, const Target& target,
                                       const GpuModel* model) const override;
  [[nodiscard]] std::unique_ptr<const CostModel> cost_model(const GpuModel& model) const override;
  [[nodiscard]] std::unique_ptr<const CostModel> cost_model_of(
      const DeviceInfo& device) const override;
  [[nodiscard]] WorkspaceBound workspace_bound(const Task& task, const Target& target,
                                               int units) const override;
};

}  // namespace grkan
