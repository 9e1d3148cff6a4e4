// Searches on recorded tables (table.h), without the hardware: how far each way of searching stays
// behind the exhaustive search's winner, and how many of the measurements of an exhaustive search
// it takes. Every table is searched with several seeds. `random` looks at as many candidates
// as `quick` did.
//
//   build/bin/bench_replay [--tables FOLDER] [--strategy quick,random] [--seeds 10]
//                          [--no-starts | --shipped-starts] [--prior FILE] [--transfer N]
//                          [--limit N] [--against-best] [--each]
//
// The starting points (tuner/starting_points.h) of each CPU table are chosen from the other tables;
// --shipped-starts: those that are shipped, which these tables helped to choose; --no-starts: none,
// the first are random.
// --prior: what trees that never saw a table say of its candidates (learn/train.py --left-out).
// --transfer: with what was measured of so many other problems, some 32 candidates of each
// (tuner/transfer.h).
// --limit: quick looks at so many candidates, with half of its final rounds.
// --each: a line for each table too.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bench/guarded.h"
#include "bench/lab/replay/left_out.h"
#include "bench/lab/replay/portfolio.h"
#include "bench/lab/replay/replay.h"
#include "core/error.h"
#include "core/print.h"
#include "tuner/effort.h"
#include "tuner/search/statistics.h"
#include "tuner/starting_points.h"
#include "tuner/transfer.h"

