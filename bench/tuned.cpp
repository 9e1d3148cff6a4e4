// What tuning gains, and whether it finds the same again, timed on this machine's CPU.
//
//   build/bin/bench_tuned [--problems bench/problems.jsonl] [--effort quick] [--rounds 60]
//   build/bin/bench_tuned --repeat 10 [--problems LIST]
//
// Each task is tuned into a cache of its own, then the winner and the default are timed in turn in
// a run of their own. With --repeat, so many tasks of the list are tuned twice, with other seeds,
// and the two winners are timed in turn.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/temporary_folder.h"
#include "core/print.h"
#include "runtime/context.h"
#include "tuner/problem_list.h"
#include "tuner/search/statistics.h"
#include "tuner/tune.h"
#include "tuner/workbench.h"

namespace grkan {
namespace {

struct Options {
  std::string problems = "bench/problems.jsonl";
  std::string effort = "quick";
  int rounds = 60;
  int repeat = 0;  // 0: against the default
  int threads = 0;
};

Winner tuned(const Options& options, const ListedTask& job, std::uint64_t seed) {
  const TemporaryFolder folder;
  Context context({.cache_dir = folder.path(), .threads = options.threads});
  TuneOptions how;
  how.effort = parse_effort(options.effort);
  how.seed = seed;
  return tune(context.tune_site(context.device("cpu")), job.task, job.rows.high, job.inner, how)
      .winner;
}

// a's time over b's, in turn.
Comparison race(const Options& options, const ListedTask& job, const std::string& a,
                const std::string& b) {
  if (a == b) return {.ratio = 1, .low = 1, .high = 1, .rounds = 0};
  const TemporaryFolder folder;
  Context context({.cache_dir = folder.path(), .threads = options.threads});
  Device& cpu = context.device("cpu");
  const TuneSite site = context.tune_site(cpu);
  Workbench bench(site, job.task, job.rows.high, job.inner);
  const auto load = [&](const std::string& text) {
    return context.kernel(cpu, job.task, parse_schedule(text, cpu.target()));
  };
  const auto one = load(a);
  const auto other = load(b);
  std::vector<double> first;
  std::vector<double> second;
  for (int round = 0; round < options.rounds; ++round) {
    std::vector<double> x;
    std::vector<double> y;
    for (int turn = 0; turn < 8; ++turn) {
      x.push_back(bench.time(*one));
      y.push_back(bench.time(*other));
    }
    first.push_back(median(x));
    second.push_back(median(y));
  }
  return compare(first, second);
}

int against_default(const Options& options, const std::vector<ListedTask>& jobs) {
  double logarithms = 0;
  int slower = 0;
  for (const ListedTask& job : jobs) {
    const Winner w = tuned(options, job, 1);
    const Comparison c = race(options, job, w.schedule, w.default_schedule);
    logarithms += std::log(c.ratio);
    slower += c.low > 1 ? 1 : 0;
    print_to(stdout, "{:66} {:6.3f} [{:.3f}, {:.3f}]{} {}\n", to_string(job), c.ratio, c.low,
             c.high, w.disturbed ? " disturbed" : "", w.schedule);
    std::fflush(stdout);
  }
  print_to(
      stdout,
      "{} tasks: the winner takes {:.3f} of the default's time (geometric mean); slower beyond "
      "the noise: {}\n",
      jobs.size(), std::exp(logarithms / double(jobs.size())), slower);
  return 0;
}

int against_itself(const Options& options, const std::vector<ListedTask>& jobs) {
  int near = 0;
  for (int k = 0; k < options.repeat; ++k) {
    const ListedTask& job = jobs[std::size_t(k) % jobs.size()];
    const std::uint64_t seed = 2 * std::uint64_t(k) + 1;
    const Winner one = tuned(options, job, seed);
    const Winner other = tuned(options, job, seed + 1);
    const Comparison c = race(options, job, one.schedule, other.schedule);
    near += std::abs(c.ratio - 1) <= 0.02 ? 1 : 0;
    print_to(stdout, "{:66} {:6.3f} [{:.3f}, {:.3f}] {} {}\n", to_string(job), c.ratio, c.low,
             c.high, one.schedule, other.schedule);
    std::fflush(stdout);
  }
  print_to(stdout, "within 2 % of each other: {} of {}\n", near, options.repeat);
  return 0;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("What tuning gains on this machine's CPU");
  app.add_option("--problems", options.problems, "A list, as `grkan tune` takes it")
      ->capture_default_str();
  app.add_option("--effort", options.effort, "quick, thorough or exhaustive")
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "Rounds of a comparison")
      ->check(CLI::Range(9, 10000))
      ->capture_default_str();
  app.add_option("--repeat", options.repeat, "Tune so many entries twice and compare")
      ->check(CLI::Range(1, 10000));
  app.add_option("--threads", options.threads, "Threads; 0: all")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const std::vector<ListedTask> jobs = read_problem_list(options.problems, {1, 1}, 1);
  return options.repeat > 0 ? against_itself(options, jobs) : against_default(options, jobs);
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
