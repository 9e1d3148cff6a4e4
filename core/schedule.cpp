#include "core/schedule.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/backend.h"
#include "core/error.h"
#include "core/text.h"

namespace grkan {
namespace {

constexpr std::array<std::string_view, 3> kDeterminisms = {"not_guaranteed", "run_to_run",
                                                           "gpu_to_gpu"};

// Half of a last-level cache as desktops and servers have it.
constexpr double kStaysCached = 16.0 * 1024 * 1024;

std::string print(const Schedule& schedule, bool compiled) {
  if (schedule.backend == nullptr) fail(Status::internal, "a schedule of no backend is printed");
  const std::span<const Parameter> parameters = schedule.backend->parameters();
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    const int value = schedule.values[i];
    if (p.compiled != compiled || value == 0) continue;
    tokens.push_back(p.words.empty() ? fmt::format("{}{}", p.token, value)
                                     : std::string(p.words[std::size_t(value - 1)]));
  }
  return fmt::format("{}", fmt::join(tokens, "_"));
}

// The value that `token` gives the parameter; nothing where it is not one of it.
std::optional<int> value_of(const Parameter& p, std::string_view token) {
  const auto word = std::find(p.words.begin(), p.words.end(), token);
  if (word != p.words.end()) return int(word - p.words.begin()) + 1;
  if (!p.words.empty() || !token.starts_with(p.token)) return std::nullopt;
  token.remove_prefix(p.token.size());
  int value = 0;
  const auto [stop, error] = std::from_chars(token.data(), token.data() + token.size(), value);
  if (error != std::errc() || stop != token.data() + token.size() || value < 1) return std::nullopt;
  if (token.front() == '0') return std::nullopt;
  return value;
}

}  // namespace

std::string_view to_string(Determinism determinism) {
  return kDeterminisms.at(std::size_t(determinism));
}
Determinism parse_determinism(std::string_view text) {
  return Determinism(index_of_word(kDeterminisms, text, "determinism"));
}

std::string compiled_text(const Schedule& schedule) { return print(schedule, true); }

std::string to_string(const Schedule& schedule) {
  return print(schedule, true) + "@" + print(schedule, false);
}

// Tokens come in the table's order, each at most once.
Schedule parse_schedule(std::string_view text, const Target& target) {
  const Backend& backend = backend_of(target);
  const std::span<const Parameter> parameters = backend.parameters();
  Schedule schedule{.backend = &backend};
  for (std::size_t i = 0; i < parameters.size(); ++i) schedule.values[i] = parameters[i].absent;
  const auto read_part = [&](std::string_view tokens, bool compiled) {
    std::size_t next = 0;
    const auto take = [&](std::string_view token) {
      for (; next < parameters.size(); ++next) {
        if (parameters[next].compiled != compiled) continue;
        const std::optional<int> value = value_of(parameters[next], token);
        if (!value) continue;
        schedule.values[next++] = *value;
        return true;
      }
      return false;
    };
    while (!tokens.empty()) {
      const std::string_view token = tokens.substr(0, tokens.find('_'));
      tokens.remove_prefix(std::min(tokens.size(), token.size() + 1));
      if (!take(token)) {
        fail_argument("schedule '{}' has an unknown or misplaced part '{}'; the form is {}",
                      shortened(text), shortened(token), backend.example());
      }
    }
  };
  const std::size_t at = text.find('@');
  read_part(text.substr(0, at), true);
  if (at != std::string_view::npos) read_part(text.substr(at + 1), false);
  return schedule;
}

std::string why_illegal(const Task& task, const Schedule& schedule, const Target& target,
                        Determinism determinism) {
  const Backend& backend = backend_of(target);
  if (schedule.backend != &backend) return "the schedule is for another kind of device";
  return backend.why_illegal(task, schedule, target, determinism);
}

Schedule default_schedule(const Task& task, const Target& target, std::int64_t rows,
                          std::int64_t inner, Determinism determinism) {
  return backend_of(target).default_schedule(task, target, rows, inner, determinism);
}

bool output_stays_cached(const Task& task, std::int64_t rows, std::int64_t inner) {
  const Problem& p = task.problem;
  if (task.backward() && !task.gradients.dx) return false;
  const Type out = task.backward() ? p.x_type : p.y_type;
  return double(rows) * double(inner) * double(p.channels) * double(size_of(out)) <= kStaysCached;
}

}  // namespace grkan
