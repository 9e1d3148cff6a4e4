#include "bench/lab/replay/table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "bench/lab/replay/table_text.h"
#include "core/error.h"
#include "tuner/search/statistics.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

// A field of a line, which must be there and of the type.
template <class T>
T field(const Json& line, const char* name, std::size_t number) {
  const auto found = line.find(name);
  if (found == line.end()) fail_argument("table, line {}: no {}", number, name);
  try {
    return found->get<T>();
  } catch (const nlohmann::json::exception&) {
    fail_argument("table, line {}: {} is {}", number, name, found->dump());
  }
}

Json parse_line(std::string_view text, std::size_t number) {
  Json line = Json::parse(text, nullptr, false);
  if (!line.is_object()) fail_argument("table, line {}: not a JSON object", number);
  return line;
}

Table parse_head(const Json& line) {
  if (const int schema = field<int>(line, "schema", 1); schema != kTableSchema) {
    fail_argument("table: schema {} is unknown; use {}", schema, kTableSchema);
  }
  Table table{.task = parse_task(field<std::string>(line, "task", 1)),
              .target = parse_target(field<std::string>(line, "target", 1)),
              .rows = field<std::int64_t>(line, "rows", 1),
              .inner = field<std::int64_t>(line, "inner", 1),
              .threads = field<int>(line, "threads", 1),
              .machine = field<std::string>(line, "machine", 1),
              .compiler = field<std::string>(line, "compiler", 1),
              .date = field<std::string>(line, "date", 1),
              .predicted = false,
              .build_seconds = field<double>(line, "build_seconds", 1),
              .candidates = {}};
  const auto evidence = field<std::string>(line, "evidence", 1);
  if (evidence != "measured" && evidence != "predicted") {
    fail_argument("table: evidence '{}' is unknown; use measured or predicted", evidence);
  }
  table.predicted = evidence == "predicted";
  return table;
}

TableCandidate parse_candidate(const Json& line, std::size_t number) {
  TableCandidate c{.schedule = field<std::string>(line, "schedule", number),
                   .status = CandidateStatus::ok,
                   .why = {},
                   .us = {},
                   .reference_us = {}};
  if (line.contains("status")) {
    c.status = parse_candidate_status(field<std::string>(line, "status", number));
    c.why = field<std::string>(line, "why", number);
  }
  if (c.status != CandidateStatus::ok) return c;
  c.us = field<std::vector<double>>(line, "us", number);
  c.reference_us = field<std::vector<double>>(line, "reference_us", number);
  const auto positive = [](double value) { return std::isfinite(value) && value > 0; };
  if (c.us.empty() || c.us.size() != c.reference_us.size() ||
      !std::all_of(c.us.begin(), c.us.end(), positive) ||
      !std::all_of(c.reference_us.begin(), c.reference_us.end(), positive)) {
    fail_argument("table, line {}: us and reference_us must be equally many positive numbers",
                  number);
  }
  return c;
}

// 4 digits, without the zeros that "%.4g" leaves out anyway.
std::string numbers(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) {
    text += fmt::format("{}{:.4g}", text.empty() ? "" : ",", value);
  }
  return "[" + text + "]";
}

}  // namespace

std::vector<double> TableCandidate::ratios() const { return quotients(us, reference_us); }

double TableCandidate::ratio() const {
  return us.empty() ? std::numeric_limits<double>::infinity() : median(ratios());
}

std::size_t Table::best() const {
  std::size_t most = 0;
  for (const TableCandidate& c : candidates) most = std::max(most, c.us.size());
  std::size_t best = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const TableCandidate& c = candidates[i];
    if (2 * c.us.size() >= most && c.ratio() < candidates[best].ratio()) best = i;
  }
  return best;
}

double Table::regret(std::size_t candidate, std::size_t against) const {
  return candidates[candidate].ratio() / candidates[against].ratio() - 1;
}

std::vector<double> Table::regrets() const {
  const std::size_t least = best();
  std::vector<double> all;
  for (std::size_t i = 0; i < candidates.size(); ++i) all.push_back(regret(i, least));
  return all;
}

Table parse_table(std::string_view text) {
  Table table;
  std::set<std::string> seen;
  std::size_t number = 0;
  for_each_line(text, [&](std::string_view line) {
    const Json json = parse_line(line, ++number);
    if (number == 1) {
      table = parse_head(json);
      return;
    }
    table.candidates.push_back(parse_candidate(json, number));
    if (!seen.insert(table.candidates.back().schedule).second) {
      fail_argument("table, line {}: {} is there twice", number, table.candidates.back().schedule);
    }
  });
  if (table.candidates.empty()) fail_argument("table: no candidates");
  if (table.candidates.front().status != CandidateStatus::ok) {
    fail_argument("table: the first candidate, the default, has no times");
  }
  return table;
}

std::string to_text(const Table& table) {
  const Json head = {{"schema", kTableSchema},
                     {"task", to_string(table.task)},
                     {"target", table.target.name},
                     {"rows", table.rows},
                     {"inner", table.inner},
                     {"threads", table.threads},
                     {"machine", table.machine},
                     {"compiler", table.compiler},
                     {"date", table.date},
                     {"evidence", table.predicted ? "predicted" : "measured"},
                     {"build_seconds", table.build_seconds}};
  std::string text = head.dump() + "\n";
  for (const TableCandidate& c : table.candidates) {
    if (c.status == CandidateStatus::ok) {
      text += fmt::format(R"({{"schedule":"{}","us":{},"reference_us":{}}})", c.schedule,
                          numbers(c.us), numbers(c.reference_us));
    } else {
      const Json failed = {
          {"schedule", c.schedule}, {"status", to_string(c.status)}, {"why", c.why}};
      text += failed.dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    text += "\n";
  }
  return text;
}

std::string table_name(const Task& task, std::int64_t rows, std::int64_t inner) {
  std::string name = fmt::format("{}-{}", to_string(task), rows);
  if (inner != 1) name += fmt::format("x{}", inner);
  std::replace(name.begin(), name.end(), '/', '-');
  std::replace(name.begin(), name.end(), ':', '_');
  return name + ".jsonl";
}

Table read_table(const std::string& path) {
  const std::string text = read_lines(path);
  try {
    return parse_table(text);
  } catch (const Error& error) {
    fail_argument("{}: {}", path, error.what());
  }
}

void write_table(const std::string& folder, const Table& table) {
  write_lines(folder, table_name(table.task, table.rows, table.inner), to_text(table));
}

std::vector<Table> read_tables(const std::string& folder) {
  std::vector<Table> tables;
  for_each_file(folder, [&](const std::string& /*path*/, std::string_view text) {
    tables.push_back(parse_table(text));
  });
  return tables;
}

}  // namespace grkan
