// The CPU's cost model against recorded tables (table.h): for each table, whether the best few by
// prediction hold a schedule nearly as fast as the best measured, how likely as many random ones
// would, how alike both order all candidates, and how far the predicted best and the default are
// behind.
//
//   build/bin/bench_cpu_prediction [--tables FOLDER] [--cpu MODEL] [--left-out FILE]
//                                  [--candidates NAME]
//
// --left-out: with what trees that never saw a table say (learn/train.py --left-out), instead.
// --cpu: figures of this CPU model in the place of the machine's.
// --candidates: instead, the candidates of the tables whose names hold this text, by prediction.
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/lab/replay/forecast.h"
#include "bench/lab/replay/left_out.h"
#include "bench/lab/replay/replay.h"
#include "core/error.h"
#include "core/print.h"
#include "cpu/cost_model.h"
#include "cpu/schedule.h"
#include "tuner/search/statistics.h"

namespace grkan {
namespace {

struct Options {
  std::string tables = GRKAN_TABLES "/measured/zen4";
  std::string cpu;
  std::string left_out;
  std::string candidates;
};

// The table's call with its default schedule.
CpuWork work_of(const Table& table) {
  const CpuModel& cpu = cpu_model_for(table.target, table.machine);
  const Schedule first = parse_schedule(table.candidates.front().schedule, table.target);
  return {.task = table.task,
          .schedule = CpuSchedule(first),
          .target = table.target,
          .cpu = cpu,
          .rows = table.rows,
          .inner = table.inner,
          .threads = table.threads};
}

std::vector<Prediction> predictions(const Table& table, const Options& options) {
  CpuWork work = work_of(table);
  if (!options.cpu.empty()) work.cpu = cpu_model(options.cpu);
  std::vector<Prediction> all;
  for (const Schedule& schedule : space_of(table).schedules) {
    work.schedule = CpuSchedule(schedule);
    all.push_back(predict(work));
  }
  return all;
}

Forecast forecast_of(const Table& table, const std::vector<Prediction>& predicted) {
  Forecast forecast{.seconds = {},
                    .regrets = table.regrets(),
                    .default_seconds = median(table.candidates[0].us) * 1e-6};
  for (const Prediction& p : predicted) forecast.seconds.push_back(p.ns * 1e-9);
  return forecast;
}

void print_candidates(const Table& table, const std::vector<Prediction>& predicted) {
  const std::vector<double> regrets = table.regrets();
  for (const std::size_t i : order_of(forecast_of(table, predicted))) {
    const TableCandidate& c = table.candidates[i];
    const Prediction& p = predicted[i];
    print_to(stdout, "{:52} {:9.1f} us, measured {:9.1f} us, {:6.1f} % behind;", c.schedule,
             p.ns * 1e-3, median(c.us), 100 * regrets[i]);
    for (std::size_t r = 0; r < kResources; ++r) {
      if (p.parts_ns.at(r) > 0) {
        print_to(stdout, " {} {:.1f}", to_string(Resource(r)), p.parts_ns.at(r) * 1e-3);
      }
    }
    print_to(stdout, "\n");
  }
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("The CPU's cost model against recorded tables");
  app.add_option("--tables", options.tables, "Folder of tables")->capture_default_str();
  app.add_option("--cpu", options.cpu, "CPU model; else the machine's");
  app.add_option("--left-out", options.left_out, "What learn/train.py --left-out wrote");
  app.add_option("--candidates", options.candidates, "Print the candidates of these tables");
  CLI11_PARSE(app, argc, argv);
  const LeftOut left_out =
      options.left_out.empty() ? LeftOut() : LeftOut(options.left_out, options.tables);
  std::vector<Outcome> outcomes;
  if (options.candidates.empty()) print_heading();
  for (const Table& table : read_current_tables(options.tables)) {
    if (table.target.cuda() || table.predicted) continue;
    const std::string name = table_name(table.task, table.rows, table.inner);
    if (name.find(options.candidates) == std::string::npos) continue;
    const std::vector<Prediction> predicted = predictions(table, options);
    if (!options.candidates.empty()) {
      print_candidates(table, predicted);
      continue;
    }
    std::vector<std::string> names;
    outcomes.push_back(outcome_of(left_out.empty()
                                      ? forecast_of(table, predicted)
                                      : forecast_of(table, left_out.log_costs(table), names)));
    print_outcome(name, names.empty() ? predicted.size() : names.size(), outcomes.back());
  }
  if (!options.candidates.empty()) return 0;
  if (outcomes.empty()) {
    fail_argument("no measured tables in {}; record some with bench_record", options.tables);
  }
  print_summary(outcomes);
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
