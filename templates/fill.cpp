#include "templates/fill.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "core/error.h"

namespace grkan {
namespace {

// `name` or `{name}` after a '$'; `at` moves past it.
std::string_view read_name(std::string_view line, std::size_t& at) {
  const bool braces = at < line.size() && line[at] == '{';
  if (braces) ++at;
  const std::size_t begin = at;
  while (at < line.size() &&
         (std::isalnum(static_cast<unsigned char>(line[at])) != 0 || line[at] == '_')) {
    ++at;
  }
  const std::string_view name = line.substr(begin, at - begin);
  if (braces) {
    if (at >= line.size() || line[at] != '}') {
      fail(Status::internal, "a template has '${{{}' without its '}}'", name);
    }
    ++at;
  }
  return name;
}

std::string fill_line(std::string_view line, const TemplateValues& with) {
  std::string text;
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] != '$') {
      text += line[at++];
      continue;
    }
    const std::string_view name = read_name(line, ++at);
    const auto found = with.values.find(name);
    if (found == with.values.end()) fail(Status::internal, "a template asks for '${}'", name);
    text += found->second;
  }
  return text;
}

bool holds(std::string_view condition, const TemplateValues& with) {
  const bool negated = condition.starts_with('!');
  if (negated) condition.remove_prefix(1);
  const auto found = with.conditions.find(condition);
  if (found == with.conditions.end()) {
    fail(Status::internal, "a template asks for the condition '{}'", condition);
  }
  return found->second != negated;
}

}  // namespace

std::string fill_template(std::string_view text, const TemplateValues& with) {
  std::string result;
  std::vector<bool> kept = {true};  // for each open block: do its lines stay
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.starts_with("//@if ")) {
      kept.push_back(holds(line.substr(6), with));
    } else if (line == "//@else" && kept.size() > 1) {
      kept.back() = !kept.back();
    } else if (line == "//@end" && kept.size() > 1) {
      kept.pop_back();
    } else if (line.starts_with("//@")) {
      fail(Status::internal, "a template has '{}' where no block is open", line);
    } else if (std::find(kept.begin(), kept.end(), false) == kept.end()) {
      result += fill_line(line, with) + '\n';
    }
  }
  if (kept.size() != 1) fail(Status::internal, "a template has //@if without its //@end");
  return result;
}

}  // namespace grkan
