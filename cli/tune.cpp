// grkan tune: finds the winner of each task and stores it.
#include "runtime/tune.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <memory>

#include "cli/options.h"
#include "cli/report.h"
#include "cli/step_report.h"
#include "core/print.h"
#include "tuner/problem_list.h"
#include "tuner/shard.h"

namespace grkan::cli {
namespace {

struct TuneVerbOptions {
  TaskOptions task;
  DeviceOptions device;
  std::string gpu;       // a model to predict for; empty: `device`
  std::string problems;  // the path of a list; empty: what `task` names
  std::string shard;     // the part of the list, 2/4; empty: all
  std::string effort = "quick";
  std::string budget;
  std::string weights = "1:1";
  std::uint64_t seed = 1;
  bool strict = false;
  bool explain_space = false;
};

std::atomic<bool> interrupted = false;

// Ctrl-C ends the search after the step under way; what was measured is kept. A second one kills.
void on_interrupt(int signal) {
  interrupted = true;
  std::signal(signal, SIG_DFL);
}

// "60", "60s", "2m" in seconds; 0 for an empty text.
double budget_seconds(const std::string& text) {
  if (text.empty()) return 0;
  std::size_t end = 0;
  double seconds = 0;
  try {
    seconds = std::stod(text, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  const std::string unit = text.substr(end);
  if (unit == "m") seconds *= 60;
  if (end == 0 || !(seconds > 0) || (!unit.empty() && unit != "s" && unit != "m")) {
    fail_argument("budget '{}' is no time; use seconds or minutes, 60s or 2m", text);
  }
  return seconds;
}

void show_progress(const TuneProgress& progress) {
  print_to(stderr, "\r\033[K  {} of {}, {:.0f} s left  {}", progress.done, progress.total,
           progress.seconds_left, progress.schedule);
  std::fflush(stderr);
}

std::vector<ListedTask> listed_tasks(const TuneVerbOptions& options) {
  const TaskOptions& one = options.task;
  const Range rows = one.row_range();
  if (rows.low < 1) fail_argument("rows {} can't be tuned at; use 1 or more", one.rows);
  if (options.problems.empty()) {
    std::vector<ListedTask> list;
    for (const Task& task : one.tasks()) {
      list.push_back({.task = task, .rows = rows, .inner = one.inner_of(task.problem)});
    }
    return list;
  }
  if (one.named()) {
    fail_argument(
        "--problems {} and {} both say what to tune; leave one out", options.problems,
        one.name.empty() ? "options of a problem (--channels, --direction ...)" : one.name);
  }
  return read_problem_list(options.problems, rows, one.inner);
}

Json time_json(const std::optional<TimeNs>& time) {
  if (!time) return nullptr;
  Json json = {{"median", time->median}, {"samples", time->samples}};
  json["p10"] = time->p10 ? Json(*time->p10) : Json();
  json["p90"] = time->p90 ? Json(*time->p90) : Json();
  return json;
}

// What the search tells of a candidate, in the words of a result.
Json candidate_json(const Json& from) {
  Json json = {{"schedule", from.at("schedule")}, {"status", from.at("status")}};
  if (const Json& seconds = from.at("seconds"); seconds.is_object()) {
    for (const char* field : {"median", "p10", "p90"}) {
      const Json& value = seconds.at(field);
      json["time_ns"][field] = value.is_number() ? Json(value.get<double>() * 1e9) : Json();
    }
    json["time_ns"]["samples"] = seconds.at("samples");
  } else {
    const std::string why = from.value("why", std::string());
    set_null(json, "time_ns", why.empty() ? "not timed" : why);
  }
  if (const Json& scaled = from.at("error_scaled"); scaled.is_number()) {
    json["error"]["scaled"] = scaled;
  } else {
    set_null(json, "error", "not known");
  }
  json["ratio_to_default"] = from.at("ratio_to_default");
  json["finalist"] = from.at("finalist");
  return json;
}

Json result_json(const TuneResult& result, const Device& device, const std::string& cache_folder) {
  const Winner& w = result.winner;
  const Json answer = Json::parse(result.answer);
  Json entry = {
      {"task", to_string(w.task)},
      {"problem", to_string(w.task.problem)},
      {"variant", to_string(w.task.problem.variant)},
      {"device", device.info().name},
      {"direction", to_string(w.task.direction)},
      {"rows", result.rows},
      {"inner", w.tuned_inner},
      {"schedule", w.schedule},
      {"evidence", to_string(w.evidence)},
      {"disturbed", w.disturbed},
      {"time_ns", time_json(w.time)},
      {"default", {{"schedule", w.default_schedule}, {"time_ns", time_json(w.default_time)}}},
      {"winner_rows", {w.rows.low, w.rows.high}},
      {"timed_again", result.timed_again},
      {"stored", result.stored},
      {"search", answer}};
  if (!w.time) entry["why"]["time_ns"] = "nothing was timed";
  if (answer.contains("prediction")) entry["prediction"] = answer.at("prediction");
  if (!w.default_time) entry["default"]["why"]["time_ns"] = "nothing was timed";
  if (result.stored) {
    entry["cache_entry"] = cache_folder + "/" + winner_path(w);
  } else {
    set_null(entry, "cache_entry", "the winner was not stored");
  }
  if (w.error_scaled) {
    entry["error"]["scaled"] = *w.error_scaled;
  } else {
    set_null(entry, "error", "nothing was checked");
  }
  if (w.bound_ns && w.time) {
    entry["bound_kind"] = w.bound_kind;
    entry["bound_ns"] = *w.bound_ns;
    entry["fraction_of_bound"] = *w.bound_ns / w.time->median;
  } else {
    for (const char* field : {"bound_kind", "bound_ns", "fraction_of_bound"}) {
      set_null(entry, field, "nothing was timed");
    }
  }
  entry["candidates"] = Json::array();
  for (const Json& candidate : answer.value("candidates", Json::array())) {
    entry["candidates"].push_back(candidate_json(candidate));
  }
  for (const char* said : {"schema", "task", "rows", "inner", "schedule", "default", "evidence",
                           "seconds", "error_scaled", "candidates", "disturbed", "prediction"}) {
    entry["search"].erase(said);  // the result says it
  }
  return entry;
}

std::string result_text(const TuneResult& result, const Range& asked) {
  const Winner& w = result.winner;
  const Json answer = Json::parse(result.answer);
  std::string text = fmt::format("{}, {} rows\n", to_string(w.task), result.rows);
  if (asked.low != asked.high) {
    text += fmt::format("  wins from {} to {} rows\n", w.rows.low, w.rows.high);
  } else if (result.rows != asked.high) {
    text += fmt::format("  rows reduced from {} to fit the memory for tuning\n", asked.high);
  }
  std::vector<std::vector<std::string>> rows = {{"  ", "median", "schedule"}};
  const bool kept = w.schedule == w.default_schedule;  // the default is the winner, or nothing is
  rows.push_back({kept ? "  default kept" : "  winner",
                  w.time ? duration_text(w.time->median) : "not timed", w.schedule});
  if (w.default_time && !kept) {
    rows.push_back({"  default", duration_text(w.default_time->median), w.default_schedule});
  }
  if (w.bound_ns) rows.push_back({"  " + w.bound_kind, duration_text(*w.bound_ns), ""});
  text += table(rows);
  if (const auto p = answer.find("prediction"); p != answer.end()) {
    text += fmt::format("  predicted from {} counts: bound by {}, {:.2f} of the floor of DRAM\n",
                        p->at("counts").get<std::string>(), p->at("bound").get<std::string>(),
                        p->at("fraction_of_floor").get<double>());
  }
  text += fmt::format("  {} candidates {} in {:.1f} s{}{}{}\n",
                      answer.value("looked_at", std::int64_t{0}),
                      result.timed_again ? "of an earlier winner timed again" : "looked at",
                      answer.value("wall_seconds", 0.0), w.disturbed ? ", machine disturbed" : "",
                      answer.value("cancelled", false) ? ", interrupted" : "",
                      result.stored ? "; stored" : "; not stored");
  return text;
}

// Reasons and their counts, the most frequent first.
std::string reasons_text(const Json& reasons) {
  std::vector<std::pair<std::int64_t, std::string>> order;
  for (const auto& [reason, count] : reasons.items()) {
    order.emplace_back(-count.get<std::int64_t>(), reason);
  }
  std::sort(order.begin(), order.end());
  std::string text;
  for (const auto& [count, reason] : order) text += fmt::format("  {:8}  {}\n", -count, reason);
  return text;
}

void explain_entry(Report& report, Context& context, Device& device, const ListedTask& entry) {
  const std::int64_t rows = entry.rows.high;
  const Json space = Json::parse(explain_space(context, device, entry.task, rows, entry.inner));
  report.document["spaces"].push_back({{"task", to_string(entry.task)},
                                       {"device", device.info().name},
                                       {"rows", rows},
                                       {"inner", entry.inner},
                                       {"space", space}});
  report.text +=
      fmt::format("{}, {} rows: {} schedules to try, of {} combinations\n", to_string(entry.task),
                  rows, space.at("candidates").get<int>(), space.at("tried").get<std::int64_t>());
  report.text += reasons_text(space.at("left_out"));
  if (space.at("refused").empty()) return;
  report.text += "  refused once they were compiled:\n" + reasons_text(space.at("refused"));
}

std::vector<TuneResult> tune_listed(Context& context, Device& device, const ListedTask& entry,
                                    const TuneOptions& how) {
  const auto& [task, rows, inner, count] = entry;
  if (rows.low == rows.high) return {grkan::tune(context, device, task, rows.high, inner, how)};
  return tune_range(context, device, task, rows, {inner, inner}, how);
}

// A list goes on without what failed; the first one's status is the call's.
void add_failed(Report& report, const ListedTask& entry, const Error& error) {
  Json& failed = report.document["failed"];
  failed.push_back({{"task", to_string(entry.task)},
                    {"rows", {entry.rows.low, entry.rows.high}},
                    {"inner", entry.inner},
                    {"status", status_name(error.status())},
                    {"message", error.what()}});
  report.failed = true;
  const std::string line = fmt::format("{}: {}", to_string(entry), error.what());
  print_to(stderr, "grkan: {}\n", line);
  if (failed.size() == 1)
    report.document["failure"] = failure_json(status_name(error.status()), line);
  report.text += line + "\n";
}

Report tune(const TuneVerbOptions& options) {
  std::vector<ListedTask> list = listed_tasks(options);
  if (!options.shard.empty()) list = take_shard(list, parse_shard(options.shard));
  Context context({.cache_dir = options.device.cache,
                   .determinism = options.task.determinism_class(),
                   .threads = options.device.threads});
  Device& device =
      context.device(options.gpu.empty() ? options.device.device : "virtual:" + options.gpu);
  TuneOptions how;
  how.effort = parse_effort(options.effort);
  how.budget_seconds = budget_seconds(options.budget);
  how.seed = options.seed;
  how.strict = options.strict;
  how.cancelled = [] { return interrupted.load(); };
  const bool terminal = isatty(STDERR_FILENO) != 0;
  if (terminal) how.progress = show_progress;
  std::signal(SIGINT, on_interrupt);
  Report report;
  report.document["results"] = Json::array();
  if (options.explain_space) report.document["spaces"] = Json::array();
  std::vector<StepCall> calls;
  const StepWeights weights = parse_weights(options.weights);
  const auto tune_entry = [&](const ListedTask& entry) {
    if (options.explain_space) return explain_entry(report, context, device, entry);
    const std::vector<TuneResult> results = tune_listed(context, device, entry, how);
    if (terminal) print_to(stderr, "\r\033[K");
    for (const TuneResult& result : results) {
      report.document["results"].push_back(result_json(result, device, context.cache().folder()));
      report.document["results"].back()["count"] = entry.count;
      report.text += result_text(result, entry.rows);
    }
    if (entry.rows.low != entry.rows.high) return;  // which size a step has is not known
    const Winner& winner = results.front().winner;
    if (!winner.time || !winner.default_time) return;
    calls.push_back({.listed = entry,
                     .measured = winner.evidence == Evidence::measured,
                     .ns = winner.time->median,
                     .default_ns = winner.default_time->median});
  };
  if (!options.problems.empty()) report.document["failed"] = Json::array();
  for (const ListedTask& entry : list) {
    if (interrupted) break;
    try {
      tune_entry(entry);
    } catch (const Error& error) {
      if (options.problems.empty()) throw;
      add_failed(report, entry, error);
    }
  }
  const Step step = step_of(calls, weights);
  report.document["step"] = step_json(step);
  if (calls.empty()) report.document["why"]["step"] = "no call of one size was timed or predicted";
  if (calls.size() > 1) report.text += step_text(step);
  if (list.empty()) report.text = fmt::format("shard {} has no task\n", options.shard);
  if (interrupted) {
    report.failed = true;
    const std::string message = "interrupted; what was measured is kept and the next run goes on";
    report.document["failure"] = failure_json("interrupted", message);
    report.text += message + "\n";
  }
  return report;
}

}  // namespace

Verb add_tune(CLI::App& app) {
  CLI::App* command = app.add_subcommand("tune", "Find the fastest right schedule and store it");
  auto options = std::make_shared<TuneVerbOptions>();
  options->task.declare(*command);
  options->device.declare(*command);
  command
      ->add_option("--gpu", options->gpu,
                   "Predict for a GPU model that is not here (grkan devices lists them)")
      ->excludes("--device");
  command->add_option("--problems", options->problems,
                      "A list of tasks, a line of JSON each (docs/tuning.md); -: standard input");
  command->add_option("--shard", options->shard,
                      "The part of the list to tune here, k/N: 2/4 is the second of four");
  command->add_option("--effort", options->effort, "instant, quick, thorough or exhaustive")
      ->capture_default_str();
  command->add_option("--budget", options->budget,
                      "Most time for each direction and size tuned at: 60s, 2m");
  command
      ->add_option("--weights", options->weights,
                   "Calls of forward and backward in a step: 2:1 where the forward is recomputed")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Seed of the search")
      ->check(whole_number(1, INT64_MAX))
      ->capture_default_str();
  command->add_flag(
      "--explain-space", options->explain_space,
      "Tell how many schedules there are to try, and why others are not; tune nothing");
  command->add_flag("--strict", options->strict, "Fail rather than store what a busy machine gave");
  return {command, [options] { return tune(*options); }};
}

}  // namespace grkan::cli
