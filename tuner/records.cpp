#include "tuner/records.h"

#include <algorithm>
#include <cmath>
#include <map>

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
  for (const std::string& text : request.recorded) {
    Json line = Json::parse(text, nullptr, false);
    if (!fits(line, request, head)) continue;
    const auto schedule = line.find("schedule");
    if (schedule == line.end() || !schedule->is_string()) continue;
    const auto place = places.find(schedule->get<std::string>());
    if (place != places.end()) own.push_back({place->second, std::move(line)});
  }
  return own;
}

Json finite_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace grkan
