// Which candidates are not worth a timing, by what the compiler said of their kernels.
#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/occupancy.h"
#include "cuda/backend.h"

namespace grkan {
namespace {

constexpr int kWarp = 32;
constexpr int kFewestWarps = 8;  // two for each of four schedulers
constexpr int kFewSpills = 32;   // bytes a thread, stores and loads together

// Warps that a multiprocessor holds at once, where that is known.
std::optional<int> resident_warps(const CompiledSchedule& c, const GpuModel& gpu) {
  if (!c.kernel.registers || *c.kernel.registers < 1) return {};
  const int threads = CudaSchedule(c.schedule).threads();
  const int blocks = resident_blocks(gpu, threads, *c.kernel.registers,
                                     std::size_t(c.kernel.shared_bytes.value_or(0)));
  return blocks * ((threads + kWarp - 1) / kWarp);
}

// A device is told by its architecture where its model is not known: the limits of a multiprocessor
// are the same for all of one.
const GpuModel* limits_of(const Target& target) {
  const auto models = gpu_models();
  const auto found = std::find_if(models.begin(), models.end(), [&](const GpuModel& model) {
    return model.compute_capability == target.compute_capability();
  });
  return found == models.end() ? nullptr : &*found;
}

}  // namespace

// No block of it fits on a multiprocessor; it spills more than the default and a few registers; or
// it leaves a multiprocessor fewer than two warps a scheduler, and fewer than the default does.
std::string CudaBackend::why_pruned(const CompiledSchedule& candidate,
                                    const CompiledSchedule& standard, const Target& target,
                                    const GpuModel* model) const {
  const GpuModel* gpu = model != nullptr ? model : limits_of(target);
  if (gpu == nullptr) return {};
  const std::optional<int> warps = resident_warps(candidate, *gpu);
  if (warps && *warps == 0) {
    return fmt::format(
        "a block of {} threads with {} registers and {} bytes of shared memory does not fit on a "
        "multiprocessor",
        CudaSchedule(candidate.schedule).threads(), candidate.kernel.registers.value_or(0),
        candidate.kernel.shared_bytes.value_or(0));
  }
  const int spills = candidate.kernel.spill_bytes.value_or(0);
  if (spills > standard.kernel.spill_bytes.value_or(0) + kFewSpills) {
    return fmt::format("spills {} bytes a thread", spills);
  }
  if (warps && *warps < std::min(kFewestWarps, resident_warps(standard, *gpu).value_or(0))) {
    return fmt::format("{} warps on a multiprocessor at once", *warps);
  }
  return {};
}

}  // namespace grkan
