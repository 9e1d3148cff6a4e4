// The CPU's cost model against recorded tables (table.h): for each table, whether the best few by
// prediction hold a schedule nearly as fast as the best measured, how likely as many random ones
// would, how alike both order all candidates, and how far the predicted best and the default are
// behind.
//
//   build/bin/bench_cpu_prediction [--tables bench/replay/tables] [--cpu MODEL] [--candidates NAME]
//
// --cpu: figures of this CPU model in the place of the machine's.
// --candidates: instead, the candidates of the tables whose names hold this text, by prediction.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/replay/replay.h"
#include "core/error.h"
#include "core/print.h"
#include "tuner/cpu_cost_model.h"
#include "tuner/statistics.h"

namespace grkan {
namespace {

constexpr std::size_t kTop = 8;
constexpr double kNear = 0.05;

struct Options {
  std::string tables = "bench/replay/tables";
  std::string cpu;
  std::string candidates;
};

std::vector<Prediction> predictions(const Table& table, const Options& options) {
  CpuWork work = work_of(table);
  if (!options.cpu.empty()) work.cpu = cpu_model(options.cpu);
  std::vector<Prediction> all;
  for (const Schedule& schedule : space_of(table).schedules) {
    work.schedule = std::get<CpuSchedule>(schedule);
    all.push_back(predict(work));
  }
  return all;
}

std::vector<std::size_t> order_of(const std::vector<Prediction>& predicted) {
  std::vector<std::size_t> order(predicted.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return predicted[a].seconds < predicted[b].seconds;
  });
  return order;
}

struct Outcome {
  double correlation = 0;
  double first_regret = 0;  // of the predicted best
  double top_regret = 0;    // of the best measured among the first few by prediction
  double default_regret = 0;
  double chance = 0;         // that as many random ones hold a near one
  double seconds_ratio = 0;  // predicted over measured, the default
  [[nodiscard]] bool holds() const { return top_regret <= kNear; }
};

// That `few` of `all` hold one of `near`.
double chance_of(std::size_t few, std::size_t near, std::size_t all) {
  double none = 1;
  for (std::size_t i = 0; i < few; ++i) {
    none *= std::max(0.0, double(all - i) - double(near)) / double(all - i);
  }
  return 1 - none;
}

Outcome outcome_of(const Table& table, const std::vector<Prediction>& predicted) {
  const std::vector<double> regrets = table.regrets();
  std::vector<double> seconds;
  for (const Prediction& p : predicted) seconds.push_back(p.seconds);
  const std::vector<std::size_t> order = order_of(predicted);
  const std::size_t few = std::min(kTop, order.size());
  double top = regrets[order[0]];
  for (std::size_t k = 0; k < few; ++k) top = std::min(top, regrets[order[k]]);
  const auto near =
      std::count_if(regrets.begin(), regrets.end(), [](double regret) { return regret <= kNear; });
  return {.correlation = rank_correlation(seconds, regrets),
          .first_regret = regrets[order[0]],
          .top_regret = std::max(0.0, top),
          .default_regret = regrets[0],
          .chance = chance_of(few, std::size_t(near), regrets.size()),
          .seconds_ratio = predicted[0].seconds / (median(table.candidates[0].us) * 1e-6)};
}

void print_outcome(const std::string& name, std::size_t candidates, const Outcome& o) {
  print_to(stdout, "{:56} {:>6} {:6.2f} {:>6} {:7.1f} {:7.1f} {:7.1f} {:8.0f} {:7.2f}\n", name,
           candidates, o.correlation, o.holds() ? "yes" : "no", 100 * o.top_regret,
           100 * o.first_regret, 100 * o.default_regret, 100 * o.chance, o.seconds_ratio);
}

void print_summary(const std::vector<Outcome>& outcomes) {
  const auto values = [&](double Outcome::* field) {
    std::vector<double> all;
    for (const Outcome& o : outcomes) all.push_back(o.*field);
    return all;
  };
  const auto line = [&](const char* what, double Outcome::* field) {
    const std::vector<double> all = values(field);
    print_to(stdout, "{:36} median {:6.2f} %, 9 of 10 {:6.2f} %, worst {:6.2f} %\n", what,
             100 * median(all), 100 * quantile(all, 0.9), 100 * quantile(all, 1));
  };
  const auto held =
      std::count_if(outcomes.begin(), outcomes.end(), [](const Outcome& o) { return o.holds(); });
  const std::vector<double> chances = values(&Outcome::chance);
  const double chance =
      std::accumulate(chances.begin(), chances.end(), 0.0) / double(chances.size());
  print_to(
      stdout,
      "\nthe first {} by prediction hold a schedule within {:.0f} % of the best measured in {} "
      "of {} tables ({:.1f} %); {} random ones would in {:.1f} %\n",
      kTop, 100 * kNear, held, outcomes.size(), 100 * double(held) / double(outcomes.size()), kTop,
      100 * chance);
  line("regret of the best of these", &Outcome::top_regret);
  line("regret of the predicted best", &Outcome::first_regret);
  line("regret of the default", &Outcome::default_regret);
  const std::vector<double> correlations = values(&Outcome::correlation);
  print_to(stdout, "{:36} median {:6.2f},   least {:6.2f}\n", "rank correlation",
           median(correlations), quantile(correlations, 0));
}

void print_candidates(const Table& table, const std::vector<Prediction>& predicted) {
  const std::vector<double> regrets = table.regrets();
  for (const std::size_t i : order_of(predicted)) {
    const TableCandidate& c = table.candidates[i];
    const Prediction& p = predicted[i];
    print_to(stdout, "{:52} {:9.1f} us, measured {:9.1f} us, {:6.1f} % behind;", c.schedule,
             p.seconds * 1e6, median(c.us), 100 * regrets[i]);
    for (std::size_t r = 0; r < kResources; ++r) {
      if (p.parts.at(r) > 0) {
        print_to(stdout, " {} {:.1f}", to_string(Resource(r)), p.parts.at(r) * 1e6);
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
  app.add_option("--candidates", options.candidates, "Print the candidates of these tables");
  CLI11_PARSE(app, argc, argv);
  std::vector<Outcome> outcomes;
  if (options.candidates.empty()) {
    print_to(stdout, "{:56} {:>6} {:>6} {:>6} {:>7} {:>7} {:>7} {:>8} {:>7}\n", "regret in %", "of",
             "rank", "top 8", "regret", "first", "default", "chance", "time");
  }
  for (const Table& table : read_current_tables(options.tables)) {
    if (table.target.cuda() || table.predicted) continue;
    const std::string name = table_name(table.task, table.rows, table.inner);
    if (name.find(options.candidates) == std::string::npos) continue;
    const std::vector<Prediction> predicted = predictions(table, options);
    if (!options.candidates.empty()) {
      print_candidates(table, predicted);
      continue;
    }
    outcomes.push_back(outcome_of(table, predicted));
    print_outcome(name, predicted.size(), outcomes.back());
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
