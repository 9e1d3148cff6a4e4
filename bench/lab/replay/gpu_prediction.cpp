// The GPUs' cost model against times: for each table (table.h) that was measured on a GPU, the
// predictions of the same candidates from their facts (facts.h), and how well they do. Candidates
// that tuning would rule out by the compiler's figures are left out; those that the space of now
// has no more are not.
//
//   build/bin/bench_gpu_prediction [--measured FOLDER] [--facts FOLDER] [--from-code]
//                                  [--left-out FILE] [--candidates NAME]
//
// --left-out: with what trees that never saw a table say beside the model (learn/train.py
// --left-out), from code.
// --candidates: instead, the candidates of the tables whose names hold this text, by prediction.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/lab/replay/facts.h"
#include "bench/lab/replay/forecast.h"
#include "bench/lab/replay/left_out.h"
#include "bench/lab/replay/table.h"
#include "core/error.h"
#include "core/print.h"
#include "tuner/search/statistics.h"

namespace grkan {
namespace {

struct Options {
  std::string measured = GRKAN_TABLES "/measured/h200";
  std::string facts = GRKAN_TABLES "/facts/h200";
  bool from_code = false;
  std::string left_out;
  std::string candidates;
};

void print_candidates(const std::string& table, const Forecast& f,
                      const std::vector<std::string>& names) {
  print_to(stdout, "{}\n", table);
  for (const std::size_t i : order_of(f)) {
    print_to(stdout, "{:52} {:9.2f} us, measured {:9.2f} us, {:6.1f} % behind\n", names[i],
             f.seconds[i] * 1e6, f.default_seconds * 1e6 * (1 + f.regrets[i]) / (1 + f.regrets[0]),
             100 * f.regrets[i]);
  }
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("The GPUs' cost model against times measured on one");
  app.add_option("--measured", options.measured, "Folder of tables")->capture_default_str();
  app.add_option("--facts", options.facts, "Folder of facts of the same candidates")
      ->capture_default_str();
  app.add_flag("--from-code", options.from_code, "Counts of the code instead of executed ones");
  app.add_option("--left-out", options.left_out, "What learn/train.py --left-out wrote");
  app.add_option("--candidates", options.candidates, "Print the candidates of these tables");
  CLI11_PARSE(app, argc, argv);
  std::map<std::string, Table> predicted;
  for (const FactsTable& facts : read_all_facts(options.facts)) {
    predicted.emplace(
        table_name(facts.task, facts.rows, facts.inner),
        predicted_table(facts, options.from_code ? Counts::from_code : Counts::executed));
  }
  const LeftOut left_out =
      options.left_out.empty() ? LeftOut() : LeftOut(options.left_out, options.facts);
  std::vector<Outcome> outcomes;
  if (options.candidates.empty()) print_heading();
  for (const Table& table : read_tables(options.measured)) {
    const std::string name = table_name(table.task, table.rows, table.inner);
    const auto found = predicted.find(name);
    if (found == predicted.end() || name.find(options.candidates) == std::string::npos) continue;
    std::vector<std::string> names;
    const Forecast forecast = left_out.empty()
                                  ? forecast_of(table, found->second, names)
                                  : forecast_of(table, left_out.log_costs(table), names);
    if (!options.candidates.empty()) {
      print_candidates(name, forecast, names);
      continue;
    }
    outcomes.push_back(outcome_of(forecast));
    print_outcome(name, names.size(), outcomes.back());
  }
  if (!options.candidates.empty()) return 0;
  if (outcomes.empty()) {
    fail_argument("no table of {} is in {} too; record some with bench_record --device cuda:0",
                  options.facts, options.measured);
  }
  print_summary(outcomes);
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
