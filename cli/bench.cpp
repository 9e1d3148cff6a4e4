// grkan bench: times the winner in use, the default schedule and the memory bound, interleaved.
#include <fmt/format.h>

#include <memory>

#include "cli/check_kernel.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/schedules.h"
#include "cli/timing.h"
#include "runtime/plan.h"

namespace grkan::cli {
namespace {

struct BenchOptions {
  TaskOptions task;
  DeviceOptions device;
  std::vector<std::string> schedules;  // timed beside winner and default
  int rounds = 30;
};

// A schedule's entry: its times and how near it comes to the bound.
Json schedule_json(const Timed& timed, const Timed* bound, const ErrorReport& error) {
  Json json = {{"schedule", timed.name}, {"time_ns", time_json(timed)}};
  if (bound != nullptr) {
    json["fraction_of_bound"] = median(bound->seconds) / median(timed.seconds);
  } else {
    set_null(json, "fraction_of_bound", "no memory bound was measured on this device");
  }
  json["error"] = error_json(error);
  return json;
}

Json bench_task(Plan& plan, const Task& task, std::int64_t rows, std::int64_t inner,
                const BenchOptions& options) {
  Context& context = plan.context();
  Device& device = plan.device();
  const Determinism determinism = context.options().determinism;
  const Choice choice = plan.choose(task.direction, rows, inner);
  const Schedule standard = default_schedule(task, device.target(), rows, inner, determinism);
  std::vector<Schedule> schedules = {choice.schedule};
  const bool is_default = choice.schedule == standard;
  if (!is_default) schedules.push_back(standard);
  for (const std::string& text : options.schedules) {
    const ScheduleOptions named{.schedule = text, .targets = {}};
    schedules.push_back(named.schedule_for(task, device.target(), rows, inner, determinism));
  }
  std::vector<std::shared_ptr<const Kernel>> kernels;
  std::vector<const Kernel*> pointers;
  for (const Schedule& schedule : schedules) {
    kernels.push_back(context.kernel(device, task, schedule));
    pointers.push_back(kernels.back().get());
  }
  Workbench bench(context, device, task, rows, inner);
  const Timings timings = time_interleaved(bench, pointers, options.rounds);
  const Timed* bound = timings.bound();
  const std::int64_t few = std::min<std::int64_t>(rows, 1000);
  const SampleOptions sample{.rows = few, .inner = inner};
  Json entry = {{"task", to_string(task)},
                {"problem", to_string(task.problem)},
                {"variant", to_string(task.problem.variant)},
                {"device", device.info().name},
                {"direction", to_string(task.direction)},
                {"rows", bench.rows()},
                {"inner", inner},
                {"threads", device.info().units},
                {"evidence", choice.evidence}};
  std::vector<Json> entries;
  for (std::size_t i = 0; i < schedules.size(); ++i) {
    const Outcome outcome = check_kernel(context, device, task, sample, schedules[i]);
    entries.push_back(schedule_json(timings.kernels[i], bound, outcome.error));
  }
  entry.update(entries[0]);
  const std::size_t own = is_default ? 1 : 2;
  entry["default"] = entries[own - 1];
  entry["candidates"] =
      Json(std::vector<Json>(entries.begin() + std::ptrdiff_t(own), entries.end()));
  if (bound != nullptr) {
    entry["bound_kind"] = bound->name;
    entry["bound_ns"] = median(bound->seconds) * 1e9;
  } else {
    set_null(entry, "bound_kind", "no memory bound was measured on this device");
    set_null(entry, "bound_ns", "no memory bound was measured on this device");
  }
  for (const Timed& timed : timings.bounds) entry["bounds_ns"][timed.name] = time_json(timed);
  entry["bytes"] = bench.bytes();
  return entry;
}

// The largest scaled error of all tensors of an entry.
double largest_error(const Json& error) {
  double largest = 0;
  for (const auto& [name, tensor] : error.items()) {
    largest = std::max(largest, tensor.at("scaled").get<double>());
  }
  return largest;
}

void add_row(std::vector<std::vector<std::string>>& rows, const std::string& name,
             const Json& schedule) {
  const Json& fraction = schedule.at("fraction_of_bound");
  rows.push_back({name, duration_text(schedule.at("time_ns").at("median").get<double>()),
                  fraction.is_null() ? "-" : fmt::format("{:.2f}", fraction.get<double>()),
                  fmt::format("{:.2g}", largest_error(schedule.at("error"))),
                  schedule.at("schedule").get<std::string>()});
}

Report bench(const BenchOptions& options) {
  if (options.rounds < 3) fail_argument("rounds {} are too few; use 3 or more", options.rounds);
  Context context({.cache_dir = options.device.cache,
                   .determinism = options.task.determinism_class(),
                   .threads = options.device.threads});
  Report report;
  for (const Task& task : options.task.tasks()) {
    const std::int64_t rows = options.task.row_count();
    if (rows < 1) fail_argument("rows {} can't be timed; use 1 or more", rows);
    Plan plan(context, task.problem, options.device.device, task.gradients);
    const Json entry = bench_task(plan, task, rows, options.task.inner_of(task.problem), options);
    report.text += fmt::format("{}, {} rows, {} ({} {})\n", to_string(task),
                               entry["rows"].get<std::int64_t>(), plan.device().info().name,
                               plan.device().info().units, plan.device().info().model);
    std::vector<std::vector<std::string>> lines = {
        {"", "median", "bound/time", "error/bound", "schedule"}};
    const bool is_default = entry["schedule"] == entry["default"]["schedule"];
    if (!is_default) {
      add_row(lines, entry["evidence"] == "measured" ? "winner" : entry["evidence"], entry);
    }
    add_row(lines, is_default && entry["evidence"] == "measured" ? "winner = default" : "default",
            entry["default"]);
    for (const Json& candidate : entry["candidates"]) add_row(lines, "candidate", candidate);
    const Json bounds = entry.value("bounds_ns", Json::object());
    for (const auto& [name, time] : bounds.items()) {
      lines.push_back({name, duration_text(time.at("median").get<double>())});
    }
    report.text += table(lines) + "\n";
    report.document["results"].push_back(entry);
  }
  return report;
}

}  // namespace

Verb add_bench(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("bench", "Time winner, default and memory bound, interleaved in one run");
  auto options = std::make_shared<BenchOptions>();
  options->task.declare(*command);
  options->device.declare(*command);
  command->add_option("--schedule", options->schedules, "Schedules to time beside them");
  command->add_option("--rounds", options->rounds, "Rounds, each timing all of them once")
      ->check(whole_number(INT32_MIN, INT32_MAX))
      ->capture_default_str();
  return {command, [options] { return bench(*options); }};
}

}  // namespace grkan::cli
