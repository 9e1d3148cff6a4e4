#include "bench/lab/replay/facts.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bench/lab/replay/table_text.h"
#include "core/error.h"
#include "cuda/cost_model.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

template <class Struct>
struct Number {
  const char* name;
  double Struct::* field;
};

constexpr std::array kCounts = {
    Number<LaunchFacts>{"blocks", &LaunchFacts::blocks},
    Number<LaunchFacts>{"independent", &LaunchFacts::independent},
    Number<LaunchFacts>{"dram_bytes", &LaunchFacts::dram_bytes},
    Number<LaunchFacts>{"streamed_bytes", &LaunchFacts::streamed_bytes},
    Number<LaunchFacts>{"bytes_ahead", &LaunchFacts::bytes_ahead},
    Number<LaunchFacts>{"sectors", &LaunchFacts::sectors},
    Number<LaunchFacts>{"requests", &LaunchFacts::requests},
    Number<LaunchFacts>{"round_trips", &LaunchFacts::round_trips},
    Number<LaunchFacts>{"last_round_trips", &LaunchFacts::last_round_trips},
    Number<LaunchFacts>{"shared_passes", &LaunchFacts::shared_passes},
    Number<LaunchFacts>{"atomic_passes", &LaunchFacts::atomic_passes},
    Number<LaunchFacts>{"most_line_passes", &LaunchFacts::most_line_passes}};
constexpr std::array kPipes = {Number<WarpInstructions>{"fp32", &WarpInstructions::fp32},
                               Number<WarpInstructions>{"packed", &WarpInstructions::packed},
                               Number<WarpInstructions>{"fp64", &WarpInstructions::fp64},
                               Number<WarpInstructions>{"special", &WarpInstructions::special},
                               Number<WarpInstructions>{"convert", &WarpInstructions::convert},
                               Number<WarpInstructions>{"integer", &WarpInstructions::integer},
                               Number<WarpInstructions>{"memory", &WarpInstructions::memory},
                               Number<WarpInstructions>{"other", &WarpInstructions::other}};

// The shortest number that has these digits.
double short_number(double value) { return std::stod(fmt::format("{:.7g}", value)); }

template <class Struct, std::size_t N>
void add_numbers(Json& to, const Struct& of, const std::array<Number<Struct>, N>& numbers) {
  for (const Number<Struct>& number : numbers) {
    if (of.*number.field != Struct{}.*number.field) {
      to[number.name] = short_number(of.*number.field);
    }
  }
}

template <class Struct, std::size_t N>
void read_numbers(const Json& from, Struct& to, const std::array<Number<Struct>, N>& numbers) {
  for (const Number<Struct>& number : numbers) {
    if (from.contains(number.name)) to.*number.field = from.at(number.name).template get<double>();
  }
}

// Kernels are told apart by their place: the symbol is the schedule's.
Json to_json(const LaunchFacts& f) {
  Json json = Json::object();
  if (f.programmatic) json["programmatic"] = true;
  if (f.threads != 0) json["threads"] = f.threads;
  if (f.resident_blocks != 1) json["resident_blocks"] = f.resident_blocks;
  add_numbers(json, f, kCounts);
  add_numbers(json, f.instructions, kPipes);
  return json;
}

LaunchFacts to_launch(const Json& json, bool executed) {
  LaunchFacts f;
  f.executed = executed;
  f.programmatic = json.value("programmatic", false);
  f.threads = json.value("threads", 0);
  f.resident_blocks = json.value("resident_blocks", 1);
  read_numbers(json, f, kCounts);
  read_numbers(json, f.instructions, kPipes);
  return f;
}

void add_launches(Json& line, const char* name, const std::vector<LaunchFacts>& launches) {
  if (launches.empty()) return;
  for (const LaunchFacts& f : launches) line[name].push_back(to_json(f));
}

std::vector<LaunchFacts> launches_of(const Json& line, const char* name, bool executed) {
  std::vector<LaunchFacts> launches;
  if (!line.contains(name)) return launches;
  for (const Json& launch : line.at(name)) launches.push_back(to_launch(launch, executed));
  return launches;
}

