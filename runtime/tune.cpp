#include "runtime/tune.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "cache/files.h"
#include "core/check.h"
#include "core/error.h"
#include "core/gpu_models.h"
#include "core/sample.h"
#include "core/version.h"
#include "runtime/generator.h"
#include "runtime/launch_report.h"
#include "runtime/sample_run.h"
#include "runtime/workbench.h"

namespace grkan {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kKeptCandidates = 8;
constexpr int kBoundRounds = 5;

// What the search's callbacks work on.
class Session {
 public:
  Session(Context& context, Device& device, const Task& task, std::int64_t rows, std::int64_t inner,
          const TuneOptions& options)
      : context_(context),
        device_(device),
        task_(task),
        inner_(inner),
        options_(options),
        rows_(rows),
        bench_(make_bench(context, device, task, rows, inner)),
        sample_(task, {.rows = checked_rows(task, rows, inner), .inner = inner}),
        reference_(make_reference(task, sample_.call())) {
    if (bench_ != nullptr) rows_ = bench_->rows();
  }

  // A virtual GPU is counted on, not timed.
  [[nodiscard]] bool predicts() const { return device_.info().is_virtual; }
  // Those timed or predicted for; fewer than asked for where memory was short.
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  Workbench& bench() { return *bench_; }

  // The search's answer.
  std::string search(const std::string& compiler);

 private:
  TuneCallbacks callbacks() {
    return {.self = this,
            .build = &on_build,
            .report = &on_report,
            .check = &on_check,
            .measure = predicts() ? nullptr : &on_measure,
            .count = predicts() ? &on_count : nullptr,
            .execute = predicts() ? &on_execute : nullptr,
            .record = &on_record,
            .progress = options_.progress ? &on_progress : nullptr,
            .cancelled = options_.cancelled ? &on_cancelled : nullptr};
  }
  [[nodiscard]] Json request(const std::string& compiler) const;

