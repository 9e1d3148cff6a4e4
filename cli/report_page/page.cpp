#include "cli/report_page/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "core/backend.h"
#include "core/error.h"
#include "core/version.h"

namespace grkan::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLongestText = 500;
constexpr std::size_t kMostDefects = 20;

// Text of a file, cut where no honest one is that long.
Json text(const std::string& from) {
  return from.size() <= kLongestText ? from : from.substr(0, kLongestText) + "...";
}

Json number(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json range_json(const Range& range) { return {range.low, range.high}; }

Json device_text(const DeviceDescription& device) {
  Json json = device_json(device);
  for (const char* field : {"kind", "architecture", "name", "features"}) {
    json[field] = text(json[field].get<std::string>());
  }
  return json;
}

std::string evidence_text(const Winner& winner) {
  switch (winner.evidence) {
    case Evidence::measured:
      return winner.disturbed ? "measured, disturbed" : "measured";
    case Evidence::predicted_executed:
      return "predicted, from executed counts";
    case Evidence::predicted_static:
      return "predicted, from static counts";
    case Evidence::default_schedule:
      break;
  }
  return "default, nothing timed";
}

// Files of the cache may hold any bytes.
Json shown(const Prediction& p) {
  Json json = prediction_json(p);
  for (Json& figure : json["assumed"]) figure = text(figure.get<std::string>());
  json["basis_why"] = text(p.basis_why);
  return json;
}

Json winner_json(const StoredWinner& stored) {
  const Winner& w = stored.winner;
  return {{"schedule", text(w.schedule)},
          {"determinism", to_string(w.determinism)},
          {"rows", range_json(w.rows)},
          {"inner", range_json(w.inner)},
          {"tuned_rows", w.tuned_rows},
          {"tuned_inner", w.tuned_inner},
          {"evidence", evidence_text(w)},
          {"time_ns", time_json(w.time)},
          {"default", text(w.default_schedule)},
          {"default_time_ns", time_json(w.default_time)},
          {"bound_kind", text(w.bound_kind)},
          {"bound_ns", number(w.bound_ns)},
          {"error_scaled", number(w.error_scaled)},
          {"date", w.date},
          {"grkan", text(w.grkan_version)},
          {"compiler", text(w.compiler)},
          {"driver", text(w.driver)},
          {"prediction", w.prediction ? shown(*w.prediction) : Json()},
          {"path", stored.path}};
}

Json candidate_json(const TunedCandidate& c) {
  Json json = {{"schedule", text(c.schedule)},
               {"status", text(c.status)},
               {"time_ns", time_json(c.time)},
               {"ratio", number(c.ratio_to_default)},
               {"error_scaled", number(c.error_scaled)}};
  if (!c.why.empty()) json["why"] = text(c.why);
  if (c.predicted) json["predicted"] = true;
  return json;
}

// "v8" is told as 8, "bcast" as it is; 0 as what it stands for.
std::string value_label(const Parameter& parameter, int value) {
  if (value == 0) return std::string(parameter.none);
  return parameter.words.empty() ? fmt::format("{}", value)
                                 : std::string(parameter.words[std::size_t(value - 1)]);
}

// A list entry for each parameter that differs among the schedules: its values, ascending, and
// which of them each schedule has; null where it can't be told.
Json varying_parameters(const std::vector<std::optional<Schedule>>& schedules,
                        std::span<const Parameter> parameters) {
  Json varying = Json::array();
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const Parameter& parameter = parameters[p];
    std::set<int> values;
    for (const auto& schedule : schedules) {
      if (schedule) values.insert(schedule->values[p]);
    }
    if (values.size() < 2) continue;
    Json labels = Json::array();
    for (const int value : values) labels.push_back(value_label(parameter, value));
    Json of = Json::array();
    for (const auto& schedule : schedules) {
      if (schedule) {
        of.push_back(std::distance(values.begin(), values.find(schedule->values[p])));
      } else {
        of.push_back(nullptr);
      }
    }
    varying.push_back({{"name", parameter.name},
                       {"unit", parameter.unit},
                       {"says", parameter.says},
                       {"values", labels},
                       {"of", of}});
  }
  return varying;
}

Json parameters_of(const std::vector<TunedCandidate>& candidates, const std::string& architecture) {
  try {
    const Target target = parse_target(architecture);
    std::vector<std::optional<Schedule>> schedules;
    for (const TunedCandidate& candidate : candidates) {
      schedules.emplace_back();
      if (!candidate.time) continue;
      try {
        schedules.back() = parse_schedule(candidate.schedule, target);
      } catch (const Error&) {  // of another version: in the table alone
        schedules.back().reset();
      }
    }
    return varying_parameters(schedules, backend_of(target).parameters());
  } catch (const Error&) {
    return Json::array();
  }
}

