// grkan tune: finds the winner of each task and stores it.
#include "runtime/tune.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <memory>

#include "cli/options.h"
#include "cli/report.h"
#include "core/print.h"

namespace grkan::cli {
namespace {

struct TuneVerbOptions {
  TaskOptions task;
  DeviceOptions device;
  std::string effort = "quick";
  std::string budget;
  std::uint64_t seed = 1;
  bool strict = false;
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
      {"stored", result.stored},
      {"search", answer}};
  if (!w.time) entry["why"]["time_ns"] = "nothing was timed";
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
                           "seconds", "error_scaled", "candidates", "disturbed"}) {
    entry["search"].erase(said);  // the result says it
  }
  return entry;
}

std::string result_text(const TuneResult& result, std::int64_t rows_asked) {
  const Winner& w = result.winner;
  const Json answer = Json::parse(result.answer);
  std::string text = fmt::format("{}, {} rows\n", to_string(w.task), result.rows);
  if (result.rows != rows_asked) {
    text += fmt::format("  rows reduced from {} to fit the memory for tuning\n", rows_asked);
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
  text += fmt::format("  {} candidates looked at in {:.1f} s{}{}{}\n",
                      answer.value("looked_at", std::int64_t{0}), answer.value("wall_seconds", 0.0),
                      w.disturbed ? ", machine disturbed" : "",
                      answer.value("cancelled", false) ? ", interrupted" : "",
                      result.stored ? "; stored" : "; not stored");
  return text;
}

Report tune(const TuneVerbOptions& options) {
  Context context({.cache_dir = options.device.cache,
                   .determinism = options.task.determinism_class(),
                   .threads = options.device.threads});
  Device& device = context.device(options.device.device);
  TuneOptions how;
  how.effort = parse_effort(options.effort);
  how.budget_seconds = budget_seconds(options.budget);
  how.seed = options.seed;
  how.strict = options.strict;
  how.cancelled = [] { return interrupted.load(); };
  const bool terminal = isatty(STDERR_FILENO) != 0;
  if (terminal) how.progress = show_progress;
  const RowRange rows = options.task.row_range();
  if (rows.low < 1) fail_argument("rows {} can't be tuned at; use 1 or more", options.task.rows);
  // A range is tuned at its upper end and holds for all of it.
  if (rows.low != rows.high) how.rows = Range{rows.low, rows.high};
  std::signal(SIGINT, on_interrupt);
  Report report;
  report.document["results"] = Json::array();
  for (const Task& task : options.task.tasks()) {
    if (interrupted) break;
    const TuneResult result =
        grkan::tune(context, device, task, rows.high, options.task.inner_of(task.problem), how);
    if (terminal) print_to(stderr, "\r\033[K");
    report.document["results"].push_back(result_json(result, device, context.cache().folder()));
    report.text += result_text(result, rows.high);
  }
  report.failed = interrupted;
  if (interrupted) {
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
  command->add_option("--effort", options->effort, "instant, quick, thorough or exhaustive")
      ->capture_default_str();
  command->add_option("--budget", options->budget, "Most time for each direction: 60s, 2m");
  command->add_option("--seed", options->seed, "Seed of the search")
      ->check(whole_number(1, INT64_MAX))
      ->capture_default_str();
  command->add_flag("--strict", options->strict, "Fail rather than store what a busy machine gave");
  return {command, [options] { return tune(*options); }};
}

}  // namespace grkan::cli
