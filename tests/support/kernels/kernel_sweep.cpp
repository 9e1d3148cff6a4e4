#include "tests/support/kernels/kernel_sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "core/device_info.h"
#include "core/random_task.h"
#include "tests/support/kernels/covering.h"
#include "tuner/parallel.h"

namespace grkan {
namespace {

struct SweepProblem {
  Task task;
  SampleOptions sample;
};

constexpr std::int64_t kMostElements = 60'000;

std::size_t below(RandomGenerator& generator, std::size_t count) { return generator() % count; }

std::vector<Task> kat_tasks() {
  std::vector<Task> tasks;
  for (const std::int64_t channels : {192, 768, 3072}) {
    for (const std::int64_t numerators : {1, 8}) {
      for (const auto& [x_type, y_type] :
           {std::pair(Type::f32, Type::f32), {Type::bf16, Type::bf16}, {Type::f32, Type::bf16}}) {
        Problem p;
        p.channels = channels;
        p.numerator_groups = numerators;
        p.denominator_groups = 8;
        p.x_type = x_type;
        p.y_type = y_type;
        tasks.push_back(forward_task(p));
        tasks.push_back(backward_task(p));
      }
    }
  }
  return tasks;
}

// Aligned, so that vectors are used; rows as many as tell: threads with none, one and several
// groups of rows.
SweepProblem kat_problem(RandomGenerator& generator, const Task& task) {
  constexpr std::array<std::int64_t, 4> kRows = {17, 40, 71, 131};
  SampleOptions options = random_sample_options(generator, task);
  options.rows =
      std::min(kRows.at(below(generator, kRows.size())), 3 * kMostElements / task.problem.channels);
  options.padding = options.padding / 8 * 8;
  options.misaligned = false;
  return {task, options};
}

SweepProblem random_problem(RandomGenerator& generator) {
  const Task task = random_task(generator);
  SampleOptions options = random_sample_options(generator, task);
  const std::int64_t most =
      std::max<std::int64_t>(1, kMostElements / (task.problem.channels * options.inner));
  // Half of the calls have enough rows for many runs of a thread.
  if (below(generator, 2) == 0) options.rows = std::min<std::int64_t>(most, 4001);
  options.rows = std::clamp<std::int64_t>(options.rows, 1, most);
  options.specials = below(generator, 5) == 0;
  return {task, options};
}

std::vector<SweepProblem> sweep_problems(RandomGenerator& generator, int count) {
  std::vector<Task> kat = kat_tasks();
  std::vector<SweepProblem> problems;
  while (int(problems.size()) < count) {
    if (problems.size() % 2 == 0 && !kat.empty()) {
      const auto at = kat.begin() + std::ptrdiff_t(below(generator, kat.size()));
      problems.push_back(kat_problem(generator, *at));
      kat.erase(at);
    } else {
      problems.push_back(random_problem(generator));
    }
  }
  return problems;
}

// The schedules of a covering set as they serve the problem's call, none twice.
std::vector<CudaSchedule> schedules_of(const SweepProblem& problem, const Target& target,
                                       std::uint64_t seed) {
  const Sample sample(problem.task, problem.sample);
  std::vector<CudaSchedule> schedules;
  for (const Schedule& schedule :
       covering_schedules(problem.task, target, Determinism::not_guaranteed, problem.sample.rows,
                          problem.sample.inner, seed)) {
    const CudaSchedule serving =
        serving_schedule(problem.task, CudaSchedule(schedule), sample.call());
    if (std::find(schedules.begin(), schedules.end(), serving) == schedules.end()) {
      schedules.push_back(serving);
    }
  }
  return schedules;
}

using Pairs = std::set<ValuePair>;

std::size_t new_pairs(const Schedule& schedule, const Pairs& covered) {
  const std::vector<ValuePair> pairs = value_pairs(schedule);
  return std::size_t(std::count_if(pairs.begin(), pairs.end(),
                                   [&](const ValuePair& pair) { return !covered.contains(pair); }));
}

void cover(const Schedule& schedule, Pairs& covered) {
  for (const ValuePair& pair : value_pairs(schedule)) covered.insert(pair);
}

// Up to `limit` of the schedules: in each step one that adds most pairs, the first of such.
std::vector<CudaSchedule> choose(std::vector<CudaSchedule> schedules, std::size_t limit,
                                 Pairs& covered) {
  std::vector<CudaSchedule> chosen;
  while (!schedules.empty() && chosen.size() < limit) {
    std::size_t best = 0;
    std::size_t most = 0;
    for (std::size_t i = 0; i < schedules.size(); ++i) {
      const std::size_t adds = new_pairs(Schedule(schedules[i]), covered);
      if (adds <= most) continue;
      best = i;
      most = adds;
    }
    chosen.push_back(schedules[best]);
    cover(Schedule(chosen.back()), covered);
    schedules.erase(schedules.begin() + std::ptrdiff_t(best));
  }
  return chosen;
}

}  // namespace

SweepPlan plan_sweep(const SweepOptions& options) {
  RandomGenerator generator(options.seed);
  struct Coverage {
    Pairs covered, possible;
  };
  std::map<std::string, Coverage> coverage;  // of each architecture
  SweepPlan plan;
  for (const SweepProblem& problem : sweep_problems(generator, options.problems)) {
    for (const Target& target : options.targets) {
      Coverage& here = coverage[target.name];
      const std::vector<CudaSchedule> all = schedules_of(problem, target, generator());
      for (const CudaSchedule& schedule : all) cover(Schedule(schedule), here.possible);
      for (const CudaSchedule& schedule : choose(all, std::size_t(options.limit), here.covered)) {
        // Odd and even ones take turns.
        const std::uint64_t seed = options.seed * 1'000'000 + plan.cases.size();
        plan.cases.push_back({problem.task, problem.sample, target, schedule, seed});
      }
    }
  }
  for (const auto& [name, here] : coverage) {
    plan.pairs_covered += here.covered.size();
    plan.pairs_possible += here.possible.size();
  }
  return plan;
}

SweepOutcome run_sweep(const std::vector<KernelCase>& cases,
                       const std::function<void(const KernelCase&, const CaseResult&)>& failed) {
  // A thread takes a problem's cases together: they share its reference.
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    if (i == 0 || cases[i].task != cases[i - 1].task || cases[i].sample != cases[i - 1].sample) {
      starts.push_back(i);
    }
  }
  starts.push_back(cases.size());
  SweepOutcome outcome;
  std::mutex mutex;
  const auto run_problem = [&](std::size_t problem) {
    CaseRunner runner(cases[starts[problem]].task, cases[starts[problem]].sample);
    for (std::size_t i = starts[problem]; i < starts[problem + 1]; ++i) {
      const KernelCase& one = cases[i];
      const CaseResult result = runner.run(one.target, one.schedule, one.seed);
      const std::lock_guard lock(mutex);
      keep_worst(outcome.worst, result.error);
      if (result.failure.empty()) continue;
      ++outcome.failed;
      failed(one, result);
    }
  };
  for_each_in_threads(starts.size() - 1, std::size_t(available_processors()), run_problem);
  return outcome;
}

