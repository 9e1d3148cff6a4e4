#include "tuner/tune.h"

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cache/files.h"
#include "core/backend.h"
#include "core/error.h"
#include "core/gpu_models.h"
#include "core/version.h"
#include "tuner/crossovers.h"
#include "tuner/instant_run.h"
#include "tuner/measured_run.h"
#include "tuner/predicted_run.h"
#include "tuner/session.h"

namespace grkan {
namespace {

constexpr std::size_t kKeptCandidates = 8;
constexpr int kBoundRounds = 5;

// Half to twice the size, whole powers: what lies beyond was timed too far away.
Range around(std::int64_t size) {
  return {std::max<std::int64_t>(1, size / 2), size > (std::int64_t{1} << 60) ? size : 2 * size};
}

Winner winner_of(const TuneOutcome& outcome, const TuneSite& site, const Task& task) {
  const DeviceInfo& device = site.device.info();
  Winner w;
  w.task = task;
  w.device = describe(device);
  w.determinism = site.determinism;
  w.schedule = to_string(outcome.schedule);
  w.evidence = outcome.evidence;
  w.time = outcome.time;
  w.disturbed = w.time && outcome.disturbance.disturbed;
  w.default_schedule = to_string(outcome.default_schedule);
  w.default_time = outcome.default_time;
  w.error_scaled = outcome.error_scaled;
  w.prediction = outcome.prediction;
  if (w.prediction) {  // what only compares schedules
    w.prediction->physics_ns = w.prediction->log_cost = 0;
    w.prediction->ratio = {};
  }
  w.date = utc_now();
  if (w.evidence != Evidence::measured && !site.unmeasured_date.empty()) {
    w.date = site.unmeasured_date;
  }
  w.grkan_version = kVersion;
  w.driver = device.driver;
  for (const CandidateOutcome& c : outcome.candidates) {
    if (w.candidates.size() == kKeptCandidates) break;
    if (c.schedule == outcome.schedule) continue;
    w.candidates.push_back({.schedule = to_string(c.schedule),
                            .status = std::string(to_string(c.status)),
                            .time = c.time,
                            .error_scaled = c.error_scaled});
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

const GpuModel& model_of(const DeviceInfo& device) {
  const GpuModel* model =
      find_gpu_model(device.target.compute_capability(), device.units, double(device.memory));
  if (model != nullptr) return *model;
  fail(Status::unsupported,
       "{} is no GPU model with figures to predict from; grkan devices lists those there are",
       device.name);
}

// The schedules that an earlier tuning found the best few, the best first.
std::vector<Schedule> best_few(const Winner& winner, const Target& target) {
  std::vector<Schedule> schedules = {parse_schedule(winner.schedule, target)};
  for (const WinnerCandidate& candidate : winner.candidates) {
    if (candidate.status != to_string(CandidateStatus::ok)) continue;
    schedules.push_back(parse_schedule(candidate.schedule, target));
  }
  return schedules;
}

// A task's tuning on a device, at one size or several.
class Tuning {
 public:
  Tuning(const TuneSite& site, const Task& task, const TuneOptions& options)
      : site_(site),
        task_(task),
        options_(options),
        compiler_(site.binaries.compiler().describe(site.device.target())),
        binaries_(site, task) {}

  // Searches; stores nothing, and the winner's ranges are this size.
  TuneResult find(std::int64_t rows, std::int64_t inner);
  // The space at one size.
  SpaceOutcome explain(std::int64_t rows, std::int64_t inner);
  // Time of schedule b over that of a; NaN where they could not be compared.
  double compare(std::int64_t rows, std::int64_t inner, const Schedule& a, const Schedule& b);
  // Compiles the winner into the cache and stores it.
  void store(TuneResult& result);

 private:
  std::vector<Schedule> schedules_to_time_again(std::int64_t rows, std::int64_t inner);
  [[nodiscard]] TuneRequest request(std::int64_t rows, std::int64_t inner) const;
  // The answer of effort instant; nothing for a GPU that is not here.
  std::optional<TuneOutcome> predict(std::int64_t rows, std::int64_t inner);
  [[nodiscard]] TuneResult result_of(TuneOutcome outcome, std::int64_t rows,
                                     std::int64_t inner) const;
  // Searches at a session's size; `schedules`: all there is to look at beside the default, empty:
  // the space.
  TuneOutcome search(TuningSession& session, std::int64_t inner,
                     std::vector<Schedule> schedules = {});

  const TuneSite& site_;
  Task task_;
  const TuneOptions& options_;
  std::string compiler_;
  CandidateBinaries binaries_;
};

// The best few of a winner of this size that was predicted, or measured with what is no longer
// here. Empty: the whole search is needed.
std::vector<Schedule> Tuning::schedules_to_time_again(std::int64_t rows, std::int64_t inner) {
  const DeviceInfo& device = site_.device.info();
  if (options_.effort != Effort::quick || device.is_virtual) return {};
  const auto found = site_.cache.find_winner({.task = task_,
                                              .device = describe(device),
                                              .determinism = site_.determinism,
                                              .rows = rows,
                                              .inner = inner});
  if (!found) return {};
  const Winner& winner = found->stored.winner;
  if (winner.tuned_rows != rows || winner.tuned_inner != inner) return {};
  if (found->grade > Grade::predicted) return {};
  if (winner.evidence == Evidence::measured && is_current(site_, winner)) return {};
  site_.log(LogLevel::info, "{}: the best few of {} ({}) are timed here", to_string(task_),
            winner.date, to_string(winner.evidence));
  return best_few(winner, device.target);
}

TuneRequest Tuning::request(std::int64_t rows, std::int64_t inner) const {
  const DeviceInfo& device = site_.device.info();
  TuneRequest request{.task = task_,
                      .target = device.target,
                      .gpu = {},
                      .determinism = site_.determinism,
                      .rows = rows,
                      .inner = inner,
                      .effort = options_.effort,
                      .budget_seconds = options_.budget_seconds,
                      .seed = options_.seed,
                      .compiler = compiler_,
                      .generator = site_.binaries.generator(),
                      .schedules = {},
                      .model = backend_of(device.target).cost_model_of(device),
                      .recorded = {}};
  if (device.is_virtual) request.gpu = model_of(device);
  return request;
}

std::optional<TuneOutcome> Tuning::predict(std::int64_t rows, std::int64_t inner) {
  const DeviceInfo& device = site_.device.info();
  // For a GPU that is not here there is time to compile, and code tells more than a schedule.
  if (device.is_virtual) return {};
  return instant_run(request(rows, inner));
}

TuneOutcome Tuning::search(TuningSession& session, std::int64_t inner,
                           std::vector<Schedule> schedules) {
  const DeviceInfo& device = site_.device.info();
  const DeviceDescription description = describe(device);
  TuneRequest request = this->request(session.rows(), inner);
  request.schedules = std::move(schedules);
  request.recorded = site_.cache.measurements({}, description);
  const TuneHooks hooks{
      .record =
          [&](const nlohmann::ordered_json& line) {
            const auto replace = nlohmann::ordered_json::error_handler_t::replace;
            site_.cache.record(line.dump(-1, ' ', false, replace), description);
          },
      .progress = options_.progress,
      .cancelled = options_.cancelled,
  };
  TuneOutcome outcome = request.gpu ? predicted_run(request, *request.gpu, session, hooks)
                                    : measured_run(request, session, hooks);
  site_.cache.sync_records();
  return outcome;
}

TuneResult Tuning::find(std::int64_t rows, std::int64_t inner) {
  if (options_.effort == Effort::instant) {
    if (std::optional<TuneOutcome> predicted = predict(rows, inner)) {
      return result_of(std::move(*predicted), rows, inner);
    }
  }
  TuningSession session(site_, task_, binaries_, rows, inner);
  std::vector<Schedule> again = schedules_to_time_again(rows, inner);
  const bool timed_again = !again.empty();
  TuneResult result = result_of(search(session, inner, std::move(again)), session.rows(), inner);
  result.timed_again = timed_again;
  Winner& winner = result.winner;
  winner.rows = {rows, rows};
  if (winner.disturbed && options_.strict) {
    fail(Status::disturbed,
         "the machine was busy while {} was tuned, and strict was asked for; run it on a quiet "
         "machine",
         to_string(task_));
  }
  if (winner.disturbed) {
    site_.log(LogLevel::warn, "the machine was busy while {} was tuned; stored as disturbed",
              to_string(task_));
  }
  if (winner.evidence == Evidence::measured) add_bound(session.bench(), winner);
  return result;
}

// `rows`: those that were timed.
TuneResult Tuning::result_of(TuneOutcome outcome, std::int64_t rows, std::int64_t inner) const {
  TuneResult result;
  result.rows = rows;
  result.winner = winner_of(outcome, site_, task_);
  result.winner.rows = {rows, rows};
  result.winner.inner = {inner, inner};
  result.winner.tuned_rows = rows;
  result.winner.tuned_inner = inner;
  result.winner.compiler = compiler_;
  result.outcome = std::move(outcome);
  return result;
}

SpaceOutcome Tuning::explain(std::int64_t rows, std::int64_t inner) {
  TuningSession session(site_, task_, binaries_, rows, inner);
  return search(session, inner).space;
}

double Tuning::compare(std::int64_t rows, std::int64_t inner, const Schedule& a,
                       const Schedule& b) {
  TuningSession session(site_, task_, binaries_, rows, inner);
  const TuneOutcome outcome = search(session, inner, {a, b});
  const auto ratio = [&](const Schedule& schedule) {
    for (const CandidateOutcome& candidate : outcome.candidates) {
      if (candidate.schedule == schedule && candidate.ratio_to_default) {
        return *candidate.ratio_to_default;
      }
    }
    return std::numeric_limits<double>::quiet_NaN();
  };
  return ratio(b) / ratio(a);
}

void Tuning::store(TuneResult& result) {
  Winner& winner = result.winner;
  const Schedule& schedule = result.outcome.schedule;
  site_.binaries.get(task_, schedule, site_.device.target());
  winner.binary = site_.binaries.key_hash(task_, schedule, site_.device.target());
  result.stored = site_.cache.store_winner(winner);
}

void validate(const TuneOptions& options) {
  if (options.effort != Effort::none) return;
  fail_argument("effort none tunes nothing; use instant, quick, thorough or exhaustive");
}

}  // namespace

bool is_current(const TuneSite& site, const Winner& winner, std::string_view compiler) {
  const Target& target = site.device.target();
  const Schedule schedule = parse_schedule(winner.schedule, target);
  return winner.driver == site.device.info().driver &&
         winner.binary == site.binaries.key_hash(winner.task, schedule, target, compiler);
}

TuneResult tune(const TuneSite& site, const Task& task, std::int64_t rows, std::int64_t inner,
                const TuneOptions& options) {
  validate(options);
  validate_sizes(site.device, rows, inner);
  Tuning tuning(site, task, options);
  TuneResult result = tuning.find(rows, inner);
  result.winner.rows = around(rows);
  result.winner.inner = task.problem.layout == Layout::channels_last ? Range{1, 1} : around(inner);
  tuning.store(result);
  return result;
}

std::vector<TuneResult> tune_range(const TuneSite& site, const Task& task, Range rows, Range inner,
                                   const TuneOptions& options) {
  validate(options);
  validate_sizes(site.device, rows.low, inner.low);
  validate_sizes(site.device, rows.high, inner.high);
  Tuning tuning(site, task, options);
  std::map<std::int64_t, TuneResult> tuned;
  std::vector<Schedule> winners;  // by their numbers
  const CrossoverFunctions functions{
      .tune =
          [&](std::int64_t size) {
            const TuneResult found = tuning.find(size, inner.high);
            const auto at = std::find(winners.begin(), winners.end(), found.outcome.schedule);
            const auto number = std::size_t(at - winners.begin());
            if (at == winners.end()) winners.push_back(found.outcome.schedule);
            tuned.emplace(size, found);
            return number;
          },
      .compare =
          [&](std::int64_t size, std::size_t a, std::size_t b) {
            return tuning.compare(size, inner.high, winners[a], winners[b]);
          },
      .stopped = [&] { return options.cancelled && options.cancelled(); },
  };
  std::vector<Stretch> stretches;
  if (options.effort == Effort::instant) {
    functions.tune(rows.high);
    stretches = {{.rows = rows, .tuned = rows.high}};
  } else {
    stretches = find_stretches(rows, functions);
  }
  std::vector<TuneResult> results;
  for (const Stretch& stretch : stretches) {
    TuneResult& result = tuned.at(stretch.tuned);
    result.winner.rows = stretch.rows;
    result.winner.inner = inner;
    tuning.store(result);
    results.push_back(std::move(result));
  }
  return results;
}

SpaceOutcome explain_space(const TuneSite& site, const Task& task, std::int64_t rows,
                           std::int64_t inner) {
  validate_sizes(site.device, rows, inner);
  TuneOptions options;
  options.effort = Effort::instant;
  Tuning tuning(site, task, options);
  return tuning.explain(rows, inner);
}

}  // namespace grkan
