// Winners of a GPU's recorded tables (table.h), as a tuning there would have stored them: what an
// exhaustive search finds in each among the candidates that are still in the space and launch as
// they did then (facts.h). Only where the default of now is one of them: what was best beside an
// older one may be slower than it. scripts/winners puts them into the product.
//
//   build/bin/bench_table_winners --cache FOLDER
#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/lab/replay/facts.h"
#include "bench/lab/replay/replay.h"
#include "cache/cache.h"
#include "core/error.h"
#include "core/print.h"
#include "cuda/features.h"
#include "tuner/search/statistics.h"

namespace grkan {
namespace {

struct Options {
  std::string tables = GRKAN_TABLES "/measured/h200";
  std::string facts = GRKAN_TABLES "/facts/h200";
  std::string cache;
};

TimeNs time_of(const TableCandidate& c) {
  const Summary us = summarize(c.us);
  return {.median = us.median * 1e3,
          .p10 = us.p10 * 1e3,
          .p90 = us.p90 * 1e3,
          .samples = std::int64_t(us.samples)};
}

// The blocks of each candidate's main kernel when it was timed.
using Blocks = std::map<std::string, double>;
Blocks blocks_of(const FactsTable& facts) {
  Blocks blocks;
  for (const CandidateFacts& c : facts.candidates) {
    if (!c.from_code.empty()) blocks[c.schedule] = main_launch(c.from_code).blocks;
  }
  return blocks;
}

bool launches_as_then(const Table& table, const std::string& schedule, const GpuModel& gpu,
                      const Blocks& then) {
  const auto known = then.find(schedule);
  if (known == then.end()) return false;
  const CudaLaunch now =
      cuda_launch(table.task, CudaSchedule(parse_schedule(schedule, table.target)), table.rows,
                  table.inner, int(gpu.multiprocessors.value));
  return known->second == double(now.grid_x) * now.grid_y;
}

// Half to twice the size, as a tuning at it says.
Winner winner_of(const Table& table, const GpuModel& gpu, const TableCandidate& best,
                 const TableCandidate& standard) {
  Winner w;
  w.task = table.task;
  w.device = describe(describe_gpu(gpu));
  w.rows = {table.rows / 2, 2 * table.rows};
  w.inner = {table.inner, table.inner};
  w.tuned_rows = table.rows;
  w.tuned_inner = table.inner;
  w.schedule = best.schedule;
  w.time = time_of(best);
  w.default_schedule = standard.schedule;
  w.default_time = time_of(standard);
  w.compiler = table.compiler;
  w.date = table.date;
  return w;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Stores the winners of recorded tables in a cache");
  app.add_option("--tables", options.tables, "Measured tables")->capture_default_str();
  app.add_option("--facts", options.facts, "Facts of the same candidates")->capture_default_str();
  app.add_option("--cache", options.cache, "Cache folder to store them in")->required();
  CLI11_PARSE(app, argc, argv);
  Cache cache({.folder = options.cache, .prebuilt = {}, .warn = [](const std::string& why) {
                 fail(Status::io_error, "{}", why);
               }});
  std::map<std::string, FactsTable> facts;
  for (FactsTable& table : read_all_facts(options.facts)) {
    std::string name = table_name(table.task, table.rows, table.inner);
    facts.emplace(std::move(name), std::move(table));
  }
  for (Table& table : read_current_tables(options.tables)) {
    const std::string name = table_name(table.task, table.rows, table.inner);
    const auto known = facts.find(name);
    if (known == facts.end()) continue;
    const GpuModel& gpu = gpu_model(known->second.gpu);
    const Blocks then = blocks_of(known->second);
    const std::string then_default = table.candidates.front().schedule;
    // The one that all were timed beside stays; it may not win where it launches otherwise now.
    std::erase_if(table.candidates, [&](const TableCandidate& c) {
      return c.schedule != then_default && !launches_as_then(table, c.schedule, gpu, then);
    });
    const std::string now_default =
        to_string(default_schedule(table.task, table.target, table.rows, table.inner));
    const auto standard =
        std::ranges::find(table.candidates, now_default, &TableCandidate::schedule);
    if (standard == table.candidates.end() || standard->us.empty() ||
        !launches_as_then(table, now_default, gpu, then)) {
      print_to(stdout, "{}: left out, the default of now was not timed\n", name);
      continue;
    }
    const auto strategy = exhaustive_strategy();
    const TableCandidate& best =
        table.candidates[replay(table, *strategy, SearchOptions{}, 1).winner];
    const double ratio = best.ratio() / standard->ratio();
    if (ratio > 1 - SearchOptions{}.hysteresis ||
        !launches_as_then(table, best.schedule, gpu, then)) {
      print_to(stdout, "{}: left out, nothing is faster than the default\n", name);
      continue;
    }
    cache.store_winner(winner_of(table, gpu, best, *standard));
    print_to(stdout, "{}: {}, {:.3f} of the default's time\n", name, best.schedule, ratio);
  }
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
