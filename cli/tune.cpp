// grkan tune: finds the winner of each task and stores it.
#include "tuner/tune.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <memory>

#include "cli/options.h"
#include "cli/step_result.h"
#include "cli/tune_result.h"
#include "cli/verb.h"
#include "core/print.h"
#include "runtime/context.h"
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
           progress.seconds_left, to_string(progress.schedule));
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

void explain_entry(VerbResult& result, Context& context, Device& device, const ListedTask& entry) {
  const std::int64_t rows = entry.rows.high;
  const TuneSite site = context.tune_site(device);
  const SpaceOutcome space = explain_space(site, entry.task, rows, entry.inner);
  result.document["spaces"].push_back({{"task", to_string(entry.task)},
                                       {"device", device.info().name},
                                       {"rows", rows},
                                       {"inner", entry.inner},
                                       {"space", space_json(space)}});
  result.text += fmt::format("{}, {} rows: {} schedules to try, of {} combinations\n",
                             to_string(entry.task), rows, space.candidates, space.tried);
  result.text += reasons_text(space.left_out);
  if (space.refused.empty()) return;
  result.text += "  refused once they were compiled:\n" + reasons_text(space.refused);
}

std::vector<TuneResult> tune_listed(const TuneSite& site, const ListedTask& entry,
                                    const TuneOptions& how) {
  const auto& [task, rows, inner, count] = entry;
  if (rows.low == rows.high) return {grkan::tune(site, task, rows.high, inner, how)};
  return tune_range(site, task, rows, {inner, inner}, how);
}

// A list goes on without what failed; the first one's status is the call's.
void add_failed(VerbResult& result, const ListedTask& entry, const Error& error) {
  Json& failed = result.document["failed"];
  failed.push_back({{"task", to_string(entry.task)},
                    {"rows", {entry.rows.low, entry.rows.high}},
                    {"inner", entry.inner},
                    {"status", status_name(error.status())},
                    {"message", error.what()}});
  result.failed = true;
  const std::string line = fmt::format("{}: {}", to_string(entry), error.what());
  print_to(stderr, "grkan: {}\n", line);
  if (failed.size() == 1)
    result.document["failure"] = failure_json(status_name(error.status()), line);
  result.text += line + "\n";
}

VerbResult tune(const TuneVerbOptions& options) {
  std::vector<ListedTask> list = listed_tasks(options);
  if (!options.shard.empty()) list = take_shard(list, parse_shard(options.shard));
  Context context({.cache_dir = options.device.cache,
                   .determinism = options.task.determinism_class(),
                   .threads = options.device.threads});
  Device& device =
      context.device(options.gpu.empty() ? options.device.device : "virtual:" + options.gpu);
  const TuneSite site = context.tune_site(device);
  TuneOptions how;
  how.effort = parse_effort(options.effort);
  how.budget_seconds = budget_seconds(options.budget);
  how.seed = options.seed;
  how.strict = options.strict;
  how.cancelled = [] { return interrupted.load(); };
  const bool terminal = isatty(STDERR_FILENO) != 0;
  if (terminal) how.progress = show_progress;
  std::signal(SIGINT, on_interrupt);
  VerbResult result;
  result.document["results"] = Json::array();
  if (options.explain_space) result.document["spaces"] = Json::array();
  std::vector<StepCall> calls;
  const StepWeights weights = parse_weights(options.weights);
  const auto tune_entry = [&](const ListedTask& entry) {
    if (options.explain_space) return explain_entry(result, context, device, entry);
    const std::vector<TuneResult> results = tune_listed(site, entry, how);
    if (terminal) print_to(stderr, "\r\033[K");
    for (const TuneResult& tuned : results) {
      result.document["results"].push_back(result_json(tuned, site, how));
      result.document["results"].back()["count"] = entry.count;
      result.text += result_text(tuned, entry.rows);
    }
    if (entry.rows.low != entry.rows.high) return;  // which size a step has is not known
    const Winner& winner = results.front().winner;
    if (!winner.time || !winner.default_time) return;
    calls.push_back({.listed = entry,
                     .measured = winner.evidence == Evidence::measured,
                     .ns = winner.time->median,
                     .default_ns = winner.default_time->median});
  };
  if (!options.problems.empty()) result.document["failed"] = Json::array();
  for (const ListedTask& entry : list) {
    if (interrupted) break;
    try {
      tune_entry(entry);
    } catch (const Error& error) {
      if (options.problems.empty()) throw;
      add_failed(result, entry, error);
    }
  }
  const Step step = step_of(calls, weights);
  result.document["step"] = step_json(step);
  if (calls.empty()) result.document["why"]["step"] = "no call of one size was timed or predicted";
  if (calls.size() > 1) result.text += step_text(step);
  if (list.empty()) result.text = fmt::format("shard {} has no task\n", options.shard);
  if (interrupted) {
    result.failed = true;
    const std::string message = "interrupted; what was measured is kept and the next run goes on";
    result.document["failure"] = failure_json("interrupted", message);
    result.text += message + "\n";
  }
  return result;
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
