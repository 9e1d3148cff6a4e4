#include "tuner/session.h"

#include <utility>

#include "core/error.h"
#include "core/sample_run.h"
#include "core/virtual_report.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

std::unique_ptr<Workbench> make_bench(const TuneSite& site, const Task& task, std::int64_t rows,
                                      std::int64_t inner) {
  if (!site.device.info().is_virtual) return std::make_unique<Workbench>(site, task, rows, inner);
  // What is executed are samples of a few blocks; but one row must fit.
  const double row = double(task.problem.channels) * double(inner) * sizeof(double);
  const auto limit = double(available_memory()) / 64;
  if (row > limit) {
    fail(Status::out_of_memory, "one row of {} with inner {} is {:.3g} MB, of {:.3g} MB to spare",
         to_string(task.problem), inner, row * 1e-6, limit * 1e-6);
  }
  return nullptr;
}

}  // namespace

const Binary& CandidateBinaries::of(const Schedule& schedule) {
  const std::string compiled = compiled_text(schedule);
  {
    const std::lock_guard lock(mutex_);
    const auto known = binaries_.find(compiled);
    if (known != binaries_.end()) return known->second;
  }
  // Threads that compile for a prediction have different schedules.
  Binary built = site_.binaries.compiler().compile(task_, schedule, site_.device.target());
  const std::lock_guard lock(mutex_);
  return binaries_.emplace(compiled, std::move(built)).first->second;
}

TuningSession::TuningSession(const TuneSite& site, const Task& task, CandidateBinaries& binaries,
                             std::int64_t rows, std::int64_t inner)
    : site_(site),
      task_(task),
      binaries_(binaries),
      inner_(inner),
      rows_(rows),
      bench_(make_bench(site, task, rows, inner)),
      sample_(task, {.rows = checked_rows(task, rows, inner), .inner = inner}),
      reference_(make_reference(task, sample_.call())) {
  if (bench_ != nullptr) rows_ = bench_->rows();
}

void TuningSession::build(const Schedule& schedule) {
  if (predicts()) {
    binaries_.of(schedule);  // most are only counted
  } else {
    kernels_[to_string(schedule)] = load(schedule);
  }
}

std::optional<KernelResources> TuningSession::resources(const Schedule& schedule) {
  const Binary& built = binaries_.of(schedule);
  if (built.kernels.empty()) return {};
  return built.kernels.front();
}

std::shared_ptr<const Kernel> TuningSession::load(const Schedule& schedule) {
  Device& device = site_.device;
  auto kernel = device.load(task_, schedule, [&](const Schedule& s) { return binaries_.of(s); });
  const std::size_t needed = kernel->workspace_size(rows_, inner_);
  const std::size_t bound = device.workspace_bound(task_).bytes(inner_);
  if (needed > bound) {
    fail(Status::unsupported, "needs {} bytes of workspace; a plan has {}", needed, bound);
  }
  return kernel;
}

const Kernel& TuningSession::kernel(const Schedule& schedule) {
  auto& kernel = kernels_[to_string(schedule)];
  if (kernel == nullptr) kernel = load(schedule);
  return *kernel;
}

double TuningSession::check(const Schedule& schedule) {
  const Kernel& checked = kernel(schedule);
  sample_.reset();
  run_sample(site_.device, checked, sample_);
  if (const std::string why = sample_.why_damaged(); !why.empty()) {
    fail(Status::wrong_answer, "{}", why);
  }
  if (predicts()) counted();
  return compare(task_, checked.schedule(), reference_, sample_.call()).scaled();
}

double TuningSession::measure(const Schedule& schedule) { return bench_->time(kernel(schedule)); }

// What a virtual GPU counted since the last time; what it found makes the kernel wrong.
Json TuningSession::counted() {
  Json launches = take_launches(site_.device);
  for (const Json& finding : findings_of(launches)) {
    fail(Status::wrong_answer, "{}: {}", finding.at("check").get<std::string>(),
         finding.at("detail").get<std::string>());
  }
  return launches;
}

Json TuningSession::count(const Schedule& schedule) {
  return site_.binaries.compiler().count(binaries_.of(schedule), schedule, rows_, inner_,
                                         site_.device.info().units);
}

Json TuningSession::execute(const Schedule& schedule, std::int64_t rows, int multiprocessors) {
  Sample sample(task_, {.rows = rows, .inner = inner_});
  site_.device.take_virtual_report();
  run_sample(site_.device, kernel(schedule), sample, multiprocessors);
  return counted();
}

}  // namespace grkan