std::string command_line(const KernelCase& one) {
  const SampleOptions& sample = one.sample;
  std::string text = fmt::format(
      "build/bin/bench_sweep --task {} --schedule {} --arch {} --seed {} --rows {} --data-seed {}",
      to_string(one.task), to_string(Schedule(one.schedule)), one.target.name, one.seed,
      sample.rows, sample.seed);
  if (sample.inner != 1) text += fmt::format(" --inner {}", sample.inner);
  if (sample.padding != 0) text += fmt::format(" --padding {}", sample.padding);
  if (sample.misaligned) text += " --misaligned";
  if (sample.in_place) text += " --in-place";
  if (sample.accumulate) text += " --accumulate";
  if (sample.specials) text += " --specials";
  return text;
}

std::string failure_text(const KernelCase& one, const CaseResult& result) {
  return fmt::format("FAILED {} {} {} seed {}\n{}\nagain: {}\n", to_string(one.task),
                     to_string(Schedule(one.schedule)), one.target.name, one.seed, result.failure,
                     command_line(one));
}

std::string worst_text(const TensorErrors& worst) {
  const auto text = [](const std::optional<TensorError>& error) {
    return error ? fmt::format("{:.3g}", error->scaled) : "-";
  };
  return fmt::format("y {}, dx {}, da {}, db {}", text(worst.y), text(worst.dx), text(worst.da),
                     text(worst.db));
}

}  // namespace grkan
