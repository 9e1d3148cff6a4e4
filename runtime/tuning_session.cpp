#include "runtime/tuning_session.h"

#include <cstdio>
#include <new>
#include <utility>

#include "core/error.h"
#include "core/gpu_models.h"
#include "runtime/generator.h"
#include "runtime/launch_report.h"
#include "runtime/sample_run.h"

namespace grkan {
namespace {

using Json = nlohmann::json;

std::unique_ptr<Workbench> make_bench(Context& context, Device& device, const Task& task,
                                      std::int64_t rows, std::int64_t inner) {
  if (!device.info().is_virtual) {
    return std::make_unique<Workbench>(context, device, task, rows, inner);
  }
  // What is executed are samples of a few blocks; but one row must fit.
  const double row = double(task.problem.channels) * double(inner) * sizeof(double);
  const auto limit = double(available_memory()) / 64;
  if (row > limit) {
    fail(Status::out_of_memory, "one row of {} with inner {} is {:.3g} MB, of {:.3g} MB to spare",
         to_string(task.problem), inner, row * 1e-6, limit * 1e-6);
  }
  return nullptr;
}

const GpuModel& model_of(const DeviceInfo& device) {
  const GpuModel* model =
      find_gpu_model(device.target.compute_capability(), device.units, double(device.memory));
  if (model != nullptr) return *model;
  fail(Status::unsupported,
       "{} is no GPU model with figures to predict from; grkan devices lists those there are",
       device.name);
}

// A text that stays until the thread's next one.
const char* keep(std::string text) {
  thread_local std::string kept;
  kept = std::move(text);
  return kept.c_str();
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
  Binary built = context_.compiler().compile(task_, schedule, device_.target());
  const std::lock_guard lock(mutex_);
  return binaries_.emplace(compiled, std::move(built)).first->second;
}

TuningSession::TuningSession(Context& context, Device& device, const Task& task,
                             CandidateBinaries& binaries, std::int64_t rows, std::int64_t inner,
                             const TuneOptions& options)
    : context_(context),
      device_(device),
      task_(task),
      binaries_(binaries),
      inner_(inner),
      options_(options),
      rows_(rows),
      bench_(make_bench(context, device, task, rows, inner)),
      sample_(task, {.rows = checked_rows(task, rows, inner), .inner = inner}),
      reference_(make_reference(task, sample_.call())) {
  if (bench_ != nullptr) rows_ = bench_->rows();
}

Json TuningSession::request(const std::vector<std::string>& schedules) const {
  Json request = {{"schema", 1},
                  {"task", to_string(task_)},
                  {"target", device_.target().name},
                  {"determinism", to_string(context_.options().determinism)},
                  {"rows", rows_},
                  {"inner", inner_},
                  {"effort", to_string(options_.effort)},
                  {"seed", options_.seed},
                  {"compiler", context_.compiler().describe(device_.target())},
                  {"generator", kGeneratorId},
                  {"resume", context_.cache().measurements(task_, describe(device_.info()))}};
  if (predicts()) request["gpu"] = model_of(device_.info()).name;
  if (options_.budget_seconds > 0) request["budget_seconds"] = options_.budget_seconds;
  if (!schedules.empty()) request["schedules"] = schedules;
  return request;
}

std::string TuningSession::search(const std::vector<std::string>& schedules) {
  std::string answer = context_.compiler().tune(request(schedules).dump(), callbacks());
  context_.cache().sync_records();
  return answer;
}

void TuningSession::build(const char* text) {
  const Schedule schedule = parse_schedule(text, device_.target());
  if (predicts()) {
    binaries_.of(schedule);  // most are only counted
  } else {
    kernels_[text] = load(schedule);
  }
}

std::string TuningSession::report(const char* text) {
  const Binary& built = binaries_.of(parse_schedule(text, device_.target()));
  Json json = Json::object();
  if (built.kernels.empty()) return json.dump();
  const CompilerReport& kernel = built.kernels.front();
  if (kernel.registers) json["registers"] = *kernel.registers;
  if (kernel.spill_bytes) json["spill_bytes"] = *kernel.spill_bytes;
  if (kernel.shared_bytes) json["shared_bytes"] = *kernel.shared_bytes;
  return json.dump();
}

std::shared_ptr<const Kernel> TuningSession::load(const Schedule& schedule) {
  auto kernel = device_.load(task_, schedule, [&](const Schedule& s) { return binaries_.of(s); });
  const std::size_t needed = kernel->workspace_size(rows_, inner_);
  const std::size_t bound = device_.workspace_bound(task_).bytes(inner_);
  if (needed > bound) {
    fail(Status::unsupported, "needs {} bytes of workspace; a plan has {}", needed, bound);
  }
  return kernel;
}

const Kernel& TuningSession::kernel(const char* text) {
  auto& kernel = kernels_[text];
  if (kernel == nullptr) kernel = load(parse_schedule(text, device_.target()));
  return *kernel;
}

double TuningSession::check(const char* text) {
  const Kernel& checked = kernel(text);
  sample_.reset();
  run_sample(device_, checked, sample_);
  if (const std::string why = sample_.why_damaged(); !why.empty()) {
    fail(Status::wrong_answer, "{}", why);
  }
  if (predicts()) counted();
  return compare(task_, checked.schedule(), reference_, sample_.call()).scaled();
}

// What a virtual GPU counted since the last time; what it found makes the kernel wrong.
std::string TuningSession::counted() {
  const auto launches = take_launches(device_);
  for (const auto& finding : findings_of(launches)) {
    fail(Status::wrong_answer, "{}: {}", finding.at("check").get<std::string>(),
         finding.at("detail").get<std::string>());
  }
  return launches.dump();
}

std::string TuningSession::count(const char* text) {
  const Schedule schedule = parse_schedule(text, device_.target());
  return context_.compiler().count(binaries_.of(schedule), schedule, rows_, inner_,
                                   device_.info().units);
}

std::string TuningSession::execute(const char* text, std::int64_t rows, int multiprocessors) {
  Sample sample(task_, {.rows = rows, .inner = inner_});
  device_.take_launch_report();
  run_sample(device_, kernel(text), sample, multiprocessors);
  return counted();
}

// Runs a callback's work: an error becomes a status and a reason.
template <class Work>
std::int32_t TuningSession::guarded(void* self, char* why, std::size_t why_size, const Work& work) {
  try {
    work(*static_cast<TuningSession*>(self));
    return 0;
  } catch (const Error& error) {
    std::snprintf(why, why_size, "%s", error.what());
    return std::int32_t(error.status());
  } catch (const std::bad_alloc&) {
    std::snprintf(why, why_size, "out of memory");
    return std::int32_t(Status::out_of_memory);
  } catch (const std::exception& error) {
    std::snprintf(why, why_size, "%s", error.what());
    return std::int32_t(Status::internal);
  }
}

TuneCallbacks TuningSession::callbacks() {
  using Session = TuningSession;
  TuneCallbacks calls{};
  calls.self = this;
  calls.build = [](void* self, const char* schedule, char* why, std::size_t size) {
    return guarded(self, why, size, [&](Session& s) { s.build(schedule); });
  };
  calls.report = [](void* self, const char* schedule, const char** json, char* why,
                    std::size_t size) {
    return guarded(self, why, size, [&](Session& s) { *json = keep(s.report(schedule)); });
  };
  calls.check = [](void* self, const char* schedule, double* scaled, char* why, std::size_t size) {
    return guarded(self, why, size, [&](Session& s) { *scaled = s.check(schedule); });
  };
  if (predicts()) {
    calls.count = [](void* self, const char* schedule, const char** json, char* why,
                     std::size_t size) {
      return guarded(self, why, size, [&](Session& s) { *json = keep(s.count(schedule)); });
    };
    calls.execute = [](void* self, const char* schedule, std::int64_t rows,
                       std::int32_t multiprocessors, const char** json, char* why,
                       std::size_t size) {
      return guarded(self, why, size,
                     [&](Session& s) { *json = keep(s.execute(schedule, rows, multiprocessors)); });
    };
  } else {
    calls.measure = [](void* self, const char* schedule, double* seconds, char* why,
                       std::size_t size) {
      return guarded(self, why, size,
                     [&](Session& s) { *seconds = s.bench_->time(s.kernel(schedule)); });
    };
  }
  calls.record = [](void* self, const char* line) {
    auto& s = *static_cast<Session*>(self);
    s.context_.cache().record(line, describe(s.device_.info()));
  };
  if (options_.progress) {
    calls.progress = [](void* self, std::int64_t done, std::int64_t total, double seconds_left,
                        const char* schedule) {
      static_cast<Session*>(self)->options_.progress({done, total, seconds_left, schedule});
    };
  }
  if (options_.cancelled) {
    calls.cancelled = [](void* self) {
      return static_cast<Session*>(self)->options_.cancelled() ? std::int32_t{1} : std::int32_t{0};
    };
  }
  return calls;
}

}  // namespace grkan
