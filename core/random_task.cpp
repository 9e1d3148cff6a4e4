#include "core/random_task.h"

#include <array>
#include <span>
#include <vector>

#include "core/backend.h"

namespace grkan {
namespace {

// std::uniform_int_distribution differs between libraries; the bias of a remainder does not matter.
std::int64_t below(RandomGenerator& generator, std::int64_t count) {
  return std::int64_t(generator() % std::uint64_t(count));
}
bool one_in(RandomGenerator& generator, std::int64_t count) { return below(generator, count) == 0; }

template <class Values>
auto pick(RandomGenerator& generator, const Values& values) {
  return values[std::size_t(below(generator, std::int64_t(values.size())))];
}

std::int64_t random_groups(RandomGenerator& generator, std::int64_t channels) {
  std::vector<std::int64_t> divisors;
  for (std::int64_t d = 1; d <= channels; ++d) {
    if (channels % d == 0) divisors.push_back(d);
  }
  return pick(generator, divisors);
}

Schedule random_values(RandomGenerator& generator, Schedule schedule) {
  const std::span<const Parameter> parameters = schedule.backend->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    // What the default has at 0 does not apply to the task.
    if (schedule.values[i] != 0) schedule.values[i] = pick(generator, parameters[i].values);
  }
  return schedule;
}

}  // namespace

Task random_task(RandomGenerator& generator) {
  Problem p;
  // Half of the problems have KAT's degrees, which users have most.
  if (!one_in(generator, 2)) {
    p.numerator_degree = int(below(generator, kMaxDegree + 1));
    p.denominator_degree = int(below(generator, kMaxDegree + 1));
  }
  p.variant = pick(generator, denominators()).variant;
  constexpr std::array<std::int64_t, 10> kChannels = {1, 7, 8, 24, 32, 60, 96, 192, 255, 768};
  p.channels = pick(generator, kChannels);
  p.numerator_groups = random_groups(generator, p.channels);
  p.denominator_groups =
      one_in(generator, 3) ? random_groups(generator, p.channels) : p.numerator_groups;
  p.x_type = Type(below(generator, 4));
  p.y_type = p.x_type;
  if (p.x_type != Type::f64 && one_in(generator, 3)) {
    const Type half = one_in(generator, 2) ? Type::f16 : Type::bf16;
    if (p.x_type == Type::f32) {
      p.y_type = half;
    } else {
      p.y_type = Type::f32;
    }
  }
  p.half_coefficients = (is_half(p.x_type) || is_half(p.y_type)) && one_in(generator, 3);
  p.layout = one_in(generator, 3) ? Layout::channels_first : Layout::channels_last;
  if (one_in(generator, 3)) return forward_task(p);
  const std::int64_t subset = 1 + below(generator, 7);
  return backward_task(p, {(subset & 1) != 0, (subset & 2) != 0, (subset & 4) != 0});
}

SampleOptions random_sample_options(RandomGenerator& generator, const Task& task) {
  constexpr std::array<std::int64_t, 10> kRows = {0, 1, 2, 3, 31, 33, 64, 100, 257, 600};
  constexpr std::array<std::int64_t, 6> kInner = {1, 2, 7, 16, 49, 100};
  SampleOptions options;
  options.rows = pick(generator, kRows);
  if (task.problem.layout == Layout::channels_first) {
    options.inner = pick(generator, kInner);
    options.rows = options.rows > 64 ? 3 : options.rows;
  }
  options.seed = generator();
  options.padding = one_in(generator, 3) ? 1 + below(generator, 20) : 0;
  options.misaligned = one_in(generator, 3);
  const bool writes = !task.backward() || task.gradients.dx;
  options.in_place = writes && task.problem.x_type == task.problem.y_type && one_in(generator, 4);
  options.accumulate = task.sums() && one_in(generator, 3);
  return options;
}

Schedule random_schedule(RandomGenerator& generator, const Task& task, const Target& target,
                         Determinism determinism) {
  const Schedule fallback = default_schedule(task, target, 1000, 1, determinism);
  for (int draw = 0; draw < 300; ++draw) {
    const Schedule schedule = random_values(generator, fallback);
    if (why_illegal(task, schedule, target, determinism).empty()) return schedule;
  }
  return fallback;
}

}  // namespace grkan
