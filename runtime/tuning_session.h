// TuningSession: a task on a device at one size, as the search of libgrkan_compiler sees it: the
// functions that build, check and measure (or count) a schedule here, and what is kept meanwhile.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/sample.h"
#include "runtime/context.h"
#include "runtime/tune.h"
#include "runtime/workbench.h"

namespace grkan {

// Binaries of candidates, compiled once for all sizes of a tuning. They stay out of the cache: only
// the winner's is worth keeping there. Thread-safe; a binary stays where it is.
class CandidateBinaries {
 public:
  CandidateBinaries(Context& context, Device& device, const Task& task)
      : context_(context), device_(device), task_(task) {}
  const Binary& of(const Schedule& schedule);

 private:
  Context& context_;
  Device& device_;
  Task task_;
  std::mutex mutex_;
  std::map<std::string, Binary> binaries_;  // by compiled part
};

class TuningSession {
 public:
  // rows and inner are positive. All but rows, inner and task must outlive it. Throws out_of_memory
  // where not even one row fits.
  TuningSession(Context& context, Device& device, const Task& task, CandidateBinaries& binaries,
                std::int64_t rows, std::int64_t inner, const TuneOptions& options);

  // Those timed or predicted for; fewer than asked for where memory was short.
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  // Only where something is timed: not on a virtual GPU.
  Workbench& bench() { return *bench_; }

  // The search's answer (tuner/tune.h). `schedules`: the only ones to look at, beside the default;
  // empty: the whole space.
  std::string search(const std::vector<std::string>& schedules = {});

 private:
  // A virtual GPU is counted on, not timed.
  [[nodiscard]] bool predicts() const { return device_.info().is_virtual; }
  TuneCallbacks callbacks();
  [[nodiscard]] nlohmann::json request(const std::vector<std::string>& schedules) const;

  void build(const char* text);
  std::string report(const char* text);
  std::shared_ptr<const Kernel> load(const Schedule& schedule);
  const Kernel& kernel(const char* text);
  double check(const char* text);
  std::string counted();
  std::string count(const char* text);
  std::string execute(const char* text, std::int64_t rows, int multiprocessors);

  template <class Work>
  static std::int32_t guarded(void* self, char* why, std::size_t why_size, const Work& work);

  Context& context_;
  Device& device_;
  Task task_;
  CandidateBinaries& binaries_;
  std::int64_t inner_;
  const TuneOptions& options_;
  std::int64_t rows_;
  std::unique_ptr<Workbench> bench_;  // null where nothing is timed
  Sample sample_;
  Reference reference_;
  std::map<std::string, std::shared_ptr<const Kernel>, std::less<>> kernels_;
};

}  // namespace grkan