// The fastest, some of those without a time, and in any case the winners and the default.
std::vector<TunedCandidate> shown_candidates(const TunedTask& tuned, const Tuning& tuning,
                                             const PageOptions& options) {
  std::set<std::string> marked = {tuning.default_schedule};
  for (const std::size_t at : tuning.answers) marked.insert(tuned.winners[at].winner.schedule);
  std::vector<TunedCandidate> shown;
  std::size_t timed = 0;
  std::size_t failed = 0;
  for (const TunedCandidate& candidate : tuning.candidates) {
    const bool fits =
        candidate.time ? timed++ < options.most_candidates : failed++ < options.most_candidates / 4;
    if (fits || marked.contains(candidate.schedule)) shown.push_back(candidate);
  }
  return shown;
}

using NewIndex = std::map<std::size_t, std::size_t>;  // of a winner, among those shown

Json tuning_json(const TunedTask& tuned, const Tuning& tuning, const PageOptions& options,
                 const NewIndex& winners) {
  const std::vector<TunedCandidate> shown = shown_candidates(tuned, tuning, options);
  Json json = {{"rows", tuning.rows},
               {"inner", tuning.inner},
               {"default", text(tuning.default_schedule)},
               {"winners", Json::array()},
               {"compiler", text(tuning.compiler)},
               {"generator", text(tuning.generator)},
               {"date", text(tuning.date)},
               {"timings", tuning.timings},
               {"older_lines", tuning.older_lines},
               {"left_out", tuning.candidates.size() - shown.size()},
               {"statuses", Json::object()},
               {"candidates", Json::array()},
               {"parameters", parameters_of(shown, tuned.device.architecture)}};
  for (const std::size_t at : tuning.answers) json["winners"].push_back(winners.at(at));
  std::map<std::string, int> statuses;
  for (const TunedCandidate& candidate : tuning.candidates) ++statuses[candidate.status];
  for (const auto& [status, count] : statuses) {
    json["statuses"][text(status).get<std::string>()] = count;
  }
  for (const TunedCandidate& candidate : shown) {
    json["candidates"].push_back(candidate_json(candidate));
  }
  return json;
}

// The date that the `most` latest tunings have or come after.
std::string oldest_shown(const CacheTunings& tunings, std::size_t most) {
  std::vector<std::string> dates;
  for (const TunedTask& tuned : tunings.tasks) {
    for (const Tuning& tuning : tuned.tunings) dates.push_back(tuning.date);
  }
  if (dates.size() <= most) return {};
  std::nth_element(dates.begin(), dates.begin() + std::ptrdiff_t(most) - 1, dates.end(),
                   std::greater<>());
  return dates[most - 1];
}

// What of all tunings the page lacks, counted while it is made.
struct LeftOut {
  std::size_t tunings = 0;
  std::size_t candidates = 0;
  std::size_t winners = 0;
  std::int64_t older_lines = 0;
};

// Those that answer, and of the others the latest.
std::vector<std::size_t> shown_winners(const TunedTask& tuned, std::size_t most) {
  std::set<std::size_t> answering;
  for (const Tuning& tuning : tuned.tunings) {
    answering.insert(tuning.answers.begin(), tuning.answers.end());
  }
  for (const AnswerStrip& strip : tuned.strips) {
    for (const AnsweredRows& part : strip.parts) answering.insert(part.winner);
  }
  std::vector<std::size_t> shown;
  std::size_t others = 0;
  for (std::size_t i = 0; i < tuned.winners.size(); ++i) {
    if (answering.contains(i) || others++ < most) shown.push_back(i);
  }
  return shown;
}

