#include "tuner/problem_list.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <system_error>

#include "core/text.h"

namespace grkan {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kMostCount = 1'000'000'000;
constexpr std::string_view kForm = R"({"task": "forward/p5q4-A-c768-g8-f32-last", "rows": 25216})";
constexpr const char* kFields[] = {"task", "problem", "direction", "rows", "inner", "count"};

std::string printed(const Json& value) {
  return shortened(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

// The fields of one line; every mismatch throws invalid_argument with the field's name.
class Line {
 public:
  explicit Line(const std::string& text) {
    std::set<std::string> names;
    const auto note_names = [&](int depth, Json::parse_event_t event, const Json& name) {
      if (event != Json::parse_event_t::key || depth != 1) return true;
      if (!names.insert(name.get<std::string>()).second) {
        fail_argument("{} stands there twice; leave one out", printed(name));
      }
      return true;
    };
    json_ = Json::parse(text, note_names, false);
    if (!json_.is_object()) {
      fail_argument("'{}' is not a JSON object; a line is like {}", shortened(text), kForm);
    }
    for (const auto& [name, value] : json_.items()) {
      if (std::find(std::begin(kFields), std::end(kFields), name) != std::end(kFields)) continue;
      fail_argument("unknown field {}; use {}", printed(name), fmt::join(kFields, ", "));
    }
  }

  [[nodiscard]] bool has(const char* field) const { return json_.contains(field); }
  [[nodiscard]] std::string text(const char* field) const {
    if (!json_.at(field).is_string()) wrong(field, "a text");
    return json_.at(field).get<std::string>();
  }
  [[nodiscard]] std::int64_t number(const char* field, std::int64_t most,
                                    std::int64_t absent) const {
    if (!has(field)) return absent;
    const Json& value = json_.at(field);
    // A number past 2^63 is read as unsigned or as a floating-point number.
    const bool fits =
        value.is_number_integer() &&
        (!value.is_number_unsigned() || value.get<std::uint64_t>() <= std::uint64_t(INT64_MAX)) &&
        value.get<std::int64_t>() >= 1 && value.get<std::int64_t>() <= most;
    if (!fits) wrong(field, fmt::format("a whole number from 1 to {}", most));
    return value.get<std::int64_t>();
  }
  [[nodiscard]] Range rows(Range absent) const {
    if (!has("rows")) return absent;
    const Json& value = json_.at("rows");
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (!value.is_string() && !value.is_number_integer()) wrong("rows", R"(25216 or "1..4096")");
    const Range range = parse_range(text, "rows");
    if (range.low < 1) wrong("rows", "1 or more");
    return range;
  }
  [[noreturn]] void wrong(const char* field, std::string_view expected) const {
    fail_argument("{} must be {}, not {}", field, expected, printed(json_.at(field)));
  }

 private:
  Json json_;
};

std::vector<Task> tasks_named(const Line& line) {
  if (line.has("task") == line.has("problem")) {
    fail_argument("{}; a line is like {}",
                  line.has("task") ? "task and problem both say what to compute; leave one out"
                                   : "neither task nor problem is given",
                  kForm);
  }
  if (line.has("task")) {
    if (line.has("direction")) fail_argument("task names its direction; leave direction out");
    return {parse_task(line.text("task"))};
  }
  const Problem problem = parse_problem(line.text("problem"));
  return tasks_of(problem, line.has("direction") ? line.text("direction") : "both",
                  {true, true, true});
}

std::vector<ListedTask> parse_line(const std::string& text, Range rows, std::int64_t inner) {
  const Line line(text);
  std::vector<ListedTask> listed;
  for (const Task& task : tasks_named(line)) {
    ListedTask entry{.task = task,
                     .rows = line.rows(rows),
                     .inner = line.number("inner", INT64_MAX, 1),
                     .count = line.number("count", kMostCount, 1)};
    if (task.problem.layout == Layout::channels_first && !line.has("inner")) entry.inner = inner;
    if (task.problem.layout == Layout::channels_last && entry.inner != 1) {
      fail_argument("inner {} needs channels-first; channels-last has inner 1", entry.inner);
    }
    listed.push_back(entry);
  }
  return listed;
}

}  // namespace

std::vector<Task> tasks_of(const Problem& problem, std::string_view direction,
                           Gradients gradients) {
  std::vector<Task> tasks;
  if (direction == "forward" || direction == "both") tasks.push_back(forward_task(problem));
  if (direction == "backward" || direction == "both") {
    tasks.push_back(backward_task(problem, gradients));
  }
  if (tasks.empty()) {
    fail_argument("unknown direction '{}'; use forward, backward or both", direction);
  }
  return tasks;
}

std::string to_string(const ListedTask& listed) {
  return fmt::format("{}, {} rows, {} inner", to_string(listed.task), to_string(listed.rows),
                     listed.inner);
}

std::vector<ListedTask> parse_problem_list(std::istream& text, const std::string& name, Range rows,
                                           std::int64_t inner) {
  std::vector<ListedTask> list;
  std::map<std::string, std::size_t> places;
  const auto add = [&](const ListedTask& entry) {
    const auto [place, is_new] = places.emplace(to_string(entry), list.size());
    if (is_new) {
      list.push_back(entry);
    } else {
      list[place->second].count += entry.count;
    }
  };
  std::string line;
  for (std::int64_t number = 1; std::getline(text, line); ++number) {
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    try {
      for (const ListedTask& entry : parse_line(line, rows, inner)) add(entry);
    } catch (const Error& error) {
      fail_argument("{}, line {}: {}", name, number, error.what());
    }
  }
  if (text.bad()) fail(Status::io_error, "{} can't be read to its end", name);
  if (list.empty()) fail_argument("{} lists no task; give a line for each, like {}", name, kForm);
  return list;
}

std::vector<ListedTask> read_problem_list(const std::string& path, Range rows, std::int64_t inner) {
  if (path == "-") return parse_problem_list(std::cin, "standard input", rows, inner);
  std::ifstream file(path);
  if (!file) {
    fail(Status::io_error,
         "{} can't be read ({}); give the path of a problem list, or - for "
         "standard input",
         path, std::generic_category().message(errno));
  }
  return parse_problem_list(file, path, rows, inner);
}

}  // namespace grkan
