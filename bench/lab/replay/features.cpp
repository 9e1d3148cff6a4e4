// What a learnt model is told of each candidate of recorded tables (table.h, facts.h), and what it
// took: a line each, with tabs, for bench/lab/learn.
//
//   build/bin/bench_features --measured FOLDER [--facts FOLDER [--counts estimated]] > FILE
//   build/bin/bench_features --log FILE --kind cpu|cuda > FILE
//
// Columns: table, schedule, device (as predictions know it), us (median), ratio (to the table's
// default), rounds, in_space (1: the space of now has it, and tuning would not rule it out),
// default (1: of now), physics (the cost model's ns), and the features. --facts: of a GPU; without
// it a CPU's. --counts: from_code, executed, or estimated from the schedules, for the launches that
// the facts have. --log: of what `grkan cache export --measurements` wrote; of GPUs, those of
// core/gpu_models.h, by estimates.
#include "cpu/features.h"

#include <CLI/CLI.hpp>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/lab/replay/facts.h"
#include "bench/lab/replay/table.h"
#include "cache/device_description.h"
#include "core/error.h"
#include "core/print.h"
#include "cpu/cost_model.h"
#include "cuda/cost_model.h"
#include "cuda/features.h"
#include "tuner/records.h"
#include "tuner/search/statistics.h"
#include "tuner/space.h"

namespace grkan {
namespace {

struct Options {
  std::string measured;
  std::string facts;
  std::string counts = "from_code";
  std::string log;
  std::string kind = "cpu";
};

// What is told of one candidate; nothing where nothing is known.
struct Told {
  double physics_ns = 0;
  std::vector<double> features;
};
using Tell = std::function<std::optional<Told>(const Table&, const Schedule&)>;

void print_names(std::span<const std::string_view> names) {
  print_to(stdout, "table\tschedule\tdevice\tus\tratio\trounds\tin_space\tdefault\tphysics");
  for (const std::string_view name : names) print_to(stdout, "\t{}", name);
  print_to(stdout, "\n");
}

void print_table(const Table& table, std::string_view device, const Tell& tell) {
  std::set<std::string> space;
  for (const Schedule& schedule :
       enumerate_space(table.task, table.target, Determinism::run_to_run, table.rows, table.inner)
           .schedules) {
    space.insert(to_string(schedule));
  }
  const std::string standard =
      to_string(default_schedule(table.task, table.target, table.rows, table.inner));
  const std::string name = table_name(table.task, table.rows, table.inner);
  for (const TableCandidate& c : table.candidates) {
    if (c.us.empty()) continue;
    const std::optional<Told> told = tell(table, parse_schedule(c.schedule, table.target));
    if (!told) continue;
    print_to(stdout, "{}\t{}\t{}\t{:.6g}\t{:.6g}\t{}\t{}\t{}\t{:.9g}", name, c.schedule, device,
             median(c.us), c.ratio(), c.us.size(), int(space.contains(c.schedule)),
             int(c.schedule == standard), told->physics_ns);
    for (const double value : told->features) print_to(stdout, "\t{:.9g}", value);
    print_to(stdout, "\n");
  }
}

CpuModel cpu_of(const Table& table) { return cpu_model_for(table.target, table.machine); }

std::optional<Told> tell_cpu(const Table& table, const Schedule& schedule) {
  const CpuWork work{.task = table.task,
                     .schedule = CpuSchedule(schedule),
                     .target = table.target,
                     .cpu = cpu_of(table),
                     .rows = table.rows,
                     .inner = table.inner,
                     .threads = table.threads};
  const Prediction physics = predict(work);
  return Told{physics.ns, values_of(cpu_features(), CpuEstimate{work, physics})};
}

std::optional<Told> tell_gpu(const GpuCall& call, const std::vector<LaunchFacts>& launches) {
  if (launches.empty()) return {};
  const Prediction physics = predict(launches, call.gpu);
  return Told{physics.ns,
              values_of(cuda_features(), CudaEstimate{call, main_launch(launches), physics})};
}

// Of the launches that a candidate had when it was timed.
std::vector<LaunchFacts> estimated(const GpuCall& call, const CandidateFacts& known) {
  CudaLaunch launch = cuda_launch(call.task, call.schedule, call.rows, call.inner,
                                  int(call.gpu.multiprocessors.value));
  const auto row_blocks = std::uint32_t(main_launch(known.from_code).blocks / launch.grid_x);
  launch.workspace_bytes = launch.workspace_bytes * row_blocks / launch.grid_y;
  launch.grid_y = row_blocks;
  return estimated_facts(call, launch);
}

void print_gpu(const Options& options) {
  print_names(names_of(cuda_features()));
  std::map<std::string, FactsTable> facts;
  for (FactsTable& table : read_all_facts(options.facts)) {
    std::string name = table_name(table.task, table.rows, table.inner);
    facts.emplace(std::move(name), std::move(table));
  }
  for (const Table& table : read_tables(options.measured)) {
    const auto found = facts.find(table_name(table.task, table.rows, table.inner));
    if (found == facts.end()) continue;
    const GpuModel& gpu = gpu_model(found->second.gpu);
    std::map<std::string, const CandidateFacts*> facts_of;
    for (const CandidateFacts& c : found->second.candidates) {
      if (c.status == CandidateStatus::ok && !c.from_code.empty()) facts_of[c.schedule] = &c;
    }
    print_table(
        table, gpu.name, [&](const Table&, const Schedule& schedule) -> std::optional<Told> {
          const auto known = facts_of.find(to_string(schedule));
          if (known == facts_of.end()) return {};
          const GpuCall call{.task = table.task,
                             .schedule = CudaSchedule(schedule),
                             .gpu = gpu,
                             .rows = table.rows,
                             .inner = table.inner};
          const CandidateFacts& c = *known->second;
          const std::vector<LaunchFacts> launches = options.counts == "estimated"
                                                        ? estimated(call, c)
                                                    : options.counts == "executed" ? c.executed
                                                                                   : c.from_code;
          return tell_gpu(call, launches);
        });
  }
}

// A problem that a log has, of one device.
struct LoggedTable {
  Table table;
  DeviceDescription device;
  std::map<std::string, std::size_t> places;  // of schedules, the default first

