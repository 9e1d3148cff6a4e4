// TuningSession: a task on a device at one size, where candidates are built, checked and timed (or
// counted), and what is kept meanwhile.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/sample.h"
#include "tuner/site.h"
#include "tuner/trial.h"
#include "tuner/workbench.h"

namespace grkan {

// Binaries of candidates, compiled once for all sizes of a tuning. They stay out of the cache: only
// the winner's is worth keeping there. Thread-safe; a binary stays where it is.
class CandidateBinaries {
 public:
  CandidateBinaries(const TuneSite& site, const Task& task) : site_(site), task_(task) {}
  const Binary& of(const Schedule& schedule);

 private:
  const TuneSite& site_;
  Task task_;
  std::mutex mutex_;
  std::map<std::string, Binary> binaries_;  // by compiled part
};

class TuningSession final : public Trial {
 public:
  // rows and inner are positive. All but rows, inner and task must outlive it. Throws out_of_memory
  // where not even one row fits.
  TuningSession(const TuneSite& site, const Task& task, CandidateBinaries& binaries,
                std::int64_t rows, std::int64_t inner);

  // Those timed or predicted for; fewer than asked for where memory was short.
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  // Only where something is timed: not on a virtual GPU.
  Workbench& bench() { return *bench_; }

  void build(const Schedule& schedule) override;
  std::optional<KernelResources> resources(const Schedule& schedule) override;
  double check(const Schedule& schedule) override;
  double measure(const Schedule& schedule) override;
  nlohmann::ordered_json count(const Schedule& schedule) override;
  nlohmann::ordered_json execute(const Schedule& schedule, std::int64_t rows,
                                 int multiprocessors) override;

 private:
  // A virtual GPU is counted on, not timed.
  [[nodiscard]] bool predicts() const { return site_.device.info().is_virtual; }
  std::shared_ptr<const Kernel> load(const Schedule& schedule);
  const Kernel& kernel(const Schedule& schedule);
  nlohmann::ordered_json counted();

  const TuneSite& site_;
  Task task_;
  CandidateBinaries& binaries_;
  std::int64_t inner_;
  std::int64_t rows_;
  std::unique_ptr<Workbench> bench_;  // null where nothing is timed
  Sample sample_;
  Reference reference_;
  std::map<std::string, std::shared_ptr<const Kernel>> kernels_;  // by printed schedule
};

}  // namespace grkan
