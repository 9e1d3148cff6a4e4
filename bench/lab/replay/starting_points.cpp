// Which few schedules serve all recorded tables best, and how well as many would have served each
// table when they are chosen from the others: what cpu/backend.cpp holds.
//
//   build/bin/bench_starting_points [--tables FOLDER] [--count 8]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/lab/replay/portfolio.h"
#include "bench/lab/replay/replay.h"
#include "core/print.h"
#include "tuner/search/statistics.h"

namespace grkan {
namespace {

constexpr double kNear = 0.05;

void print_regrets(const std::string& name, const std::vector<double>& regrets) {
  const auto near =
      std::count_if(regrets.begin(), regrets.end(), [](double r) { return r <= kNear; });
  print_to(stdout,
           "  {}: within 5 % of the best for {} of {}; regret median {:.2f} %, 9 of 10 {:.2f} %, "
           "worst {:.2f} %\n",
           name, near, regrets.size(), 100 * median(regrets), 100 * quantile(regrets, 0.9),
           100 * quantile(regrets, 1));
}

void print_points(const std::string& name, const std::vector<const Table*>& tables,
                  std::size_t count) {
  if (tables.empty()) return;
  const Portfolio portfolio(tables);
  const std::vector<Schedule> points = portfolio.choose(count);
  print_to(stdout, "{}, {} tables:\n", name, tables.size());
  for (const Schedule& point : points) print_to(stdout, "  {}\n", to_string(point));
  std::vector<double> own;
  std::vector<double> others;
  for (std::size_t t = 0; t < tables.size(); ++t) {
    own.push_back(portfolio.regret(points, t));
    others.push_back(portfolio.regret(portfolio.choose(count, t), t));
  }
  print_regrets("these", own);
  print_regrets("chosen from the other tables", others);
}

int run(int argc, char** argv) {
  std::string folder = GRKAN_TABLES "/measured/zen4";
  std::size_t count = 8;
  CLI::App app("Schedules that serve many tables");
  app.add_option("--tables", folder, "Folder of tables")->capture_default_str();
  app.add_option("--count", count, "Schedules")->check(CLI::Range(1, 1000))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const std::vector<Table> tables = read_current_tables(folder);
  std::vector<const Table*> forward;
  std::vector<const Table*> backward;
  for (const Table& table : tables) {
    (table.task.sums() ? backward : forward).push_back(&table);
  }
  print_points("without sums", forward, count);
  print_points("with sums", backward, count);
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
