#include "tuner/request.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "core/error.h"
#include "tuner/starting_points.h"
#include "tuner/tune.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json, const char* key, const char* standard) {
  const auto found = json.find(key);
  if (found == json.end() && standard != nullptr) return standard;
  if (found == json.end() || !found->is_string()) {
    fail_argument("tune request: {} must be a text", key);
  }
  return found->get<std::string>();
}

std::int64_t integer_of(const Json& json, const char* key, std::int64_t least,
                        std::int64_t standard) {
  const auto found = json.find(key);
  if (found == json.end()) return standard;
  const bool fits =
      found->is_number_integer() &&
      !(found->is_number_unsigned() && found->get<std::uint64_t>() > std::uint64_t(INT64_MAX));
  if (!fits || found->get<std::int64_t>() < least) {
    fail_argument("tune request: {} must be a whole number of at least {}", key, least);
  }
  return found->get<std::int64_t>();
}

std::vector<Schedule> schedules_of(const Json& json, const Target& target) {
  const auto found = json.find("schedules");
  if (found == json.end()) return {};
  if (!found->is_array()) fail_argument("tune request: schedules must be a list of texts");
  std::vector<Schedule> schedules;
  for (const Json& text : *found) {
    if (!text.is_string()) fail_argument("tune request: schedules must be a list of texts");
    schedules.push_back(parse_schedule(text.get<std::string>(), target));
  }
  return schedules;
}

std::vector<Json> resume_of(const Json& json) {
  const auto found = json.find("resume");
  if (found == json.end()) return {};
  if (!found->is_array()) fail_argument("tune request: resume must be a list of lines");
  std::vector<Json> lines;
  for (const Json& line : *found) {
    lines.push_back(line.is_string() ? Json::parse(line.get<std::string>(), nullptr, false) : line);
  }
  return lines;
}

bool fits(const Json& line, const TuneRequest& request, const Json& head) {
  if (!line.is_object() || line.contains("gpu") != request.gpu.has_value()) return false;
  return std::all_of(head.items().begin(), head.items().end(), [&](const auto& item) {
    const auto found = line.find(item.key());
    return found != line.end() && *found == item.value();
  });
}

}  // namespace

TuneRequest parse_tune_request(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) fail_argument("tune request: not a JSON object");
  if (const std::int64_t schema = integer_of(json, "schema", 0, 0); schema != kTuneSchema) {
    fail_argument("tune request: schema {} is unknown; use {}", schema, kTuneSchema);
  }
  TuneRequest request{.task = parse_task(text_of(json, "task", nullptr)),
                      .target = parse_target(text_of(json, "target", nullptr)),
                      .gpu = {},
                      .determinism = parse_determinism(text_of(json, "determinism", "run_to_run")),
                      .rows = integer_of(json, "rows", 1, 0),
                      .inner = integer_of(json, "inner", 1, 1),
                      .effort = parse_tune_effort(text_of(json, "effort", "quick")),
                      .seed = integer_of(json, "seed", 0, 1),
                      .compiler = text_of(json, "compiler", ""),
                      .generator = text_of(json, "generator", ""),
                      .schedules = {},
                      .resume = resume_of(json)};
  request.schedules = schedules_of(json, request.target);
  if (request.rows < 1) fail_argument("tune request: rows must be given, at least 1");
  if (json.contains("gpu")) request.gpu = gpu_model(text_of(json, "gpu", nullptr));
  // A prediction takes the same candidates on a slow machine as on a fast one.
  request.budget_seconds = request.gpu ? std::numeric_limits<double>::infinity()
                                       : search_options(request.effort).budget_seconds;
  const Json budget = json.value("budget_seconds", Json());
  if (!budget.is_null()) {
    if (!budget.is_number() || !std::isfinite(budget.get<double>()) || budget.get<double>() < 0) {
      fail_argument("tune request: budget_seconds must be a number of at least 0");
    }
    request.budget_seconds = budget.get<double>();
  }
  return request;
}

Space request_space(const TuneRequest& r) {
  if (r.schedules.empty()) {
    return enumerate_space(r.task, r.target, r.determinism, r.rows, r.inner);
  }
  return listed_space(r.task, r.target, r.determinism, r.rows, r.inner, r.schedules);
}

std::unique_ptr<Strategy> request_strategy(const TuneRequest& request, const Space& space) {
  if (!request.schedules.empty()) return exhaustive_strategy();
  const auto points = starting_points(request.task, request.target);
  return effort_strategy(request.effort, space, starting_candidates(space, points),
                         std::uint64_t(request.seed));
}

Json line_head(const TuneRequest& request, std::string_view default_schedule) {
  Json head = {{"schema", kTuneSchema},          {"task", to_string(request.task)},
               {"target", request.target.name},  {"compiler", request.compiler},
               {"generator", request.generator}, {"default", default_schedule},
               {"rows", request.rows},           {"inner", request.inner}};
  if (request.gpu) head["gpu"] = request.gpu->name;
  return head;
}

std::vector<OwnLine> own_lines(const TuneRequest& request,
                               const std::vector<std::string>& schedules) {
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < schedules.size(); ++i) places[schedules[i]] = i;
  const Json head = line_head(request, schedules.front());
  std::vector<OwnLine> own;
  for (const Json& line : request.resume) {
    if (!fits(line, request, head)) continue;
    const auto schedule = line.find("schedule");
    if (schedule == line.end() || !schedule->is_string()) continue;
    const auto place = places.find(schedule->get<std::string>());
    if (place != places.end()) own.push_back({place->second, line});
  }
  return own;
}

Json answer_head(const TuneRequest& request) {
  Json head = {
      {"schema", kTuneSchema}, {"task", to_string(request.task)}, {"target", request.target.name}};
  if (request.gpu) head["gpu"] = request.gpu->name;
  head["determinism"] = to_string(request.determinism);
  head["rows"] = request.rows;
  head["inner"] = request.inner;
  head["effort"] = to_string(request.effort);
  head["seed"] = request.seed;
  return head;
}

Json finite_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace grkan