  static std::unique_ptr<Workbench> make_bench(Context& context, Device& device, const Task& task,
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

  // Candidates stay out of the cache: only the winner's binary is worth keeping there. Threads that
  // compile for a prediction have different schedules.
  const Binary& binary(const Schedule& schedule) {
    const std::string compiled = compiled_text(schedule);
    {
      const std::lock_guard lock(mutex_);
      const auto known = binaries_.find(compiled);
      if (known != binaries_.end()) return known->second;  // stays where it is
    }
    Binary built = context_.compiler().compile(task_, schedule, device_.target());
    const std::lock_guard lock(mutex_);
    return binaries_.emplace(compiled, std::move(built)).first->second;
  }

  void build(const char* text) {
    const Schedule schedule = parse_schedule(text, device_.target());
    if (predicts()) {
      binary(schedule);  // most are only counted
    } else {
      kernels_[text] = load(schedule);
    }
  }

  std::string report(const char* text) {
    const Binary& built = binary(parse_schedule(text, device_.target()));
    Json json = Json::object();
    if (built.kernels.empty()) return json.dump();
    const CompilerReport& kernel = built.kernels.front();
    if (kernel.registers) json["registers"] = *kernel.registers;
    if (kernel.spill_bytes) json["spill_bytes"] = *kernel.spill_bytes;
    if (kernel.shared_bytes) json["shared_bytes"] = *kernel.shared_bytes;
    return json.dump();
  }

  std::shared_ptr<const Kernel> load(const Schedule& schedule) {
    auto kernel = device_.load(task_, schedule, [&](const Schedule& s) { return binary(s); });
    const std::size_t needed = kernel->workspace_size(rows_, inner_);
    const std::size_t bound = device_.workspace_bound(task_).bytes(inner_);
    if (needed > bound) {
      fail(Status::unsupported, "needs {} bytes of workspace; a plan has {}", needed, bound);
    }
    return kernel;
  }

  const Kernel& kernel(const char* text) {
    auto& kernel = kernels_[text];
    if (kernel == nullptr) kernel = load(parse_schedule(text, device_.target()));
    return *kernel;
  }

  double check(const char* text) {
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
  std::string counted() {
    const auto launches = take_launches(device_);
    for (const auto& finding : findings_of(launches)) {
      fail(Status::wrong_answer, "{}: {}", finding.at("check").get<std::string>(),
           finding.at("detail").get<std::string>());
    }
    return launches.dump();
  }

  std::string count(const char* text) {
    const Schedule schedule = parse_schedule(text, device_.target());
    return context_.compiler().count(binary(schedule), schedule, rows_, inner_,
                                     device_.info().units);
  }

  std::string execute(const char* text, std::int64_t rows, int multiprocessors) {
    Sample sample(task_, {.rows = rows, .inner = inner_});
    device_.take_launch_report();
    run_sample(device_, kernel(text), sample, multiprocessors);
    return counted();
  }

  // Runs a callback's work: an error becomes a status and a reason.
  template <class Work>
  static std::int32_t guarded(void* self, char* why, std::size_t why_size, const Work& work) {
    try {
      work(*static_cast<Session*>(self));
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
  static std::int32_t on_build(void* self, const char* schedule, char* why, std::size_t size) {
    return guarded(self, why, size, [&](Session& s) { s.build(schedule); });
  }
  static std::int32_t on_report(void* self, const char* schedule, const char** json, char* why,
                                std::size_t size) {
    return guarded(self, why, size, [&](Session& s) { *json = keep(s.report(schedule)); });
  }
  static std::int32_t on_check(void* self, const char* schedule, double* scaled, char* why,
                               std::size_t size) {
    return guarded(self, why, size, [&](Session& s) { *scaled = s.check(schedule); });
  }
  static std::int32_t on_measure(void* self, const char* schedule, double* seconds, char* why,
                                 std::size_t size) {
    return guarded(self, why, size,
                   [&](Session& s) { *seconds = s.bench_->time(s.kernel(schedule)); });
  }
  static std::int32_t on_count(void* self, const char* schedule, const char** json, char* why,
                               std::size_t size) {
    return guarded(self, why, size, [&](Session& s) { *json = keep(s.count(schedule)); });
  }
  static std::int32_t on_execute(void* self, const char* schedule, std::int64_t rows,
                                 std::int32_t multiprocessors, const char** json, char* why,
                                 std::size_t size) {
    return guarded(self, why, size,
                   [&](Session& s) { *json = keep(s.execute(schedule, rows, multiprocessors)); });
  }
  static const char* keep(std::string text) {
    thread_local std::string kept;
    kept = std::move(text);
    return kept.c_str();
  }
  static void on_record(void* self, const char* line) {
    auto* s = static_cast<Session*>(self);
    s->context_.cache().record(line, describe(s->device_.info()));
  }
  static void on_progress(void* self, std::int64_t done, std::int64_t total, double seconds_left,
                          const char* schedule) {
    static_cast<Session*>(self)->options_.progress({done, total, seconds_left, schedule});
  }
  static std::int32_t on_cancelled(void* self) {
    return static_cast<Session*>(self)->options_.cancelled() ? 1 : 0;
  }

  Context& context_;
  Device& device_;
  Task task_;
  std::int64_t inner_;
  const TuneOptions& options_;
  std::int64_t rows_;
  std::unique_ptr<Workbench> bench_;  // null where nothing is timed
  Sample sample_;
  Reference reference_;
  std::mutex mutex_;
  std::map<std::string, Binary> binaries_;  // by compiled part
  std::map<std::string, std::shared_ptr<const Kernel>, std::less<>> kernels_;
};

std::optional<TimeNs> time_of(const Json& seconds) {
  if (!seconds.is_object() || !seconds.contains("median") || seconds["median"].is_null()) return {};
  TimeNs time;
  time.median = seconds["median"].get<double>() * 1e9;
  if (seconds.contains("p10") && seconds["p10"].is_number()) {
    time.p10 = seconds["p10"].get<double>() * 1e9;
  }
  if (seconds.contains("p90") && seconds["p90"].is_number()) {
    time.p90 = seconds["p90"].get<double>() * 1e9;
  }
  time.samples = seconds.value("samples", std::int64_t{0});
  return time;
}

std::optional<double> number_of(const Json& object, const char* field) {
  const auto at = object.find(field);
  if (at == object.end() || !at->is_number()) return {};
  return at->get<double>();
}

// Half to twice the size, whole powers: what lies beyond was timed too far away.
Range around(std::int64_t size) {
  return {std::max<std::int64_t>(1, size / 2), size > (std::int64_t{1} << 60) ? size : 2 * size};
}

Winner winner_of(const Json& answer, const Task& task, const Device& device,
                 Determinism determinism) {
  Winner w;
  w.task = task;
  w.device = describe(device.info());
  w.determinism = determinism;
  w.schedule = answer.at("schedule").get<std::string>();
  const std::string evidence = answer.value("evidence", "default");
  if (evidence != "default") w.time = time_of(answer.value("seconds", Json()));
  // A search that was stopped before its first timing has measured nothing.
  w.evidence = Evidence::default_schedule;
  if (w.time && evidence == "measured") w.evidence = Evidence::measured;
  if (w.time && evidence == "predicted") {
    w.evidence = answer.value("counts", "") == "executed" ? Evidence::predicted_executed
                                                          : Evidence::predicted_static;
  }
  w.disturbed = w.time && answer.value("disturbed", false);
  if (const auto at = answer.find("default"); at != answer.end() && at->is_object()) {
    w.default_schedule = at->value("schedule", "");
    w.default_time = time_of(at->value("seconds", Json()));
  }
  w.error_scaled = number_of(answer, "error_scaled");
  w.date = utc_now();
  w.grkan_version = kVersion;
  w.driver = device.info().driver;
  for (const Json& c : answer.value("candidates", Json::array())) {
    if (w.candidates.size() == kKeptCandidates) break;
    if (c.value("schedule", "") == w.schedule) continue;
    w.candidates.push_back({.schedule = c.value("schedule", ""),
                            .status = c.value("status", ""),
                            .time = time_of(c.value("seconds", Json())),
                            .error_scaled = number_of(c, "error_scaled")});
  }
  return w;
}

void add_bound(Workbench& bench, Winner& winner) {
  for (const BoundKind kind : bench.bound_kinds()) {
    std::vector<double> seconds;
    for (int i = 0; i < kBoundRounds; ++i) seconds.push_back(bench.time_bound(kind));
    std::nth_element(seconds.begin(), seconds.begin() + kBoundRounds / 2, seconds.end());
    const double ns = seconds[kBoundRounds / 2] * 1e9;
    if (winner.bound_ns && *winner.bound_ns <= ns) continue;
    winner.bound_kind = to_string(kind);
    winner.bound_ns = ns;
  }
}

const GpuModel& model_of(const DeviceInfo& device) {
  const GpuModel* model =
      find_gpu_model(device.target.compute_capability(), device.units, double(device.memory));
  if (model != nullptr) return *model;
  fail(Status::unsupported,
       "{} is no GPU model with figures to predict from; grkan devices lists those there are",
       device.name);
}

Json Session::request(const std::string& compiler) const {
  Json request = {{"schema", 1},
                  {"task", to_string(task_)},
                  {"target", device_.target().name},
                  {"determinism", to_string(context_.options().determinism)},
                  {"rows", rows_},
                  {"inner", inner_},
                  {"effort", to_string(options_.effort)},
                  {"seed", options_.seed},
                  {"compiler", compiler},
                  {"generator", kGeneratorId},
                  {"resume", context_.cache().measurements(task_, describe(device_.info()))}};
  if (predicts()) request["gpu"] = model_of(device_.info()).name;
  if (device_.info().cpu()) {
    request["machine"] = device_.info().model;
    request["threads"] = device_.info().units;
  }
  if (options_.budget_seconds > 0) request["budget_seconds"] = options_.budget_seconds;
  return request;
}

std::string Session::search(const std::string& compiler) {
  std::string answer = context_.compiler().tune(request(compiler).dump(), callbacks());
  context_.cache().sync_records();
  return answer;
}

void validate_sizes(const Device& device, std::int64_t rows, std::int64_t inner) {
  if (device.target().name.empty()) {
    fail(Status::unsupported,
         "this processor is below x86-64-v3: it runs the portable kernels, which have nothing to "
         "tune");
  }
  if (rows < 1 || inner < 1) {
    fail_argument("rows {} and inner {} can't be tuned at; use 1 or more", rows, inner);
  }
}

}  // namespace

TuneResult tune(Context& context, Device& device, const Task& task, std::int64_t rows,
                std::int64_t inner, const TuneOptions& options) {
  validate_sizes(device, rows, inner);
  const std::string compiler = context.compiler().describe(device.target());
  Session session(context, device, task, rows, inner, options);
  TuneResult result;
  result.rows = session.rows();
  result.answer = session.search(compiler);
  Winner& winner = result.winner;
  try {
    winner = winner_of(Json::parse(result.answer), task, device, context.options().determinism);
  } catch (const nlohmann::json::exception& error) {
    fail(Status::internal, "the search's answer can't be read: {}", error.what());
  }
  winner.rows = options.rows.value_or(around(rows));
  winner.inner = options.inner.value_or(
      task.problem.layout == Layout::channels_last ? Range{1, 1} : around(inner));
  winner.tuned_rows = result.rows;
  winner.tuned_inner = inner;
  winner.compiler = compiler;
  const std::string& date = context.options().unmeasured_date;
  if (winner.evidence != Evidence::measured && !date.empty()) winner.date = date;
  if (winner.disturbed && options.strict) {
    fail(Status::disturbed,
         "the machine was busy while {} was tuned, and strict was asked for; run it on a quiet "
         "machine",
         to_string(task));
  }
  if (winner.disturbed) {
    context.log(LogLevel::warn, "the machine was busy while {} was tuned; stored as disturbed",
                to_string(task));
  }
  if (winner.evidence == Evidence::measured) add_bound(session.bench(), winner);
  const Schedule schedule = parse_schedule(winner.schedule, device.target());
  context.binary(task, schedule, device.target());
  winner.binary = context.binary_hash(task, schedule, device.target());
  result.stored = context.cache().store_winner(winner);
  return result;
}

std::string explain_space(Context& context, Device& device, const Task& task, std::int64_t rows,
                          std::int64_t inner) {
  validate_sizes(device, rows, inner);
  TuneOptions options;
  options.effort = Effort::instant;
  const std::string compiler = context.compiler().describe(device.target());
  Session session(context, device, task, rows, inner, options);
  return Json::parse(session.search(compiler)).at("space").dump();
}

void tune_where_unknown(Plan& plan, const Task& task, Range rows, Range inner) {
  Context& context = plan.context();
  // A plan there runs and counts; predictions are asked for.
  if (plan.device().info().is_virtual) return;
  const auto choice_at = [&](std::int64_t r) { return plan.choose(task.direction, r, inner.high); };
  const auto is_known = [](const Choice& choice) {
    return choice.evidence == "imported" || choice.evidence == "portable" ||
           (choice.winner && choice.winner->grade == Grade::measured);
  };
  for (std::int64_t r = rows.low; r <= rows.high;) {
    Choice choice = choice_at(r);
    Range part = {r, std::min(rows.high, choice.rows.high)};
    r = part.high + 1;
    if (is_known(choice)) continue;
    for (; r <= rows.high; r = part.high + 1) {
      choice = choice_at(r);
      if (is_known(choice)) break;
      part.high = std::min(rows.high, choice.rows.high);
    }
    TuneOptions options;
    options.effort = context.options().effort;
    options.rows = part;
    options.inner = inner;
    try {
      tune(context, plan.device(), task, part.high, inner.high, options);
      plan.refresh();
    } catch (const Error& error) {
      context.log(LogLevel::warn, "{} is not tuned: {}", to_string(task), error.what());
      return;
    }
  }
}

}  // namespace grkan
