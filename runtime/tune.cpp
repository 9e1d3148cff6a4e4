#include "runtime/tune.h"

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "cache/files.h"
#include "core/error.h"
#include "core/version.h"
#include "runtime/crossovers.h"
#include "runtime/tuning_session.h"
#include "runtime/workbench.h"

namespace grkan {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kKeptCandidates = 8;
constexpr int kBoundRounds = 5;

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

std::optional<WinnerPrediction> prediction_of(const Json& answer) {
  const auto at = answer.find("prediction");
  if (at == answer.end() || !at->is_object()) return {};
  WinnerPrediction p;
  p.bound = at->at("bound").get<std::string>();
  p.floor_ns = at->at("floor_seconds").get<double>() * 1e9;
  p.tail_ns = at->at("tail_seconds").get<double>() * 1e9;
  for (const auto& [resource, seconds] : at->at("parts_seconds").items()) {
    p.parts_ns.emplace_back(resource, seconds.get<double>() * 1e9);
  }
  p.assumed = at->at("assumed").get<std::vector<std::string>>();
  return p;
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
  w.prediction = prediction_of(answer);
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

// The schedules that an earlier tuning found the best few, the best first.
std::vector<std::string> best_few(const Winner& winner) {
  std::vector<std::string> schedules = {winner.schedule};
  for (const WinnerCandidate& candidate : winner.candidates) {
    if (candidate.status == "ok") schedules.push_back(candidate.schedule);
  }
  return schedules;
}

// Whether what was measured is of the driver and generator that are here now, and of `compiler`;
// "": of the one here.
bool is_current(Context& context, Device& device, const Winner& winner,
                std::string_view compiler = {}) {
  const Schedule schedule = parse_schedule(winner.schedule, device.target());
  return winner.driver == device.info().driver &&
         winner.binary == context.binary_hash(winner.task, schedule, device.target(), compiler);
}

// A task's tuning on a device, at one size or several.
class Tuning {
 public:
  Tuning(Context& context, Device& device, const Task& task, const TuneOptions& options)
      : context_(context),
        device_(device),
        task_(task),
        options_(options),
        compiler_(context.compiler().describe(device.target())),
        binaries_(context, device, task) {}

  // Searches; stores nothing, and the winner's ranges are this size.
  TuneResult find(std::int64_t rows, std::int64_t inner);
  // Time of schedule b over that of a; NaN where they could not be compared.
  double compare(std::int64_t rows, std::int64_t inner, const std::string& a, const std::string& b);
  // Compiles the winner into the cache and stores it.
  void store(TuneResult& result);

 private:
  std::vector<std::string> schedules_to_time_again(std::int64_t rows, std::int64_t inner);

  Context& context_;
  Device& device_;
  Task task_;
  const TuneOptions& options_;
  std::string compiler_;
  CandidateBinaries binaries_;
};

// The best few of a winner of this size that was predicted, or measured with what is no longer
// here. Empty: the whole search is needed.
std::vector<std::string> Tuning::schedules_to_time_again(std::int64_t rows, std::int64_t inner) {
  if (options_.effort != Effort::quick || device_.info().is_virtual) return {};
  const auto found = context_.cache().find_winner({.task = task_,
                                                   .device = describe(device_.info()),
                                                   .determinism = context_.options().determinism,
                                                   .rows = rows,
                                                   .inner = inner});
  if (!found) return {};
  const Winner& winner = found->stored.winner;
  if (winner.tuned_rows != rows || winner.tuned_inner != inner) return {};
  if (found->grade > Grade::predicted) return {};
  if (winner.evidence == Evidence::measured && is_current(context_, device_, winner)) return {};
  context_.log(LogLevel::info, "{}: the best few of {} ({}) are timed here", to_string(task_),
               winner.date, to_string(winner.evidence));
  return best_few(winner);
}

TuneResult Tuning::find(std::int64_t rows, std::int64_t inner) {
  TuningSession session(context_, device_, task_, binaries_, rows, inner, options_);
  TuneResult result;
  result.rows = session.rows();
  const std::vector<std::string> again = schedules_to_time_again(rows, inner);
  result.timed_again = !again.empty();
  result.answer = session.search(again);
  Winner& winner = result.winner;
  try {
    winner = winner_of(Json::parse(result.answer), task_, device_, context_.options().determinism);
  } catch (const nlohmann::json::exception& error) {
    fail(Status::internal, "the search's answer can't be read: {}", error.what());
  }
  winner.rows = {rows, rows};
  winner.inner = {inner, inner};
  winner.tuned_rows = result.rows;
  winner.tuned_inner = inner;
  winner.compiler = compiler_;
  const std::string& date = context_.options().unmeasured_date;
  if (winner.evidence != Evidence::measured && !date.empty()) winner.date = date;
  if (winner.disturbed && options_.strict) {
    fail(Status::disturbed,
         "the machine was busy while {} was tuned, and strict was asked for; run it on a quiet "
         "machine",
         to_string(task_));
  }
  if (winner.disturbed) {
    context_.log(LogLevel::warn, "the machine was busy while {} was tuned; stored as disturbed",
                 to_string(task_));
  }
  if (winner.evidence == Evidence::measured) add_bound(session.bench(), winner);
  return result;
}

double Tuning::compare(std::int64_t rows, std::int64_t inner, const std::string& a,
                       const std::string& b) {
  TuningSession session(context_, device_, task_, binaries_, rows, inner, options_);
  const Json answer = Json::parse(session.search({a, b}));
  const auto ratio = [&](const std::string& schedule) {
    for (const Json& candidate : answer.at("candidates")) {
      if (candidate.at("schedule") != schedule) continue;
      const Json& value = candidate.at("ratio_to_default");
      if (value.is_number()) return value.get<double>();
    }
    return std::numeric_limits<double>::quiet_NaN();
  };
  return ratio(b) / ratio(a);
}

void Tuning::store(TuneResult& result) {
  Winner& winner = result.winner;
  const Schedule schedule = parse_schedule(winner.schedule, device_.target());
  context_.binary(task_, schedule, device_.target());
  winner.binary = context_.binary_hash(task_, schedule, device_.target());
  result.stored = context_.cache().store_winner(winner);
}

}  // namespace

TuneResult tune(Context& context, Device& device, const Task& task, std::int64_t rows,
                std::int64_t inner, const TuneOptions& options) {
  validate_sizes(device, rows, inner);
  Tuning tuning(context, device, task, options);
  TuneResult result = tuning.find(rows, inner);
  result.winner.rows = around(rows);
  result.winner.inner = task.problem.layout == Layout::channels_last ? Range{1, 1} : around(inner);
  tuning.store(result);
  return result;
}

std::vector<TuneResult> tune_range(Context& context, Device& device, const Task& task, Range rows,
                                   Range inner, const TuneOptions& options) {
  validate_sizes(device, rows.low, inner.low);
  validate_sizes(device, rows.high, inner.high);
  Tuning tuning(context, device, task, options);
  std::map<std::int64_t, TuneResult> tuned;
  const CrossoverFunctions functions{
      .tune =
          [&](std::int64_t size) {
            return tuned.emplace(size, tuning.find(size, inner.high)).first->second.winner.schedule;
          },
      .compare = [&](std::int64_t size, const std::string& a,
                     const std::string& b) { return tuning.compare(size, inner.high, a, b); },
      .stopped = [&] { return options.cancelled && options.cancelled(); }};
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

std::string explain_space(Context& context, Device& device, const Task& task, std::int64_t rows,
                          std::int64_t inner) {
  validate_sizes(device, rows, inner);
  TuneOptions options;
  options.effort = Effort::instant;
  CandidateBinaries binaries(context, device, task);
  TuningSession session(context, device, task, binaries, rows, inner, options);
  return Json::parse(session.search()).at("space").dump();
}

void tune_where_unknown(Plan& plan, const Task& task, Range rows, Range inner) {
  Context& context = plan.context();
  // A plan there runs and counts; predictions are asked for.
  if (plan.device().info().is_virtual) return;
  const auto choice_at = [&](std::int64_t r) { return plan.choose(task.direction, r, inner.high); };
  const auto is_known = [&](const Choice& choice) {
    if (choice.evidence == "imported" || choice.evidence == "portable") return true;
    if (!choice.winner || choice.winner->grade > Grade::measured_disturbed) return false;
    const Winner& winner = choice.winner->stored.winner;
    // What was disturbed is timed again, but once in a process.
    if (winner.disturbed && winner.date < context.made()) return false;
    // A GPU's compiler is not asked: a process that finds its winners loads none.
    const bool cuda = plan.device().target().cuda();
    return is_current(context, plan.device(), winner, cuda ? winner.compiler : "");
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
    try {
      tune_range(context, plan.device(), task, part, inner, options);
      plan.refresh();
    } catch (const Error& error) {
      context.log(LogLevel::warn, "{} is not tuned: {}", to_string(task), error.what());
      return;
    }
  }
}

}  // namespace grkan