  TableCandidate& candidate(const std::string& schedule) {
    const auto [place, added] = places.try_emplace(schedule, table.candidates.size());
    if (added) {
      table.candidates.push_back({.schedule = schedule,
                                  .status = CandidateStatus::ok,
                                  .why = {},
                                  .us = {},
                                  .reference_us = {}});
    }
    return table.candidates[place->second];
  }
};

std::map<std::string, LoggedTable> read_log(const std::string& path, const std::string& kind) {
  std::ifstream file(path);
  if (!file) fail_argument("{} can't be read", path);
  std::map<std::string, LoggedTable> tables;
  std::size_t number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    try {
      const auto line = nlohmann::ordered_json::parse(text);
      const DeviceDescription device = device_of_json(line.at("device"));
      const std::vector<double> seconds = recorded_times(line, "seconds");
      const std::vector<double> reference = recorded_times(line, "reference_seconds");
      if (line.contains("gpu") || device.kind != kind || seconds.empty()) continue;
      if (seconds.size() != reference.size()) fail_argument("times without the default's");
      const auto rows = line.at("rows").get<std::int64_t>();
      const auto inner = line.at("inner").get<std::int64_t>();
      const auto standard = line.at("default").get<std::string>();
      LoggedTable& logged = tables[fmt::format(
          "{} {} {} {} {} {} {} {}", device.name, device.units, device.memory_bytes,
          device.architecture, line.at("task").get<std::string>(), rows, inner, standard)];
      logged.device = device;
      logged.table.task = parse_task(line.at("task").get<std::string>());
      logged.table.target = parse_target(line.at("target").get<std::string>());
      logged.table.rows = rows;
      logged.table.inner = inner;
      logged.table.threads = int(device.units);
      logged.table.machine = device.name;
      logged.candidate(standard);
      TableCandidate& c = logged.candidate(line.at("schedule").get<std::string>());
      for (const double s : seconds) c.us.push_back(s * 1e6);
      for (const double s : reference) c.reference_us.push_back(s * 1e6);
    } catch (const std::exception& error) {
      fail_argument("{}, line {}: {}", path, number, error.what());
    }
  }
  return tables;
}

std::optional<Told> tell_estimated(const GpuModel& gpu, const Table& table,
                                   const Schedule& schedule) {
  const GpuCall call{.task = table.task,
                     .schedule = CudaSchedule(schedule),
                     .gpu = gpu,
                     .rows = table.rows,
                     .inner = table.inner};
  const CudaLaunch launch = cuda_launch(table.task, call.schedule, table.rows, table.inner,
                                        int(gpu.multiprocessors.value));
  return tell_gpu(call, estimated_facts(call, launch));
}

void print_log(const Options& options) {
  const bool cuda = options.kind == "cuda";
  print_names(cuda ? names_of(cuda_features()) : names_of(cpu_features()));
  for (const auto& [key, logged] : read_log(options.log, options.kind)) {
    if (!cuda) {
      print_table(logged.table, cpu_of(logged.table).name, tell_cpu);
      continue;
    }
    const GpuModel* gpu =
        find_gpu_model(logged.table.target.compute_capability(), int(logged.device.units),
                       double(logged.device.memory_bytes));
    if (gpu == nullptr) {
      print_to(stderr, "left out: {} is no known GPU\n", logged.device.name);
      continue;
    }
    print_table(logged.table, gpu->name, [&](const Table& table, const Schedule& schedule) {
      return tell_estimated(*gpu, table, schedule);
    });
  }
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Features of recorded candidates, for learning");
  app.add_option("--measured", options.measured, "Folder of tables");
  app.add_option("--log", options.log, "Measurements of `grkan cache export` instead");
  app.add_option("--kind", options.kind, "Which of its devices")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--facts", options.facts, "Folder of facts of the same candidates: a GPU's");
  app.add_option("--counts", options.counts, "Of the instructions")
      ->check(CLI::IsMember({"from_code", "executed", "estimated"}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (options.measured.empty() == options.log.empty()) fail_argument("give --measured or --log");
  if (!options.log.empty()) {
    print_log(options);
    return 0;
  }
  if (!options.facts.empty()) {
    print_gpu(options);
    return 0;
  }
  print_names(names_of(cpu_features()));
  for (const Table& table : read_tables(options.measured))
    print_table(table, cpu_of(table).name, tell_cpu);
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
