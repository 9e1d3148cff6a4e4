#include "cli/verb.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace grkan::cli {

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += fmt::format("{:<{}}", row[i], i + 1 < row.size() ? widths[i] + 2 : 0);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string duration_text(double nanoseconds) {
  if (nanoseconds >= 1e9) return fmt::format("{:.3f} s", nanoseconds / 1e9);
  if (nanoseconds >= 1e6) return fmt::format("{:.3f} ms", nanoseconds / 1e6);
  if (nanoseconds >= 1e3) return fmt::format("{:.2f} us", nanoseconds / 1e3);
  return fmt::format("{:.1f} ns", nanoseconds);
}

void complete_result(Json& entry, const std::string& why) {
  for (const char* field : {"task",
                            "problem",
                            "variant",
                            "device",
                            "direction",
                            "rows",
                            "schedule",
                            "evidence",
                            "time_ns",
                            "bound_kind",
                            "bound_ns",
                            "fraction_of_bound",
                            "default",
                            "registers",
                            "spills",
                            "shared_bytes",
                            "code_bytes",
                            "instructions_per_element",
                            "atomics_per_element",
                            "error",
                            "candidates",
                            "cache_entry"}) {
    if (!entry.contains(field)) set_null(entry, field, why);
  }
}

Json failure_json(std::string_view status, const std::string& message) {
  return {{"status", status}, {"message", message}};
}

}  // namespace grkan::cli
