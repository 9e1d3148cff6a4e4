// Searches on recorded tables (table.h), without the hardware: how far each way of searching stays
// behind the exhaustive search's winner, and how many of the measurements of an exhaustive search
// it takes. Every table is searched with several seeds. `random` is given as many measurements as
// `quick` took.
//
//   build/bin/bench_replay [--tables bench/replay/tables] [--strategy quick,random] [--seeds 10]
//                          [--prior-error S | --predicted] [--against-best] [--each]
//
// --prior-error: quick and thorough are given the recorded costs as a prior, each wrong by a factor
// of exp(N(0, S)): what a cost model of that quality is worth.
// --predicted: they are given what the CPU's cost model predicts. `instant` takes what it promises
// and measures nothing.
// --each: a line for each table too.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/replay/replay.h"
#include "core/error.h"
#include "core/print.h"
#include "tuner/cpu_cost_model.h"
#include "tuner/effort.h"
#include "tuner/statistics.h"

namespace grkan {
namespace {

struct Options {
  std::string tables = "bench/replay/tables";
  std::vector<std::string> strategies = {"quick", "random", "thorough", "exhaustive"};
  std::uint64_t seeds = 10;
  double prior_error = -1;  // negative: no such prior
  bool predicted = false;   // the cost model's
  bool against_best = false;
  bool each = false;
};

// One way of searching one table, over all seeds.
struct Outcome {
  std::vector<double> regrets;
  std::vector<double> measurements;
  std::vector<double> shares;  // of the exhaustive search's measurements
  std::vector<double> seconds;

  void add(const ReplayResult& result, double regret, double of_exhaustive) {
    regrets.push_back(regret);
    measurements.push_back(double(result.measurements));
    shares.push_back(double(result.measurements) / of_exhaustive);
    seconds.push_back(result.seconds);
  }
  void add(const Outcome& other) {
    const auto append = [](std::vector<double>& to, const std::vector<double>& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(regrets, other.regrets);
    append(measurements, other.measurements);
    append(shares, other.shares);
    append(seconds, other.seconds);
  }
};

std::vector<double> recorded_prior(const Table& table, double error, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> prior;
  double slowest = 1;
  for (const TableCandidate& c : table.candidates) {
    const double cost = std::isfinite(c.ratio()) ? c.ratio() : slowest;
    slowest = std::max(slowest, cost);
    prior.push_back(cost * std::exp(error * normal(random)));
  }
  return prior;
}

ReplayResult run_effort(const Table& table, const Space& space, TuneEffort effort,
                        std::uint64_t seed, const Options& options) {
  std::vector<double> prior;
  if (options.predicted) prior = predicted_seconds(work_of(table), space.schedules);
  if (options.prior_error >= 0) prior = recorded_prior(table, options.prior_error, seed);
  const auto strategy = effort_strategy(effort, space, seed, prior);
  return replay(table, *strategy, search_options(effort), seed);
}

ReplayResult take_instant(const Table& table, const Space& space) {
  ReplayResult result;
  result.winner = instant_choice(predicted_seconds(work_of(table), space.schedules));
  return result;
}

ReplayResult run_one(const std::string& name, const Table& table, const Space& space,
                     std::uint64_t seed, const Options& options) {
  if (name == "instant") return take_instant(table, space);
  if (name != "random") {
    return run_effort(table, space, parse_tune_effort(name), seed, options);
  }
  const ReplayResult quick = run_effort(table, space, TuneEffort::quick, seed, options);
  const auto strategy = random_strategy(seed, table.candidates.size());
  return replay(table, *strategy, search_options(TuneEffort::quick), seed, quick.measurements);
}

void print_line(const std::string& name, const Outcome& outcome) {
  print_to(stdout, "{:44} {:8.2f} {:8.2f} {:8.2f} {:8.2f} {:9.0f} {:9.1f} {:9.2f}\n", name,
           100 * median(outcome.regrets), 100 * quantile(outcome.regrets, 0.9),
           100 * quantile(outcome.regrets, 1),
           100 *
               double(std::count_if(outcome.regrets.begin(), outcome.regrets.end(),
                                    [](double regret) { return regret <= 0.02; })) /
               double(outcome.regrets.size()),
           median(outcome.measurements), 100 * median(outcome.shares), median(outcome.seconds));
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Searches on recorded tables");
  app.add_option("--tables", options.tables, "Folder of tables")->capture_default_str();
  app.add_option("--strategy", options.strategies, "instant, quick, thorough, exhaustive, random")
      ->delimiter(',');
  app.add_option("--seeds", options.seeds, "Searches of each table")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  auto* recorded =
      app.add_option("--prior-error", options.prior_error, "Give a prior of this error");
  app.add_flag("--predicted", options.predicted, "Give the cost model's predictions as a prior")
      ->excludes(recorded);
  app.add_flag("--against-best", options.against_best,
               "Regret against the table's lowest median, not the exhaustive search's winner");
  app.add_flag("--each", options.each, "A line for each table");
  CLI11_PARSE(app, argc, argv);
  const std::vector<Table> tables = read_tables(options.tables);
  if (tables.empty())
    fail_argument("no tables in {}; record some with bench_record", options.tables);
  std::vector<Outcome> outcomes(options.strategies.size());
  Outcome keeps_default;
  std::vector<double> all_taken(outcomes.size());  // measurements over all tables
  double all_exhaustive = 0;
  print_to(stdout, "{:44} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9}\n", "regret in %", "median",
           "p90", "worst", "<= 2 %", "measured", "share %", "seconds");
  for (const Table& table : tables) {
    const Space space = space_of(table);
    const ReplayResult exhaustive = run_effort(table, space, TuneEffort::exhaustive, 1, {});
    const double of_exhaustive = double(exhaustive.measurements);
    const std::size_t against = options.against_best ? table.best() : exhaustive.winner;
    const std::string name = table_name(table.task, table.rows, table.inner);
    for (std::size_t k = 0; k < outcomes.size(); ++k) {
      Outcome outcome;
      for (std::uint64_t seed = 1; seed <= options.seeds; ++seed) {
        const ReplayResult result = run_one(options.strategies[k], table, space, seed, options);
        outcome.add(result, table.regret(result.winner, against), of_exhaustive);
      }
      if (options.each) print_line(name.substr(0, 32) + " " + options.strategies[k], outcome);
      for (const double taken : outcome.measurements) all_taken[k] += taken;
      outcomes[k].add(outcome);
    }
    all_exhaustive += of_exhaustive * double(options.seeds);
    keeps_default.add({}, table.regret(0, against), of_exhaustive);
  }
  for (std::size_t k = 0; k < outcomes.size(); ++k) {
    print_line(options.strategies[k], outcomes[k]);
  }
  print_line("the default", keeps_default);
  for (std::size_t k = 0; k < outcomes.size(); ++k) {
    print_to(stdout, "{}: {:.1f} % of the exhaustive search's measurements over all {} tables\n",
             options.strategies[k], 100 * all_taken[k] / all_exhaustive, tables.size());
  }
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
