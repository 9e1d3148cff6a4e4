#include "cli/launch_counts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <set>

namespace grkan::cli {
namespace {

double number(const Json& value) { return value.get<double>(); }

double ratio(double part, double whole) { return whole == 0 ? 0 : part / whole; }

// A field's sum over the launches' counts.
std::int64_t sum(const Json& launches, const char* field) {
  std::int64_t total = 0;
  for (const Json& launch : launches) total += launch.at("counts").at(field).get<std::int64_t>();
  return total;
}

// Loads or stores of global memory.
Json access_json(const Json& launches, const char* direction, double elements) {
  double requests = 0;
  double bytes = 0;
  double sectors = 0;
  for (const Json& launch : launches) {
    const Json& access = launch.at("counts").at(direction);
    requests += number(access.at("requests"));
    bytes += number(access.at("bytes"));
    sectors += number(access.at("sectors"));
  }
  return {{"bytes_per_element", bytes / elements},
          {"sectors_per_request", ratio(sectors, requests)},
          {"bytes_per_sector", ratio(bytes, sectors)}};
}

// A row of a table: how a cell is made of one call's counts.
struct Row {
  std::string name;
  std::function<std::string(const Json&)> cell;
};

std::string per_launch(const Json& counts, const std::function<std::string(const Json&)>& cell) {
  std::vector<std::string> cells;
  for (const Json& launch : counts.at("launches")) cells.push_back(cell(launch));
  return fmt::format("{}", fmt::join(cells, " + "));
}

std::string extent(const Json& dimensions) {
  const auto [x, y, z] = dimensions.get<std::array<std::int64_t, 3>>();
  std::string text = fmt::format("{}", x);
  if (y != 1 || z != 1) text += fmt::format("x{}", y);
  if (z != 1) text += fmt::format("x{}", z);
  return text;
}

Row figure(const char* name, const char* path, const char* format) {
  return {name, [path = Json::json_pointer(path), format](const Json& counts) {
            return fmt::format(fmt::runtime(format), number(counts.at(path)));
          }};
}

std::vector<Row> rows_of(const std::vector<Json>& all) {
  std::vector<Row> rows = {figure("instructions/element", "/instructions_per_element", "{:.2f}")};
  std::set<std::string> classes;
  for (const Json& counts : all) {
    for (const auto& [name, count] : counts.at("classes_per_element").items()) classes.insert(name);
  }
  for (const std::string& name : classes) {
    rows.push_back({"  " + name, [name](const Json& counts) {
                      return fmt::format("{:.2f}",
                                         counts.at("classes_per_element").value(name, 0.0));
                    }});
  }
  const std::vector<Row> more = {
      figure("lane efficiency", "/lane_efficiency", "{:.3f}"),
      figure("bytes loaded/element", "/loads/bytes_per_element", "{:.2f}"),
      figure("bytes stored/element", "/stores/bytes_per_element", "{:.2f}"),
      figure("  floor of both", "/floor_bytes_per_element", "{:.2f}"),
      figure("sectors/load", "/loads/sectors_per_request", "{:.2f}"),
      figure("  bytes used of 32", "/loads/bytes_per_sector", "{:.1f}"),
      figure("sectors/store", "/stores/sectors_per_request", "{:.2f}"),
      figure("  bytes used of 32", "/stores/bytes_per_sector", "{:.1f}"),
      figure("atomics", "/atomics", "{}"),
      figure("  most at an address", "/most_atomics", "{}"),
      figure("shared requests", "/shared_requests", "{}"),
      figure("  bank conflicts", "/bank_conflicts", "{}"),
      figure("barriers", "/barriers", "{}"),
      {"grid",
       [](const Json& counts) {
         return per_launch(counts, [](const Json& launch) { return extent(launch.at("grid")); });
       }},
      {"block",
       [](const Json& counts) {
         return per_launch(counts, [](const Json& launch) { return extent(launch.at("block")); });
       }},
      {"registers",
       [](const Json& counts) {
         return per_launch(counts, [](const Json& launch) {
           return fmt::format("{}{}", launch.at("registers").dump(),
                              launch.at("registers_estimated").get<bool>() ? " (estimate)" : "");
         });
       }},
      {"shared bytes",
       [](const Json& counts) {
         return per_launch(counts,
                           [](const Json& launch) { return launch.at("shared_bytes").dump(); });
       }},
      {"occupancy", [](const Json& counts) {
         return per_launch(counts, [](const Json& launch) {
           return fmt::format("{:.2f}", number(launch.at("occupancy")));
         });
       }}};
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

}  // namespace

std::string finding_text(const Json& finding) {
  return fmt::format(
      "{}: line {} of {}, {}: {} ({} times)", finding.at("check").get<std::string>(),
      finding.at("line").get<std::int64_t>(), finding.at("kernel").get<std::string>(),
      finding.at("instruction").get<std::string>(), finding.at("detail").get<std::string>(),
      finding.at("times").get<std::int64_t>());
}

Json counts_of(const Json& launches, std::int64_t elements, std::int64_t bytes) {
  const auto all = double(elements);
  Json classes = Json::object();
  std::int64_t most_atomics = 0;
  Json each = Json::array();
  for (const Json& launch : launches) {
    const Json& counts = launch.at("counts");
    for (const auto& [name, count] : counts.at("classes").items()) {
      classes[name] = classes.value(name, 0.0) + number(count) / all;
    }
    most_atomics = std::max(most_atomics, counts.at("most_atomics").get<std::int64_t>());
    each.push_back(launch);
    for (const char* said : {"device", "model", "findings", "trap"}) each.back().erase(said);
  }
  const std::int64_t instructions = sum(launches, "instructions");
  return {{"instructions_per_element", double(instructions) / all},
          {"classes_per_element", classes},
          {"lane_efficiency",
           ratio(double(instructions), 32.0 * double(sum(launches, "warp_instructions")))},
          {"floor_bytes_per_element", double(bytes) / all},
          {"loads", access_json(launches, "loads", all)},
          {"stores", access_json(launches, "stores", all)},
          {"atomics", sum(launches, "atomics")},
          {"most_atomics", most_atomics},
          {"shared_requests", sum(launches, "shared_requests")},
          {"bank_conflicts", sum(launches, "bank_conflicts")},
          {"barriers", sum(launches, "barriers")},
          {"launches", each}};
}

std::vector<std::vector<std::string>> counts_table(const std::vector<std::string>& names,
                                                   const std::vector<Json>& counts) {
  std::vector<std::vector<std::string>> lines = {{""}};
  lines.front().insert(lines.front().end(), names.begin(), names.end());
  for (const Row& row : rows_of(counts)) {
    lines.push_back({row.name});
    for (const Json& call : counts) lines.back().push_back(row.cell(call));
  }
  return lines;
}

}  // namespace grkan::cli
