// grkan bench: times the winner in use, the default schedule and the memory bound, interleaved; on
// a virtual GPU it counts what each schedule does instead.
#include <fmt/format.h>

#include <memory>

#include "cli/check_kernel.h"
#include "cli/launch_counts.h"
#include "cli/options.h"
#include "cli/schedules.h"
#include "cli/timing.h"
#include "cli/verb.h"
#include "core/virtual_report.h"
#include "runtime/plan.h"
#include "tuner/outcome.h"

namespace grkan::cli {
namespace {

constexpr const char* kNoBound = "no memory bound was measured on this device";

struct BenchOptions {
  TaskOptions task;
  DeviceOptions device;
  std::vector<std::string> schedules;  // timed beside winner and default
  int rounds = 30;
};

// A schedule's times and how near they come to the bound.
Json timed_json(const Timed& timed, const Timed* bound) {
  Json json = {{"schedule", timed.name}, {"time_ns", time_json(time_of(timed.seconds))}};
  if (bound != nullptr) {
    json["fraction_of_bound"] = median(bound->seconds) / median(timed.seconds);
  } else {
    set_null(json, "fraction_of_bound", kNoBound);
  }
  return json;
}

// What a virtual GPU counts of a schedule, in one run.
Json counted_json(Workbench& bench, Device& device, const Kernel& kernel, std::int64_t elements) {
  Json json = {{"schedule", to_string(kernel.schedule())}};
  const std::string why = why_not_timed(device.info());
  for (const char* field : {"time_ns", "fraction_of_bound"}) set_null(json, field, why);
  bench.run(kernel);
  const Json launches = take_launches(device);
  json["counts"] = counts_of(launches, elements, bench.bytes());
  json["findings"] = findings_of(launches);
  return json;
}

void add_bound(Json& entry, const Timings& timings) {
  const Timed* bound = timings.bound();
  if (bound == nullptr) {
    for (const char* field : {"bound_kind", "bound_ns"}) set_null(entry, field, kNoBound);
    return;
  }
  entry["bound_kind"] = bound->name;
  entry["bound_ns"] = median(bound->seconds) * 1e9;
  for (const Timed& timed : timings.bounds)
    entry["bounds_ns"][timed.name] = time_json(time_of(timed.seconds));
}

// The counts in the fields that results share.
void add_figures(Json& entry, const DeviceInfo& device, std::int64_t elements) {
  const Json& counts = entry["counts"];
  const Json& main = counts["launches"].front();
  const double atomics = counts["atomics"].get<double>() / double(elements);
  const Json instructions = {{"ptx", counts["instructions_per_element"]}, {"sass", nullptr}};
  if (main["registers_estimated"]) {
    set_null(entry, "registers", "only an estimate: the kernel came without a cubin");
  } else {
    entry["registers"] = main["registers"];
  }
  entry["shared_bytes"] = main["shared_bytes"];
  entry["atomics_per_element"] = atomics;
  entry["instructions_per_element"] = instructions;
  entry["why"]["instructions_per_element"] =
      "a virtual GPU executes PTX; grkan compile counts the SASS";
  for (const char* field : {"bound_kind", "bound_ns"}) {
    set_null(entry, field, why_not_timed(device));
  }
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
    const ScheduleOptions named{.schedule = text, .targets = {}, .device = {}};
    schedules.push_back(named.schedule_for(task, device.target(), rows, inner, determinism));
  }
  std::vector<std::shared_ptr<const Kernel>> kernels;
  std::vector<const Kernel*> pointers;
  for (const Schedule& schedule : schedules) {
    kernels.push_back(context.kernel(device, task, schedule));
    pointers.push_back(kernels.back().get());
  }
  const TuneSite site = context.tune_site(device);
  Workbench bench(site, task, rows, inner);
  const std::int64_t elements = bench.rows() * task.problem.channels * inner;
  const bool counts = device.info().is_virtual;
  const Timings timings = counts ? Timings{} : time_interleaved(bench, pointers, options.rounds);
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
    entries.push_back(counts ? counted_json(bench, device, *kernels[i], elements)
                             : timed_json(timings.kernels[i], timings.bound()));
    const Outcome outcome = check_kernel(context, device, task, sample, schedules[i]);
    entries.back()["error"] = error_json(outcome.error);
    for (const Json& finding : outcome.findings) entries.back()["findings"].push_back(finding);
  }
  entry.update(entries[0]);
  const std::size_t own = is_default ? 1 : 2;
  entry["default"] = entries[own - 1];
  entry["candidates"] =
      Json(std::vector<Json>(entries.begin() + std::ptrdiff_t(own), entries.end()));
  if (counts) {
    add_figures(entry, device.info(), elements);
  } else {
    add_bound(entry, timings);
  }
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

// The schedules of a result under the names that people read.
std::vector<std::pair<std::string, Json>> named_schedules(const Json& entry) {
  std::vector<std::pair<std::string, Json>> schedules;
  const bool is_default = entry["schedule"] == entry["default"]["schedule"];
  const bool measured = entry["evidence"] == "measured";
  if (!is_default) {
    schedules.emplace_back(measured ? "winner" : entry["evidence"].get<std::string>(), entry);
  }
  schedules.emplace_back(is_default && measured ? "winner = default" : "default", entry["default"]);
  for (const Json& candidate : entry["candidates"]) schedules.emplace_back("candidate", candidate);
  return schedules;
}

std::string times_text(const Json& entry) {
  std::vector<std::vector<std::string>> lines = {
      {"", "median", "bound/time", "error/bound", "schedule"}};
  for (const auto& [name, schedule] : named_schedules(entry)) {
    const Json& fraction = schedule.at("fraction_of_bound");
    lines.push_back({name, duration_text(schedule.at("time_ns").at("median").get<double>()),
                     fraction.is_null() ? "-" : fmt::format("{:.2f}", fraction.get<double>()),
                     fmt::format("{:.2g}", largest_error(schedule.at("error"))),
                     schedule.at("schedule").get<std::string>()});
  }
  const Json bounds = entry.value("bounds_ns", Json::object());
  for (const auto& [name, time] : bounds.items()) {
    lines.push_back({name, duration_text(time.at("median").get<double>())});
  }
  return table(lines);
}

std::string counts_text(const Json& entry) {
  std::vector<std::vector<std::string>> lines = {
      {"counted, not timed", "error/bound", "findings", "schedule"}};
  std::vector<std::string> names;
  std::vector<Json> counts;
  std::string findings;
  for (const auto& [name, schedule] : named_schedules(entry)) {
    names.push_back(name);
    counts.push_back(schedule.at("counts"));
    lines.push_back({name, fmt::format("{:.2g}", largest_error(schedule.at("error"))),
                     fmt::format("{}", schedule.at("findings").size()),
                     schedule.at("schedule").get<std::string>()});
    for (const Json& finding : schedule.at("findings")) findings += finding_text(finding) + "\n";
  }
  return table(lines) + findings + "\n" + table(counts_table(names, counts));
}

std::size_t count_findings(const Json& entry) {
  std::size_t count = 0;
  for (const auto& [name, schedule] : named_schedules(entry)) {
    count += schedule.value("findings", Json::array()).size();
  }
  return count;
}

VerbResult bench(const BenchOptions& options) {
  if (options.rounds < 3) fail_argument("rounds {} are too few; use 3 or more", options.rounds);
  Context context({.cache_dir = options.device.cache,
                   .determinism = options.task.determinism_class(),
                   .threads = options.device.threads});
  VerbResult result;
  std::size_t findings = 0;
  for (const Task& task : options.task.tasks()) {
    const std::int64_t rows = options.task.row_count();
    if (rows < 1) fail_argument("rows {} can't be timed; use 1 or more", rows);
    Plan plan(context, task.problem, options.device.device, task.gradients);
    const DeviceInfo& device = plan.device().info();
    const Json entry = bench_task(plan, task, rows, options.task.inner_of(task.problem), options);
    result.text +=
        fmt::format("{}, {} rows, {} ({} {})\n", to_string(task), entry["rows"].get<std::int64_t>(),
                    device.name, device.units, device.model);
    result.text += (device.is_virtual ? counts_text(entry) : times_text(entry)) + "\n";
    findings += count_findings(entry);
    result.document["results"].push_back(entry);
  }
  result.failed = findings != 0;
  if (result.failed) {
    result.document["failure"] =
        failure_json(status_name(Status::wrong_answer),
                     fmt::format("the virtual GPU's checks found {} mistakes", findings));
  }
  return result;
}

}  // namespace

Verb add_bench(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "bench",
      "Time winner, default and memory bound, interleaved in one run; count on a virtual GPU");
  auto options = std::make_shared<BenchOptions>();
  options->task.declare(*command);
  options->device.declare(*command);
  command->add_option("--schedule", options->schedules, "Schedules to time beside them");
  command
      ->add_option("--rounds", options->rounds,
                   "Rounds, each timing all of them once (a virtual GPU: one run)")
      ->check(whole_number(INT32_MIN, INT32_MAX))
      ->capture_default_str();
  return {command, [options] { return bench(*options); }};
}

}  // namespace grkan::cli
