// Runs the family of CUDA kernels on the virtual GPU: problems x architectures x covering schedules
// (tests/support/kernels/kernel_sweep.h). A failure prints the command that runs it alone. Exit 1
// where one failed.
//
//   build/bin/bench_sweep [--problems 60] [--limit 18] [--seed 1] [--arch sm_80,sm_90,sm_100]
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <chrono>
#include <cstdio>
#include <exception>

#include "core/print.h"
#include "tests/support/kernels/kernel_sweep.h"

namespace grkan {
namespace {

struct Arguments {
  SweepOptions sweep;
  std::vector<std::string> architectures;
  // A single case.
  std::string task;
  std::string schedule;
  SampleOptions sample;
};

void declare(CLI::App& app, Arguments& arguments) {
  app.add_option("--problems", arguments.sweep.problems, "Problems")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--limit", arguments.sweep.limit,
                 "Schedules of a problem on an architecture, at most")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--seed", arguments.sweep.seed, "Seed of the sweep, or of the case")
      ->capture_default_str();
  app.add_option("--arch", arguments.architectures, "Architectures")
      ->delimiter(',')
      ->default_str("sm_80,sm_90,sm_100");
  CLI::Option* task = app.add_option("--task", arguments.task, "Run this task only");
  CLI::Option* schedule =
      app.add_option("--schedule", arguments.schedule, "Its schedule")->needs(task);
  SampleOptions& sample = arguments.sample;
  CLI::Option* rows =
      app.add_option("--rows", sample.rows, "Its rows")->needs(task)->check(CLI::PositiveNumber);
  task->needs(schedule)->needs(rows);
  app.add_option("--inner", sample.inner, "Elements of a channel")
      ->needs(task)
      ->check(CLI::PositiveNumber);
  app.add_option("--data-seed", sample.seed, "Seed of its data")->needs(task);
  app.add_option("--padding", sample.padding, "Elements between rows")->needs(task);
  app.add_flag("--misaligned", sample.misaligned, "Pointers off by an element")->needs(task);
  app.add_flag("--in-place", sample.in_place, "y in x's place, dx in dy's")->needs(task);
  app.add_flag("--accumulate", sample.accumulate, "Add to da and db")->needs(task);
  app.add_flag("--specials", sample.specials, "Some x are NaN, infinite, subnormal")->needs(task);
}

int run_single(const Arguments& arguments) {
  bool passed = true;
  for (const Target& target : arguments.sweep.targets) {
    const KernelCase one{parse_task(arguments.task), arguments.sample, target,
                         CudaSchedule(parse_schedule(arguments.schedule, target)),
                         arguments.sweep.seed};
    const CaseResult result = run_case(one);
    if (!result.failure.empty()) print_to(stdout, "{}", failure_text(one, result));
    print_to(stdout, "largest error over its bound: {}\n", worst_text(result.error));
    passed = passed && result.failure.empty();
  }
  return passed ? 0 : 1;
}

int run_whole(const Arguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  const SweepPlan plan = plan_sweep(arguments.sweep);
  const SweepOutcome outcome =
      run_sweep(plan.cases, [](const KernelCase& one, const CaseResult& result) {
        print_to(stdout, "{}", failure_text(one, result));
        std::fflush(stdout);  // seen at once, also in a file
      });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  print_to(stdout,
           "{} cases (seed {}): {} failed\n"
           "pairs of parameter values covered: {} of {}\n"
           "largest error over its bound: {}\n"
           "{:.0f} s\n",
           plan.cases.size(), arguments.sweep.seed, outcome.failed, plan.pairs_covered,
           plan.pairs_possible, worst_text(outcome.worst), seconds.count());
  return outcome.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) {
  grkan::Arguments arguments;
  CLI::App app("Every kind of CUDA kernel on the virtual GPU, held against the reference");
  grkan::declare(app, arguments);
  try {
    app.parse(argc, argv);
    if (!arguments.architectures.empty()) arguments.sweep.targets.clear();
    for (const std::string& name : arguments.architectures) {
      arguments.sweep.targets.push_back(grkan::parse_target(name));
    }
    return arguments.task.empty() ? run_whole(arguments) : run_single(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;  // help is not an error
  } catch (const std::exception& error) {
    grkan::print_to(stderr, "bench_sweep: {}\n", error.what());
    return 2;
  }
}