Json task_json(const TunedTask& tuned, const PageOptions& options, const std::string& oldest,
               std::size_t& room, LeftOut& left_out) {
  NewIndex winners;
  Json json = {{"task", to_string(tuned.task)},
               {"device", device_text(tuned.device)},
               {"winners", Json::array()},
               {"ranges", Json::array()},
               {"tunings", Json::array()}};
  for (const std::size_t at : shown_winners(tuned, options.most_winners)) {
    winners[at] = winners.size();
    json["winners"].push_back(winner_json(tuned.winners[at]));
  }
  left_out.winners += tuned.winners.size() - winners.size();
  for (const AnswerStrip& strip : tuned.strips) {
    Json parts = Json::array();
    for (const AnsweredRows& part : strip.parts) {
      parts.push_back({{"rows", range_json(part.rows)}, {"winner", winners.at(part.winner)}});
    }
    json["ranges"].push_back({{"determinism", to_string(strip.determinism)},
                              {"inner", range_json(strip.inner)},
                              {"parts", parts}});
  }
  for (const Tuning& tuning : tuned.tunings) {
    if (tuning.date < oldest || room == 0) {
      ++left_out.tunings;
      continue;
    }
    --room;
    json["tunings"].push_back(tuning_json(tuned, tuning, options, winners));
    left_out.candidates += json["tunings"].back()["left_out"].get<std::size_t>();
    left_out.older_lines += tuning.older_lines;
  }
  return json;
}

Json left_out_json(const LeftOut& left_out, const CacheTunings& tunings,
                   const PageOptions& options) {
  Json said = Json::array();
  if (left_out.tunings > 0) {
    said.push_back(
        fmt::format("{} tunings older than the latest {}; to see them, name their task and rows: "
                    "grkan report TASK --rows LOW..HIGH",
                    left_out.tunings, options.most_tunings));
  }
  if (left_out.candidates > 0) {
    said.push_back(fmt::format(
        "{} candidates: of each tuning the fastest {} are shown and {} without a time; to see "
        "more: grkan report TASK --candidates N",
        left_out.candidates, options.most_candidates, options.most_candidates / 4));
  }
  if (left_out.winners > 0) {
    said.push_back(fmt::format("{} winners that answer no more; to see them: grkan cache list",
                               left_out.winners));
  }
  if (left_out.older_lines > 0) {
    said.push_back(
        fmt::format("{} measurements by another compiler or generator than a tuning's latest; to "
                    "see them: grkan cache show NAME of a log",
                    left_out.older_lines));
  }
  if (tunings.unreadable_lines > 0) {
    said.push_back(
        fmt::format("{} lines of the logs that are no measurements this version reads; "
                    "to see them: grkan cache show NAME of a log",
                    tunings.unreadable_lines));
  }
  if (tunings.defects.size() > kMostDefects) {
    said.push_back(fmt::format("{} of {} files with a defect; to see them: grkan cache verify",
                               tunings.defects.size() - kMostDefects, tunings.defects.size()));
  }
  return said;
}

// As an element <script type="application/json"> may hold it: nothing ends the element or opens a
// comment, and no byte is not ASCII.
std::string script_text(const Json& data) {
  const std::string json = data.dump(-1, ' ', true, Json::error_handler_t::replace);
  std::string out;
  out.reserve(json.size());
  for (const char c : json) {
    if (c == '<' || c == '>' || c == '&') {
      out += fmt::format("\\u{:04x}", int(c));
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

Json page_data(const CacheTunings& tunings, const PageOptions& options) {
  LeftOut left_out;
  const std::string oldest = oldest_shown(tunings, options.most_tunings);
  std::size_t room = options.most_tunings;
  Json tasks = Json::array();
  for (const TunedTask& tuned : tunings.tasks) {
    Json task = task_json(tuned, options, oldest, room, left_out);
    if (!task["tunings"].empty()) tasks.push_back(std::move(task));
  }
  Json defects = Json::array();
  for (const CacheDefect& defect : tunings.defects) {
    if (defects.size() == kMostDefects) break;
    defects.push_back({{"path", text(defect.path)}, {"why", text(defect.why)}});
  }
  return {{"grkan", kVersion},
          {"date", options.date},
          {"folder", options.folder},
          {"winners", tunings.winners},
          {"measurements", tunings.lines},
          {"left_out", left_out_json(left_out, tunings, options)},
          {"defects", defects},
          {"tasks", tasks}};
}

std::string page_html(const Json& data) {
  std::string html;
  std::string_view rest = page_part("page.html");
  // Marks are looked for in the template alone, never in what was put in.
  for (std::size_t at = 0; (at = rest.find("{{")) != std::string_view::npos;) {
    const std::size_t end = rest.find("}}", at);
    const std::string_view mark = rest.substr(at + 2, end - at - 2);
    html += rest.substr(0, at);
    if (mark == "data") {
      html += script_text(data);
    } else {
      html += page_part(mark);
    }
    rest.remove_prefix(end + 2);
  }
  html += rest;
  return html;
}

}  // namespace grkan::cli
