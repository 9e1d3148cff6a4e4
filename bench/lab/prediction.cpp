// Predictions from static counts beside those from executed ones: whether the cheap ones order
// candidates alike. KAT's layers, random candidates of each one's space. Nothing here is a time.
//
//   build/bin/bench_prediction [--gpu h200,a100-80,rtx4060ti] [--candidates 24] [--seed 1]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/lab/executed_call.h"
#include "bench/lab/replay/forecast.h"
#include "codegen/compiler.h"
#include "codegen/cuda/sass.h"
#include "core/error.h"
#include "cuda/cost_model.h"
#include "tuner/search/search.h"
#include "tuner/search/statistics.h"
#include "tuner/space.h"

namespace grkan {
namespace {

constexpr std::int64_t kRows = kKatRows;
constexpr std::array<std::int64_t, 5> kChannels = {192, 384, 768, 1536, 3072};
constexpr double kUnknown = std::numeric_limits<double>::infinity();

struct Options {
  std::vector<GpuModel> gpus;
  std::size_t candidates = 24;
  std::uint64_t seed = 1;
};

// One candidate, in seconds.
struct Predicted {
  std::string schedule;
  double executed = 0;  // ns, as is the next
  double from_code = kUnknown;
  double ptx_over_sass = 0;  // instructions issued: executed PTX over counted machine code
};

double issued(const std::vector<LaunchFacts>& launches) {
  double sum = 0;
  for (const LaunchFacts& facts : launches) sum += facts.instructions.issued();
  return sum;
}

// The default and random others of the space; without those that no multiprocessor holds.
std::vector<Predicted> predict_candidates(const Task& task, const GpuModel& gpu,
                                          const Options& options, std::mt19937_64& random) {
  const Target target = target_of(gpu);
  std::vector<Schedule> schedules =
      enumerate_space(task, target, Determinism::not_guaranteed, kRows).schedules;
  std::shuffle(schedules.begin() + 1, schedules.end(), random);
  schedules.resize(std::min(schedules.size(), options.candidates));
  std::vector<Predicted> all;
  for (const Schedule& schedule : schedules) {
    GpuCall call{.task = task, .schedule = CudaSchedule(schedule), .gpu = gpu, .rows = kRows};
    const Binary binary = compile_cuda(task, call.schedule, target);
    Predicted candidate{.schedule = to_string(schedule)};
    std::vector<LaunchFacts> executed;
    try {
      executed = execute(call, binary);
    } catch (const Error& error) {
      if (error.status() != Status::invalid_argument) throw;
      fmt::print(stderr, "left out: {}\n", error.what());
      continue;
    }
    candidate.executed = predict(executed, gpu).ns;
    try {
      const std::vector<LaunchFacts> code =
          static_facts(call, count_instructions(binary, call.schedule, kRows, call.inner,
                                                int(gpu.multiprocessors.value)));
      candidate.from_code = predict(code, gpu).ns;
      candidate.ptx_over_sass = issued(executed) / issued(code);
    } catch (const Error& error) {
      if (error.status() != Status::unsupported) throw;
      fmt::print(stderr, "no static counts: {}\n", error.what());
    }
    all.push_back(std::move(candidate));
  }
  return all;
}

// How well the order by static counts does beside executed ones.
Outcome agreement(const std::vector<Predicted>& candidates) {
  Forecast forecast;
  double best = kUnknown;
  for (const Predicted& p : candidates) best = std::min(best, p.executed);
  for (const Predicted& p : candidates) {
    forecast.seconds.push_back(p.from_code * 1e-9);
    forecast.regrets.push_back(p.executed / best - 1);
  }
  forecast.default_seconds = candidates.front().executed * 1e-9;
  return outcome_of(forecast);
}

void print_gpu(const GpuModel& gpu, const Options& options) {
  std::mt19937_64 random(options.seed);
  std::vector<double> correlations;
  std::vector<double> ratios;
  double worst_regret = 0;
  std::size_t held = 0;
  std::size_t equal = 0;
  std::size_t uncounted = 0;
  std::size_t candidates = 0;
  for (const Task& task : kat_tasks(kChannels)) {
    const std::vector<Predicted> all = predict_candidates(task, gpu, options, random);
    if (all.empty()) continue;
    const Outcome found = agreement(all);
    const bool holds_best = found.top_regret == 0;
    correlations.push_back(found.correlation);
    worst_regret = std::max(worst_regret, found.top_regret);
    held += holds_best ? 1 : 0;
    equal += found.top_regret <= SearchOptions{}.equal ? 1 : 0;
    candidates += all.size();
    for (const Predicted& p : all) {
      p.from_code == kUnknown ? void(++uncounted) : ratios.push_back(p.ptx_over_sass);
    }
    if (!holds_best) {
      fmt::print(stderr, "{}, {}: the best is not among the first {}, {:.2f} % behind\n", gpu.name,
                 to_string(task), Outcome::kTop, 100 * found.top_regret);
    }
  }
  fmt::print(
      "{:<10} {:>8} {:>10} {:>9} {:>7.3f} {:>7.3f} {:>6}/{:<3} {:>6} {:>8.2f} {:>6.2f} {:>5.2f}\n",
      gpu.name, correlations.size(), candidates, uncounted, median(correlations),
      *std::min_element(correlations.begin(), correlations.end()), held, correlations.size(), equal,
      100 * worst_regret, median(ratios), quantile(ratios, 0.9));
  std::fflush(stdout);
}

Options read(int argc, char** argv) {
  Options options;
  std::vector<std::string> gpus = {"h200", "a100-80", "rtx4060ti"};
  CLI::App app{"Predictions from static counts beside those from executed ones"};
  app.add_option("--gpu", gpus, "GPU models")->delimiter(',')->capture_default_str();
  app.add_option("--candidates", options.candidates, "Candidates of a problem")
      ->check(CLI::Range(2, 100000))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Which candidates")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  for (const std::string& gpu : gpus) options.gpus.push_back(gpu_model(gpu));
  return options;
}

int run(int argc, char** argv) {
  const Options options = read(argc, argv);
  fmt::print(
      "KAT's layers (192 to 3072 channels, f32 and bf16, forward and backward), {} rows, {} "
      "candidates each, seed {}.\n"
      "rank       Spearman's correlation of predictions from static and from executed counts, by "
      "problem\n"
      "top {}      problems where the first {} by static counts hold the best by executed ones; "
      "equal: or one as fast,\n"
      "           within the {:.1f} % that tuning calls equal; regret: else by how much, %\n"
      "ptx/sass   instructions issued, executed PTX over counted machine code: median, 9 of 10\n\n",
      kRows, options.candidates, options.seed, Outcome::kTop, Outcome::kTop,
      100 * SearchOptions{}.equal);
  fmt::print("{:<10} {:>8} {:>10} {:>9} {:>7} {:>7} {:>10} {:>6} {:>8} {:>12}\n", "gpu", "problems",
             "candidates", "uncounted", "rank", "least", "top 8", "equal", "regret", "ptx/sass");
  for (const GpuModel& gpu : options.gpus) print_gpu(gpu, options);
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
