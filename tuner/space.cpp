#include "tuner/space.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "core/backend.h"

namespace grkan {
namespace {

// The values to try: 0 in the default, and no value of the table, means that it doesn't apply.
std::vector<int> values_of(const Parameter& parameter, int standard) {
  const bool has_zero =
      std::find(parameter.values.begin(), parameter.values.end(), 0) != parameter.values.end();
  if (standard == 0 && !has_zero) return {0};
  std::vector<int> values(parameter.values.begin(), parameter.values.end());
  if (std::find(values.begin(), values.end(), standard) == values.end()) values.push_back(standard);
  return values;
}

// Every combination of the values of the parameters that `chosen` picks, the rest as in `base`.
template <class Choose>
std::vector<Schedule> combinations(const Schedule& base, const Schedule& standard,
                                   const Choose& chosen) {
  const std::span<const Parameter> parameters = base.backend->parameters();
  std::vector<Schedule> all = {base};
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    if (!chosen(p)) continue;
    const std::vector<int> values = values_of(parameters[p], standard.values[p]);
    std::vector<Schedule> next;
    next.reserve(all.size() * values.size());
    for (const Schedule& s : all) {
      for (const int value : values) {
        next.push_back(s);
        next.back().values[p] = value;
      }
    }
    all = std::move(next);
  }
  return all;
}

}  // namespace

std::string without_numbers(std::string_view reason) {
  std::string text;
  bool in_word = false;
  for (const char c : reason) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit || in_word) {
      text += c;
    } else if (!text.ends_with('N')) {
      text += 'N';
    }
    // Digits within a word ("f32") stay.
    in_word = (in_word && digit) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  }
  return text;
}

Space enumerate_space(const Task& task, const Target& target, Determinism determinism,
                      std::int64_t rows, std::int64_t inner) {
  const Schedule standard = default_schedule(task, target, rows, inner, determinism);
  const Backend& backend = *standard.backend;
  const std::span<const Parameter> parameters = backend.parameters();
  Space space;
  std::vector<Schedule> found = {standard};
  const auto keep = [&](const Schedule& s) {
    ++space.tried;
    std::string why = backend.why_pointless(task, s, standard, target, rows, inner);
    if (why.empty()) why = backend.why_illegal(task, s, target, determinism);
    if (!why.empty()) ++space.left_out[without_numbers(why)];
    return why.empty();
  };
  const auto of_shape = [&](std::size_t p) { return parameters[p].shape; };
  for (const Schedule& s : combinations(standard, standard, of_shape)) {
    if (s != standard && keep(s)) found.push_back(s);
  }
  // Each shape with one other parameter changed; the default's with all combinations of them.
  const std::size_t shapes = found.size();
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    if (parameters[p].shape) continue;
    for (std::size_t i = 1; i < shapes; ++i) {
      const auto this_one = [&](std::size_t other) { return other == p; };
      for (const Schedule& s : combinations(found[i], standard, this_one)) {
        if (s != found[i] && keep(s)) found.push_back(s);
      }
    }
  }
  const auto of_rest = [&](std::size_t p) { return !parameters[p].shape; };
  for (const Schedule& s : combinations(standard, standard, of_rest)) {
    if (s != standard && keep(s)) found.push_back(s);
  }

  // By distance, then in that order.
  std::vector<std::pair<int, std::size_t>> order;
  for (std::size_t i = 0; i < found.size(); ++i)
    order.emplace_back(distance(found[i], standard), i);
  std::sort(order.begin(), order.end());
  for (const auto& [changes, i] : order) space.schedules.push_back(found[i]);
  return space;
}

Space listed_space(const Task& task, const Target& target, Determinism determinism,
                   std::int64_t rows, std::int64_t inner, const std::vector<Schedule>& schedules) {
  Space space;
  space.schedules = {default_schedule(task, target, rows, inner, determinism)};
  for (const Schedule& schedule : schedules) {
    const auto& known = space.schedules;
    if (std::find(known.begin(), known.end(), schedule) != known.end()) continue;
    ++space.tried;
    const std::string why = why_illegal(task, schedule, target, determinism);
    if (why.empty()) {
      space.schedules.push_back(schedule);
    } else {
      ++space.left_out[without_numbers(why)];
    }
  }
  return space;
}

std::vector<std::vector<int>> coordinates(const Space& space) {
  std::vector<std::vector<int>> all;
  for (const Schedule& schedule : space.schedules) {
    const auto parameters = std::ptrdiff_t(schedule.backend->parameters().size());
    all.emplace_back(schedule.values.begin(), schedule.values.begin() + parameters);
  }
  return all;
}

}  // namespace grkan