namespace grkan {
namespace {

struct Options {
  std::string tables = GRKAN_TABLES "/measured/zen4";
  std::vector<std::string> strategies = {"quick", "random", "thorough", "exhaustive"};
  std::uint64_t seeds = 10;
  std::string prior;
  std::size_t transfer = 0;
  std::size_t limit = 0;  // 0: the effort's own
  bool no_starts = false;
  bool shipped_starts = false;
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

using Starts = std::vector<std::size_t>;

// Where the guided searches of each table begin.
std::vector<Starts> starts_of(const std::vector<Table>& tables, const Options& options) {
  std::vector<Starts> starts(tables.size());
  if (options.no_starts) return starts;
  for (const bool sums : {false, true}) {
    std::vector<const Table*> kin;
    std::vector<std::size_t> places;
    for (std::size_t t = 0; t < tables.size(); ++t) {
      if (tables[t].task.sums() != sums || tables[t].target.cuda()) continue;
      kin.push_back(&tables[t]);
      places.push_back(t);
    }
    const std::optional<Portfolio> portfolio =
        options.shipped_starts ? std::nullopt : std::optional<Portfolio>(kin);
    for (std::size_t k = 0; k < kin.size(); ++k) {
      const auto shipped = starting_points(kin[k]->task, kin[k]->target);
      const auto points = portfolio ? portfolio->choose(shipped.size(), k) : shipped;
      starts[places[k]] = starting_candidates(space_of(*kin[k]), points);
    }
  }
  return starts;
}

// What is known of a table before any of its candidates is timed.
struct Before {
  Starts starts;
  std::vector<double> prior;
};

// What was measured of `count` other tables of this kind, by chance, beside what was thought.
Transfer transfer_of(const std::vector<Table>& tables, std::size_t at, const Options& options,
                     const LeftOut& priors) {
  constexpr std::size_t kCandidates = 32;
  std::vector<std::size_t> others;
  for (std::size_t t = 0; t < tables.size(); ++t) {
    if (t != at && tables[t].task.sums() == tables[at].task.sums()) others.push_back(t);
  }
  std::mt19937_64 random(at + 1);
  const auto some = [&](std::vector<std::size_t> of, std::size_t count) {
    for (std::size_t i = of.size(); i > 1; --i) std::swap(of[i - 1], of[random() % i]);
    of.resize(std::min(of.size(), count));
    return of;
  };
  std::vector<TransferSample> samples;
  for (const std::size_t t : some(others, options.transfer)) {
    const std::vector<double> prior = priors.log_costs(tables[t]);
    std::vector<std::size_t> timed;
    for (std::size_t i = 0; i < tables[t].candidates.size(); ++i) {
      if (!tables[t].candidates[i].us.empty()) timed.push_back(i);
    }
    for (const std::size_t i : some(timed, kCandidates)) {
      const TableCandidate& c = tables[t].candidates[i];
      samples.push_back({t, parse_schedule(c.schedule, tables[t].target),
                         std::log(c.ratio()) - (prior.empty() ? 0 : prior[i])});
    }
  }
  return Transfer(samples);
}

ReplayResult run_effort(const Table& table, const Space& space, Effort effort, const Before& before,
                        std::uint64_t seed) {
  const auto strategy = effort_strategy(effort, space, before.starts, seed, before.prior);
  return replay(table, *strategy, search_options(effort), seed);
}

// Quick, with another number of candidates.
ReplayResult run_limited(const Table& table, const Space& space, std::size_t limit,
                         const Before& before, std::uint64_t seed) {
  const auto strategy = guided_strategy({.seed = seed,
                                         .starts = before.starts,
                                         .random = std::max<std::size_t>(1, limit / 8),
                                         .limit = limit,
                                         .prior = before.prior},
                                        coordinates(space));
  SearchOptions options = search_options(Effort::quick);
  options.final_rounds /= 2;
  return replay(table, *strategy, options, seed);
}

ReplayResult run_one(const std::string& name, const Table& table, const Space& space,
                     const Before& before, std::uint64_t seed, std::size_t limit) {
  if (name == "quick" && limit > 0) return run_limited(table, space, limit, before, seed);
  if (name != "random") {
    return run_effort(table, space, parse_effort(name), before, seed);
  }
  const ReplayResult quick = run_effort(table, space, Effort::quick, before, seed);
  const auto strategy = random_strategy(seed, quick.looked_at - 1);  // less the default
  return replay(table, *strategy, search_options(Effort::quick), seed);
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
  app.add_option("--strategy", options.strategies, "quick, thorough, exhaustive, random")
      ->delimiter(',');
  app.add_option("--seeds", options.seeds, "Searches of each table")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  auto* none = app.add_flag("--no-starts", options.no_starts, "No starting points");
  app.add_flag("--shipped-starts", options.shipped_starts,
               "The starting points that were chosen from all these tables")
      ->excludes(none);
  app.add_option("--prior", options.prior, "What learn/train.py --left-out wrote");
  app.add_option("--transfer", options.transfer, "Problems that were measured before");
  app.add_option("--limit", options.limit, "Candidates that quick looks at; 0: its own");
  app.add_flag("--against-best", options.against_best,
               "Regret against the table's lowest median, not the exhaustive search's winner");
  app.add_flag("--each", options.each, "A line for each table");
  CLI11_PARSE(app, argc, argv);
  const std::vector<Table> tables = read_current_tables(options.tables);
  if (tables.empty())
    fail_argument("no tables in {}; record some with bench_record", options.tables);
  std::vector<Outcome> outcomes(options.strategies.size());
  Outcome keeps_default;
  std::vector<double> all_taken(outcomes.size());  // measurements over all tables
  double all_exhaustive = 0;
  print_to(stdout, "{:44} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9}\n", "regret in %", "median",
           "p90", "worst", "<= 2 %", "measured", "share %", "seconds");
  const std::vector<Starts> starts = starts_of(tables, options);
  const LeftOut priors = options.prior.empty() ? LeftOut() : LeftOut(options.prior, options.tables);
  for (std::size_t t = 0; t < tables.size(); ++t) {
    const Table& table = tables[t];
    const Space space = space_of(table);
    const ReplayResult exhaustive = run_effort(table, space, Effort::exhaustive, {}, 1);
    const double of_exhaustive = double(exhaustive.measurements);
    Before before{.starts = starts[t], .prior = priors.log_costs(table)};
    if (options.transfer > 0) {
      const Transfer transfer = transfer_of(tables, t, options, priors);
      before.prior.resize(space.schedules.size());
      for (std::size_t i = 0; i < before.prior.size(); ++i) {
        before.prior[i] += transfer.correction(space.schedules[i]);
      }
    }
    const std::size_t against = options.against_best ? table.best() : exhaustive.winner;
    const std::string name = table_name(table.task, table.rows, table.inner);
    for (std::size_t k = 0; k < outcomes.size(); ++k) {
      Outcome outcome;
      for (std::uint64_t seed = 1; seed <= options.seeds; ++seed) {
        const ReplayResult result =
            run_one(options.strategies[k], table, space, before, seed, options.limit);
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
