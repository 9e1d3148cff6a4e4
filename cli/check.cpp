// grkan check: runs kernels on a device and holds their answers against the reference.

#include <fmt/format.h>

#include <memory>

#include "cli/check_kernel.h"
#include "cli/options.h"
#include "cli/schedules.h"
#include "cli/verb.h"
#include "core/bounds.h"
#include "core/random_task.h"

namespace grkan::cli {
namespace {

constexpr std::int64_t kMostRandom = 10'000'000;

struct CheckOptions {
  TaskOptions task;
  DeviceOptions device;
  std::string schedule;
  std::int64_t random = 0;
  std::uint64_t seed = 1;
};

std::string circumstances(const SampleOptions& sample) {
  std::string text = fmt::format("rows {}", sample.rows);
  if (sample.inner != 1) text += fmt::format(", inner {}", sample.inner);
  if (sample.padding != 0) text += fmt::format(", row padding {}", sample.padding);
  if (sample.misaligned) text += ", misaligned";
  if (sample.in_place) text += ", in place";
  if (sample.accumulate) text += ", accumulating";
  if (sample.specials) text += ", with NaN and infinities";
  return text;
}

Json outcome_json(const Outcome& outcome, const std::string& device) {
  const Problem& problem = outcome.task.problem;
  Json json = {{"task", to_string(outcome.task)},
               {"problem", to_string(problem)},
               {"variant", to_string(problem.variant)},
               {"device", device},
               {"direction", to_string(outcome.task.direction)},
               {"rows", outcome.sample.rows},
               {"inner", outcome.sample.inner},
               {"seed", outcome.sample.seed},
               {"circumstances", circumstances(outcome.sample)},
               {"schedule", to_string(outcome.schedule)},
               {"passed", outcome.failure.empty()},
               {"error", error_json(outcome.error)}};
  const auto finite = finite_below(outcome.task, outcome.schedule);
  if (finite) {
    json["finite_below"] = *finite;
  } else {
    set_null(json, "finite_below", fmt::format("variant {} has poles", to_string(problem.variant)));
  }
  if (!outcome.failure.empty()) json["failed"] = outcome.failure;
  if (!outcome.findings.empty()) json["findings"] = outcome.findings;
  return json;
}

// The sizes and pointers that a problem meets in use: none, one, odd, unaligned, in place, special
// values; and the rows asked for.
std::vector<SampleOptions> edge_cases(const Task& task, std::int64_t rows, std::int64_t inner) {
  std::vector<SampleOptions> cases = {{.rows = rows, .inner = inner}};
  for (const std::int64_t few : {0, 1, 2, 3, 31, 33})
    cases.push_back({.rows = few, .inner = inner});
  cases.push_back({.rows = 33, .inner = inner, .padding = 3});
  cases.push_back({.rows = 33, .inner = inner, .misaligned = true});
  cases.push_back({.rows = 33, .inner = inner, .specials = true});
  if (task.problem.x_type == task.problem.y_type && (!task.backward() || task.gradients.dx)) {
    cases.push_back({.rows = 33, .inner = inner, .in_place = true});
  }
  if (task.sums()) cases.push_back({.rows = 33, .inner = inner, .accumulate = true});
  return cases;
}

// Runs all cases of the tasks named.
std::vector<Outcome> check_named(Context& context, Device& device, const CheckOptions& options) {
  std::vector<Outcome> outcomes;
  for (const Task& task : options.task.tasks()) {
    const std::int64_t rows = options.task.row_count();
    const std::int64_t inner = options.task.inner_of(task.problem);
    const ScheduleOptions named{.schedule = options.schedule, .targets = {}, .device = {}};
    const Schedule schedule =
        named.schedule_for(task, device.target(), rows, inner, options.task.determinism_class());
    std::uint64_t seed = options.seed;
    for (SampleOptions sample : edge_cases(task, rows, inner)) {
      sample.seed = seed++;
      outcomes.push_back(check_kernel(context, device, task, sample, schedule));
    }
  }
  return outcomes;
}

std::vector<Outcome> check_random(Context& context, Device& device, const CheckOptions& options) {
  std::vector<Outcome> outcomes;
  RandomGenerator generator(options.seed);
  for (std::int64_t i = 0; i < options.random; ++i) {
    const Task task = random_task(generator);
    SampleOptions sample = random_sample_options(generator, task);
    const Schedule schedule =
        random_schedule(generator, task, device.target(), options.task.determinism_class());
    outcomes.push_back(check_kernel(context, device, task, sample, schedule));
  }
  return outcomes;
}

// The largest scaled error of a tensor over all outcomes, as a cell of the table.
std::string worst_text(const std::vector<Outcome>& outcomes,
                       std::optional<TensorError> TensorErrors::* tensor, Direction direction) {
  const TensorError* worst = nullptr;
  for (const Outcome& outcome : outcomes) {
    const auto& error = outcome.error.*tensor;
    if (outcome.task.direction != direction || !error) continue;
    if (worst == nullptr || error->scaled > worst->scaled) worst = &*error;
  }
  return worst == nullptr ? "-" : fmt::format("{:.3g}", worst->scaled);
}

VerbResult check(const CheckOptions& options) {
  if (options.random < 0) fail_argument("random {} is negative; use 0 or more", options.random);
  if (options.random > kMostRandom) {
    fail_argument("random {} would never end; use at most {}", options.random, kMostRandom);
  }
  if (options.random > 0 && (options.task.named() || !options.schedule.empty())) {
    fail_argument("--random draws tasks and schedules of its own; leave the named ones out");
  }
  Context context({.cache_dir = options.device.cache,
                   .determinism = options.task.determinism_class(),
                   .threads = options.device.threads});
  Device& device = context.device(options.device.device);
  const std::vector<Outcome> outcomes = options.random > 0 ? check_random(context, device, options)
                                                           : check_named(context, device, options);
  VerbResult result;
  result.document["device"] = device.info().name;
  result.document["seed"] = options.seed;
  std::int64_t failed = 0;
  for (const Outcome& outcome : outcomes) {
    result.document["results"].push_back(outcome_json(outcome, device.info().name));
    if (outcome.failure.empty()) continue;
    ++failed;
    result.text += fmt::format("FAILED {} {} ({}, seed {}): {}\n", to_string(outcome.task),
                               to_string(outcome.schedule), circumstances(outcome.sample),
                               outcome.sample.seed, outcome.failure);
  }
  result.failed = failed > 0;
  if (result.failed) {
    result.document["failure"] =
        failure_json(status_name(Status::wrong_answer),
                     fmt::format("{} of {} checks failed", failed, outcomes.size()));
  }
  result.document["passed"] = outcomes.size() - std::size_t(failed);
  result.document["failed"] = failed;
  std::vector<std::vector<std::string>> rows = {
      {"largest error / its bound", "y", "dx", "da", "db"}};
  for (const Direction direction : {Direction::forward, Direction::backward}) {
    rows.push_back({std::string(to_string(direction)),
                    worst_text(outcomes, &TensorErrors::y, direction),
                    worst_text(outcomes, &TensorErrors::dx, direction),
                    worst_text(outcomes, &TensorErrors::da, direction),
                    worst_text(outcomes, &TensorErrors::db, direction)});
  }
  result.text += table(rows);
  result.text +=
      fmt::format("{} checks on {} (seed {}): {} passed, {} failed\n", outcomes.size(),
                  device.info().name, options.seed, outcomes.size() - std::size_t(failed), failed);
  return result;
}

}  // namespace

Verb add_check(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "check", "Run kernels against the reference in double; exit 1 past an error bound");
  auto options = std::make_shared<CheckOptions>();
  options->task.declare(*command);
  options->device.declare(*command);
  command->add_option("--schedule", options->schedule, "A printed schedule; else the default one");
  command->add_option("--random", options->random, "Check so many random tasks instead")
      ->check(whole_number());
  command->add_option("--seed", options->seed, "Seed of the data and the random tasks")
      ->check(whole_number(0, INT64_MAX))
      ->capture_default_str();
  return {command, [options] { return check(*options); }};
}

}  // namespace grkan::cli
