#include "tuner/space.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

namespace grkan {
namespace {

constexpr std::int64_t kSectorBytes = 32;  // the least that memory moves

// The values to try: 0 in the default, and no value of the table, means that it doesn't apply.
template <class S>
std::vector<int> values_of(const Parameter<S>& parameter, int standard) {
  const bool has_zero =
      std::find(parameter.values.begin(), parameter.values.end(), 0) != parameter.values.end();
  if (standard == 0 && !has_zero) return {0};
  std::vector<int> values(parameter.values.begin(), parameter.values.end());
  if (std::find(values.begin(), values.end(), standard) == values.end()) values.push_back(standard);
  return values;
}

// How many parameters differ.
template <class S>
int distance(const S& a, const S& b, std::span<const Parameter<S>> parameters) {
  return int(std::count_if(parameters.begin(), parameters.end(),
                           [&](const Parameter<S>& p) { return a.*p.field != b.*p.field; }));
}

// Why a legal schedule is not worth a look: another one does the same, or more with it.
std::string why_pointless(const CpuSchedule& s, const CpuSchedule& standard, const Task& task,
                          const Target& target, std::int64_t rows, std::int64_t inner) {
  const Problem& p = task.problem;
  const bool last = p.layout == Layout::channels_last;
  const std::int64_t width = p.segment_width() * (last ? 1 : inner);
  const int lanes = target.vector_bits() / 8 / int(size_of(p.math_type()));
  if (s.coefficients == CpuSchedule::broadcast) {
    if (s.vector > 1 && std::int64_t(s.vector) * s.unroll > width) {
      return "vectors of one step are wider than a segment";
    }
    if (s.vector < lanes && width % lanes == 0) return "vectors are under a register";
    if (s.vector > lanes) return "vectors are over a register: unrolling does the same";
  } else {
    if (s.vector > p.channels) return "vectors are wider than all channels";
    if (s.vector < lanes && p.channels >= lanes) return "expanded vectors are under a register";
  }
  if (s.rows > 1 && s.rows / 2 >= rows) return "blocks have more rows than there are";
  if (s.stores != standard.stores && s.stores == CpuSchedule::nontemporal &&
      output_stays_cached(task, rows, inner)) {
    return "stores past the caches: the next layer finds an output this small in them";
  }
  // All such slices are one; the default's stands for them.
  if (s.slice_rows != standard.slice_rows && s.slice_rows / 2 >= rows) {
    return "slices have more rows than there are";
  }
  return {};
}

std::string why_pointless(const CudaSchedule& s, const CudaSchedule& standard, const Task& task,
                          const Target&, std::int64_t rows, std::int64_t inner) {
  if (s == standard) return {};
  const Problem& p = task.problem;
  const std::int64_t columns = p.channels * (p.layout == Layout::channels_last ? 1 : inner);
  if (s.threads() < 64) return "blocks of fewer than 64 threads";
  if (s.threads() > 512) return "blocks of more than 512 threads";
  if (s.columns > 1 && std::int64_t(s.columns) * s.tile_columns > columns) {
    return "tiles are wider than a row";
  }
  if (s.tile_rows > 1 && s.tile_rows / 2 >= rows) return "tiles have more rows than there are";
  // Blocks side by side then share sectors, at other times: 1.2 to 2.9 times the best one's time on
  // an H200, at their best. Where the default's are no wider, nothing is.
  const std::int64_t row =
      p.layout == Layout::channels_last ? p.channels : p.segment_width() * inner;
  const auto bytes_across = [&](const CudaSchedule& of) {
    const auto size = std::int64_t(std::min(size_of(p.x_type), size_of(p.y_type)));
    return std::min(row, std::int64_t(of.columns) * of.tile_columns) * size;
  };
  if (bytes_across(s) < std::min(kSectorBytes, bytes_across(standard))) {
    return "rows of a tile are under a sector";
  }
  return {};
}

// Every combination of the values of the parameters that `chosen` picks, the rest as in `base`.
template <class S, class Choose>
std::vector<S> combinations(const S& base, const S& standard,
                            std::span<const Parameter<S>> parameters, const Choose& chosen) {
  std::vector<S> all = {base};
  for (const Parameter<S>& p : parameters) {
    if (!chosen(p)) continue;
    std::vector<S> next;
    for (const S& s : all) {
      for (const int value : values_of(p, standard.*p.field)) {
        next.push_back(s);
        next.back().*p.field = value;
      }
    }
    all = std::move(next);
  }
  return all;
}

template <class S>
Space enumerate(const Task& task, const Target& target, Determinism determinism, std::int64_t rows,
                std::int64_t inner, std::span<const Parameter<S>> parameters) {
  const auto standard = std::get<S>(default_schedule(task, target, rows, inner, determinism));
  Space space;
  std::vector<S> found = {standard};
  const auto keep = [&](const S& s) {
    ++space.tried;
    std::string why = why_pointless(s, standard, task, target, rows, inner);
    if (why.empty()) why = why_illegal(task, Schedule(s), target, determinism);
    if (!why.empty()) ++space.left_out[without_numbers(why)];
    return why.empty();
  };
  const auto of_shape = [](const Parameter<S>& p) { return p.shape; };
  for (const S& s : combinations(standard, standard, parameters, of_shape)) {
    if (s != standard && keep(s)) found.push_back(s);
  }
  // Each shape with one other parameter changed; the default's with all combinations of them.
  const std::size_t shapes = found.size();
  for (const Parameter<S>& p : parameters) {
    if (p.shape) continue;
    for (std::size_t i = 1; i < shapes; ++i) {
      const auto this_one = [&](const Parameter<S>& other) { return &other == &p; };
      for (const S& s : combinations(found[i], standard, parameters, this_one)) {
        if (s != found[i] && keep(s)) found.push_back(s);
      }
    }
  }
  const auto of_rest = [](const Parameter<S>& p) { return !p.shape; };
  for (const S& s : combinations(standard, standard, parameters, of_rest)) {
    if (s != standard && keep(s)) found.push_back(s);
  }

  // By distance, then in that order.
  std::vector<std::pair<int, std::size_t>> order;
  for (std::size_t i = 0; i < found.size(); ++i) {
    order.emplace_back(distance(found[i], standard, parameters), i);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [changes, i] : order) space.schedules.emplace_back(found[i]);
  return space;
}

template <class S>
std::vector<int> values_of(const S& schedule, std::span<const Parameter<S>> parameters) {
  std::vector<int> values;
  for (const Parameter<S>& p : parameters) values.push_back(schedule.*p.field);
  return values;
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
  if (target.cuda()) {
    return enumerate<CudaSchedule>(task, target, determinism, rows, inner, cuda_parameters());
  }
  return enumerate<CpuSchedule>(task, target, determinism, rows, inner, cpu_parameters());
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
    const auto* cpu = std::get_if<CpuSchedule>(&schedule);
    all.push_back(cpu != nullptr ? values_of(*cpu, cpu_parameters())
                                 : values_of(std::get<CudaSchedule>(schedule), cuda_parameters()));
  }
  return all;
}

}  // namespace grkan