CandidateFacts parse_candidate(const Json& line) {
  CandidateFacts c{.schedule = line.at("schedule").get<std::string>(),
                   .status = CandidateStatus::ok,
                   .why = {},
                   .from_code = launches_of(line, "from_code", false),
                   .executed = launches_of(line, "executed", true)};
  if (line.contains("status")) {
    c.status = parse_candidate_status(line.at("status").get<std::string>());
    c.why = line.at("why").get<std::string>();
  }
  return c;
}

}  // namespace

bool holds_facts(std::string_view text) {
  const std::string_view head = text.substr(0, text.find('\n'));
  return head.find(R"("evidence":"counted")") != head.npos;
}

FactsTable parse_facts(std::string_view text) {
  FactsTable facts;
  std::size_t number = 0;
  for_each_line(text, [&](std::string_view line) {
    ++number;
    try {
      const Json json = Json::parse(line);
      if (number > 1) {
        facts.candidates.push_back(parse_candidate(json));
        return;
      }
      if (json.at("schema") != kTableSchema || json.at("evidence") != "counted") {
        fail_argument("schema {} and evidence {} are unknown; use {} and \"counted\"",
                      json.at("schema").dump(), json.at("evidence").dump(), kTableSchema);
      }
      facts.task = parse_task(json.at("task").get<std::string>());
      facts.target = parse_target(json.at("target").get<std::string>());
      facts.rows = json.at("rows").get<std::int64_t>();
      facts.inner = json.at("inner").get<std::int64_t>();
      facts.gpu = json.at("gpu").get<std::string>();
      facts.compiler = json.at("compiler").get<std::string>();
      facts.date = json.at("date").get<std::string>();
    } catch (const Json::exception& error) {
      fail_argument("facts, line {}: {}", number, error.what());
    } catch (const Error& error) {
      fail_argument("facts, line {}: {}", number, error.what());
    }
  });
  if (facts.candidates.empty()) fail_argument("facts: no candidates");
  return facts;
}

std::string to_text(const FactsTable& facts) {
  const Json head = {{"schema", kTableSchema},      {"task", to_string(facts.task)},
                     {"target", facts.target.name}, {"rows", facts.rows},
                     {"inner", facts.inner},        {"gpu", facts.gpu},
                     {"compiler", facts.compiler},  {"date", facts.date},
                     {"evidence", "counted"}};
  std::string text = head.dump() + "\n";
  for (const CandidateFacts& c : facts.candidates) {
    Json line = {{"schedule", c.schedule}};
    if (c.status != CandidateStatus::ok) {
      line["status"] = to_string(c.status);
      line["why"] = c.why;
    }
    add_launches(line, "from_code", c.from_code);
    add_launches(line, "executed", c.executed);
    text += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return text;
}

void write_facts(const std::string& folder, const FactsTable& facts) {
  write_lines(folder, table_name(facts.task, facts.rows, facts.inner), to_text(facts));
}

std::vector<FactsTable> read_all_facts(const std::string& folder) {
  std::vector<FactsTable> all;
  for_each_file(folder, [&](const std::string& /*path*/, std::string_view text) {
    all.push_back(parse_facts(text));
  });
  return all;
}

Table predicted_table(const FactsTable& facts, Counts counts) {
  const GpuModel& gpu = gpu_model(facts.gpu);
  Table table{.task = facts.task,
              .target = facts.target,
              .rows = facts.rows,
              .inner = facts.inner,
              .threads = 0,
              .machine = std::string(gpu.marketing),
              .compiler = facts.compiler,
              .date = facts.date,
              .predicted = true,
              .build_seconds = 0,
              .candidates = {}};
  double standard = 0;
  for (const CandidateFacts& c : facts.candidates) {
    const std::vector<LaunchFacts>& launches =
        counts == Counts::executed ? c.executed : c.from_code;
    TableCandidate& to = table.candidates.emplace_back(TableCandidate{
        .schedule = c.schedule, .status = c.status, .why = c.why, .us = {}, .reference_us = {}});
    if (c.status != CandidateStatus::ok) continue;
    if (launches.empty()) {
      to.status = CandidateStatus::exceeds_device;
      to.why = "nothing was counted";
      continue;
    }
    to.us = {predict(launches, gpu).ns * 1e-3};
    if (table.candidates.size() == 1) standard = to.us[0];
    to.reference_us = {standard};
  }
  return table;
}

}  // namespace grkan
