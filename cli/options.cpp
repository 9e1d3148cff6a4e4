#include "cli/options.h"

#include <charconv>

#include "cache/folder.h"
#include "core/error.h"
#include "core/text.h"
#include "tuner/problem_list.h"

namespace grkan::cli {
namespace {

// "8" or "1x8".
void read_groups(const std::string& text, Problem& problem) {
  TextReader reader(text, "groups", "8 or 1x8");
  problem.numerator_groups = reader.number<std::int64_t>();
  problem.denominator_groups =
      reader.accept("x") ? reader.number<std::int64_t>() : problem.numerator_groups;
  if (!reader.done()) reader.expect("the end");
}

void read_degrees(const std::string& text, Problem& problem) {
  TextReader reader(text, "degrees", "5,4");
  problem.numerator_degree = reader.number<int>();
  reader.expect(",");
  problem.denominator_degree = reader.number<int>();
  if (!reader.done()) reader.expect("the end");
}

// The name of the first option that the user gave, or "".
std::string given(const std::vector<const CLI::Option*>& options) {
  for (const CLI::Option* option : options) {
    if (option->count() > 0) return option->get_name();
  }
  return {};
}

// Each variant and its Q, a line each.
std::string variants_help() {
  std::string text = "Denominator Q:";
  for (const Denominator& row : denominators()) {
    text +=
        fmt::format("\n{}  {}{}", row.letter, row.formula, row.has_poles() ? " (has poles)" : "");
  }
  return text;
}

}  // namespace

CLI::Validator whole_number(std::int64_t low, std::int64_t high) {
  const auto check = [low, high](const std::string& text) -> std::string {
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc() && stop == end && low <= value && value <= high) return {};
    return fmt::format("{} is not a whole number from {} to {}", text, low, high);
  };
  return {check, "", "whole number"};
}

void TaskOptions::declare(CLI::App& command) {
  command.add_option("problem", name,
                     "A printed problem, p5q4-A-c768-g8-f32-last, or task, forward/<problem>");
  of_problem_ = {
      command.add_option("--channels", channels, "Channels, where no printed problem is given")
          ->check(whole_number()),
      command.add_option("--groups", groups, "Groups: 8, or numerator x denominator, 1x8")
          ->capture_default_str(),
      command.add_option("--degrees", degrees, "Degrees of numerator and denominator")
          ->capture_default_str(),
      command.add_option("--variant", variant, variants_help())->capture_default_str(),
      command
          .add_option("--dtype", types,
                      "Type of x; or of x and y, f32:bf16; or of coefficients too, bf16:bf16:bf16")
          ->capture_default_str(),
      command.add_option("--layout", layout, "channels-last or channels-first")
          ->capture_default_str()};
  of_task_ = {
      command.add_option("--direction", direction, "forward, backward or both")
          ->capture_default_str(),
      command.add_option("--gradients", gradients, "Gradients asked for")->capture_default_str()};
  command.add_option("--rows", rows, "Rows (channels-first: batch), N or N..M")
      ->capture_default_str();
  command.add_option("--inner", inner, "Elements of a channel (channels-first)")
      ->check(whole_number())
      ->capture_default_str();
  command.add_option("--determinism", determinism, "not_guaranteed, run_to_run or gpu_to_gpu")
      ->capture_default_str();
}

bool TaskOptions::named() const {
  return !name.empty() || !given(of_problem_).empty() || !given(of_task_).empty();
}

std::vector<Task> TaskOptions::tasks() const {
  const bool is_task = name.find('/') != std::string::npos;
  std::string twice = name.empty() ? "" : given(of_problem_);
  if (is_task && twice.empty()) twice = given(of_task_);
  if (!twice.empty()) {
    fail_argument("{} and {} both say what to compute; leave one out", name, twice);
  }
  if (is_task) return {parse_task(name)};
  Problem problem;
  if (!name.empty()) {
    problem = parse_problem(name);
  } else {
    if (channels == 0) {
      fail_argument(
          "no problem was named; give its printed form, p5q4-A-c768-g8-f32-last, or --channels");
    }
    problem.channels = channels;
    read_groups(groups, problem);
    read_degrees(degrees, problem);
    problem.variant = parse_variant(variant);
    parse_types(types, problem);
    problem.layout = parse_layout(layout);
    validate(problem);
  }
  return tasks_of(problem, direction, parse_gradients(gradients));
}

Range TaskOptions::row_range() const { return parse_range(rows, "rows"); }

std::int64_t TaskOptions::row_count() const {
  const Range range = row_range();
  if (range.low != range.high) fail_argument("rows {} is a range; give one number here", rows);
  return range.low;
}

std::int64_t TaskOptions::inner_of(const Problem& problem) const {
  if (inner < 1) fail_argument("inner {} is not positive; use 1 or more", inner);
  if (problem.layout == Layout::channels_last && inner != 1) {
    fail_argument("inner {} needs channels-first; channels-last has inner 1", inner);
  }
  return inner;
}

void DeviceOptions::declare(CLI::App& command) {
  command.add_option("--device", device, "cpu, cuda:0, or a virtual GPU, virtual:h200")
      ->capture_default_str();
  command.add_option("--threads", threads, "Threads of the CPU device; 0: all of the machine")
      ->check(whole_number(INT32_MIN, INT32_MAX))
      ->capture_default_str();
  command.add_option("--cache", cache, "Cache folder (else GRKAN_CACHE_DIR, XDG_CACHE_HOME, HOME)");
}

std::string cache_folder(const std::string& option) {
  const std::string folder = resolve_cache_folder(option);
  if (folder.empty()) {
    fail_argument("there is no cache folder: give --cache, or set GRKAN_CACHE_DIR or HOME");
  }
  return folder;
}

std::vector<std::string> split_list(const std::string& text, const std::string& what) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t comma = text.find(',', begin);
    parts.push_back(text.substr(begin, comma - begin));
    if (parts.back().empty()) fail_argument("{} '{}' has an empty part", what, text);
    if (comma == std::string::npos) return parts;
    begin = comma + 1;
  }
}

}  // namespace grkan::cli
