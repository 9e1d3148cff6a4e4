#include "tuner/records.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "core/error.h"
#include "tuner/search/statistics.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

// By what a line is known as of such a request.
Json head_of(const TuneRequest& request, std::string_view default_schedule) {
  Json head = {{"schema", kRecordSchema},        {"task", to_string(request.task)},
               {"target", request.target.name},  {"compiler", request.compiler},
               {"generator", request.generator}, {"default", default_schedule},
               {"rows", request.rows},           {"inner", request.inner}};
  if (request.gpu) head["gpu"] = request.gpu->name;
  return head;
}

bool fits(const Json& line, const TuneRequest& request, const Json& head) {
  if (!line.is_object() || line.contains("gpu") != request.gpu.has_value()) return false;
  return std::all_of(head.items().begin(), head.items().end(), [&](const auto& item) {
    const auto found = line.find(item.key());
    return found != line.end() && *found == item.value();
  });
}

// What a line measured, by the code of a request and in its direction.
struct MeasuredLine {
  std::string problem;
  SizedCall call;
  std::vector<double> ratios;
};

std::optional<MeasuredLine> measured_line(const Json& line, const TuneRequest& request) {
  if (!line.is_object() || line.contains("gpu")) return {};
  const auto text = [&](const char* key) {
    const auto found = line.find(key);
    return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto size = [&](const char* key) {
    const auto found = line.find(key);
    return found != line.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
  };
  if (text("target") != request.target.name || text("compiler") != request.compiler ||
      text("generator") != request.generator || size("schema") != kRecordSchema) {
    return {};
  }
  const std::vector<double> seconds = recorded_times(line, "seconds");
  const std::vector<double> reference = recorded_times(line, "reference_seconds");
  if (seconds.empty() || seconds.size() != reference.size()) return {};
  MeasuredLine m{.problem = fmt::format("{} {} {} {}", text("task"), size("rows"), size("inner"),
                                        text("default")),
                 .call = {.task = {}, .schedule = {}, .rows = size("rows"), .inner = size("inner")},
                 .ratios = quotients(seconds, reference)};
  try {
    m.call.task = parse_task(text("task"));
    m.call.schedule = parse_schedule(text("schedule"), request.target);
  } catch (const Error&) {
    return {};  // damaged, or of another version
  }
  const bool sized = m.call.rows > 0 && m.call.inner > 0;
  if (!sized || m.call.task.sums() != request.task.sums()) return {};
  if (!why_illegal(m.call.task, m.call.schedule, request.target).empty()) return {};
  return m;
}

}  // namespace

Json record_line(const TuneRequest& request, std::string_view default_schedule,
                 std::string_view schedule, CandidateStatus status, std::string_view why,
                 double error_scaled) {
  Json line = head_of(request, default_schedule);
  line["schedule"] = schedule;
  line["status"] = to_string(status);
  line["why"] = why;
  line["error_scaled"] = finite_json(error_scaled);
  return line;
}

std::vector<OwnLine> own_lines(const TuneRequest& request,
                               const std::vector<std::string>& schedules) {
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < schedules.size(); ++i) places[schedules[i]] = i;
  const Json head = head_of(request, schedules.front());
  std::vector<OwnLine> own;
  const std::string task = to_string(request.task);
  for (const std::string& text : request.recorded) {
    if (text.find(task) == std::string::npos) continue;  // most are of other tasks
    Json line = Json::parse(text, nullptr, false);
    if (!fits(line, request, head)) continue;
    const auto schedule = line.find("schedule");
    if (schedule == line.end() || !schedule->is_string()) continue;
    const auto place = places.find(schedule->get<std::string>());
    if (place != places.end()) own.push_back({place->second, std::move(line)});
  }
  return own;
}

std::vector<double> recorded_times(const Json& line, const char* key) {
  std::vector<double> values;
  const auto found = line.find(key);
  if (found == line.end() || !found->is_array()) return {};
  for (const Json& value : *found) {
    const double seconds = value.is_number() ? value.get<double>() : 0;
    if (!std::isfinite(seconds) || seconds <= 0) return {};
    values.push_back(seconds);
  }
  return values;
}

std::vector<TransferSample> transfer_samples(const TuneRequest& request) {
  struct Measured {
    SizedCall call;
    std::size_t problem = 0;
    std::vector<double> ratios;
  };
  std::map<std::string, std::size_t> problems;
  std::map<std::pair<std::size_t, std::string>, Measured> measured;
  for (const std::string& text : request.recorded) {
    const std::optional<MeasuredLine> line =
        measured_line(Json::parse(text, nullptr, false), request);
    if (!line) continue;
    const std::size_t problem = problems.try_emplace(line->problem, problems.size()).first->second;
    Measured& m = measured[{problem, to_string(line->call.schedule)}];
    m.call = line->call;
    m.problem = problem;
    m.ratios.insert(m.ratios.end(), line->ratios.begin(), line->ratios.end());
  }
  std::vector<TransferSample> samples;
  for (const auto& [key, m] : measured) {
    double predicted = 0;
    if (request.model != nullptr) {
      const std::optional<Prediction> p = request.model->of_schedule(m.call);
      if (!p) continue;
      predicted = p->log_cost;
    }
    samples.push_back({m.problem, m.call.schedule, std::log(median(m.ratios)) - predicted});
  }
  return samples;
}

Json finite_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace grkan
