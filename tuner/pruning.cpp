#include "tuner/pruning.h"

#include <algorithm>

#include "core/error.h"
#include "core/occupancy.h"

namespace grkan {
namespace {

constexpr int kWarp = 32;
constexpr int kFewestWarps = 8;  // two for each of four schedulers
constexpr int kFewSpills = 32;   // bytes a thread, stores and loads together

// Warps that a multiprocessor holds at once, where that is known.
std::optional<int> resident_warps(const CompiledCandidate& c, const GpuModel& gpu) {
  if (!c.kernel.registers || *c.kernel.registers < 1) return {};
  const int threads = c.schedule.threads();
  const int blocks = resident_blocks(gpu, threads, *c.kernel.registers,
                                     std::size_t(c.kernel.shared_bytes.value_or(0)));
  return blocks * ((threads + kWarp - 1) / kWarp);
}

// A device is told by its architecture where no model is named: the limits of a multiprocessor are
// the same for all of one.
const GpuModel* limits_of(const TuneRequest& request) {
  if (request.gpu) return &*request.gpu;
  const auto models = gpu_models();
  const auto found = std::find_if(models.begin(), models.end(), [&](const GpuModel& model) {
    return model.compute_capability == request.target.compute_capability();
  });
  return found == models.end() ? nullptr : &*found;
}

}  // namespace

std::string why_pruned(const CompiledCandidate& candidate, const CompiledCandidate& standard,
                       const GpuModel& gpu) {
  const std::optional<int> warps = resident_warps(candidate, gpu);
  if (warps && *warps == 0) {
    return fmt::format(
        "a block of {} threads with {} registers and {} bytes of shared memory does not fit on a "
        "multiprocessor",
        candidate.schedule.threads(), candidate.kernel.registers.value_or(0),
        candidate.kernel.shared_bytes.value_or(0));
  }
  const int spills = candidate.kernel.spill_bytes.value_or(0);
  if (spills > standard.kernel.spill_bytes.value_or(0) + kFewSpills) {
    return fmt::format("spills {} bytes a thread", spills);
  }
  if (warps && *warps < std::min(kFewestWarps, resident_warps(standard, gpu).value_or(0))) {
    return fmt::format("{} warps on a multiprocessor at once", *warps);
  }
  return {};
}

PruningBuilder::PruningBuilder(Trial& trial, const TuneRequest& request, const Schedule& standard)
    : trial_(trial), gpu_(limits_of(request)), standard_(standard) {}

StepResult PruningBuilder::build(const Schedule& schedule) {
  StepResult built = step(CandidateStatus::compile_failed, [&] { trial_.build(schedule); });
  if (gpu_ == nullptr || built.status != CandidateStatus::ok || schedule == standard_) return built;
  const std::optional<CompilerReport> kernel = report(schedule);
  const std::optional<CompilerReport>& standard = standard_report();
  if (!kernel || !standard) return built;
  built.why = why_pruned({std::get<CudaSchedule>(schedule), *kernel},
                         {std::get<CudaSchedule>(standard_), *standard}, *gpu_);
  if (!built.why.empty()) built.status = CandidateStatus::pruned;
  return built;
}

std::optional<CompilerReport> PruningBuilder::report(const Schedule& schedule) {
  std::optional<CompilerReport> told;
  step(CandidateStatus::launch_failed, [&] { told = trial_.report(schedule); });
  return told;
}

const std::optional<CompilerReport>& PruningBuilder::standard_report() {
  const std::lock_guard lock(mutex_);
  if (!asked_) standard_report_ = report(standard_);
  asked_ = true;
  return standard_report_;
}

}  // namespace grkan
