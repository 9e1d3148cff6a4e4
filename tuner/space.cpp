#include "tuner/space.h"

#include <algorithm>
#include <random>
#include <set>
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

// What enumerate_space() looks at.
double combinations_of(const Schedule& standard) {
  double shapes = 1;
  double others = 1;
  double rest = 1;
  const std::span<const Parameter> parameters = standard.backend->parameters();
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const auto values = double(values_of(parameters[p], standard.values[p]).size());
    if (parameters[p].shape) {
      shapes *= values;
    } else {
      others += values - 1;
      rest *= values;
    }
  }
  return shapes * others + rest;
}

void sort_by_distance(std::vector<Schedule>& schedules, const Schedule& standard) {
  std::stable_sort(schedules.begin(), schedules.end(), [&](const Schedule& a, const Schedule& b) {
    return distance(a, standard) < distance(b, standard);
  });
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

  sort_by_distance(found, standard);
  space.schedules = std::move(found);
  return space;
}

Space sample_space(const Task& task, const Target& target, Determinism determinism,
                   std::int64_t rows, std::int64_t inner, std::size_t most, std::uint64_t seed) {
  // So many are looked at in two milliseconds.
  constexpr double kSmall = 20'000;
  constexpr std::size_t kDraws = 8;  // for each that is wanted
  const Schedule standard = default_schedule(task, target, rows, inner, determinism);
  if (combinations_of(standard) <= kSmall) {
    Space space = enumerate_space(task, target, determinism, rows, inner);
    if (space.schedules.size() > most) space.schedules.resize(most);
    return space;
  }
  const Backend& backend = *standard.backend;
  const std::span<const Parameter> parameters = backend.parameters();
  std::vector<std::vector<int>> values;
  std::vector<std::size_t> others;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    values.push_back(values_of(parameters[p], standard.values[p]));
    if (!parameters[p].shape) others.push_back(p);
  }
  std::mt19937_64 random(seed);
  const auto any = [&](std::size_t p) { return values[p][random() % values[p].size()]; };
  Space space{.schedules = {standard}, .tried = 0, .left_out = {}};
  std::set<std::array<int, kMostParameters>> known = {standard.values};
  for (std::size_t draw = 0; draw < kDraws * most && space.schedules.size() < most; ++draw) {
    Schedule s = standard;
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      if (parameters[p].shape) s.values.at(p) = any(p);
    }
    const std::size_t other = others[random() % others.size()];
    s.values.at(other) = any(other);
    ++space.tried;
    if (!backend.why_pointless(task, s, standard, target, rows, inner).empty() ||
        !backend.why_illegal(task, s, target, determinism).empty()) {
      continue;
    }
    if (known.insert(s.values).second) space.schedules.push_back(s);
  }
  sort_by_distance(space.schedules, standard);
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
