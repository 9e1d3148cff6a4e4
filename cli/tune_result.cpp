#include "cli/tune_result.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace grkan::cli {
namespace {

std::string_view counts_name(const Prediction& prediction) {
  return prediction.executed ? "executed" : "static";
}

Json candidate_json(const CandidateOutcome& c) {
  Json json = {{"schedule", to_string(c.schedule)}, {"status", to_string(c.status)}};
  if (c.time) {
    json["time_ns"] = time_json(c.time);
  } else {
    set_null(json, "time_ns", c.why.empty() ? "not timed" : c.why);
  }
  if (c.error_scaled) {
    json["error"]["scaled"] = *c.error_scaled;
  } else {
    set_null(json, "error", "not known");
  }
  json["ratio_to_default"] = c.ratio_to_default ? Json(*c.ratio_to_default) : Json();
  json["finalist"] = c.finalist;
  return json;
}

Json whole_prediction_json(const Prediction& p) {
  Json json = prediction_json(p);
  json["counts"] = counts_name(p);
  json["fraction_of_floor"] = p.fraction_of_floor();
  return json;
}

Json ratio_json(double ratio, double low, double high) {
  return {{"median", ratio}, {"low", low}, {"high", high}};
}

// Of a prediction: without rounds.
Json comparison_json(const TuneOutcome& outcome) {
  if (!outcome.against_default) return nullptr;
  const Comparison& c = *outcome.against_default;
  if (outcome.prediction) return ratio_json(c.ratio, c.low, c.high);
  return {{"median", c.ratio},
          {"low", c.low},
          {"high", std::isfinite(c.high) ? Json(c.high) : Json()},  // too few rounds to bound it
          {"rounds", c.rounds}};
}

Json passed_over_json(const TuneOutcome& outcome) {
  if (!outcome.passed_over) return nullptr;
  const PredictedRatio& ratio = outcome.passed_over->against_default;
  return {{"schedule", to_string(outcome.passed_over->schedule)},
          {"ratio_to_default", ratio_json(ratio.ratio, ratio.low, ratio.high)}};
}

// "14 % faster (90 %: 3 to 24)", of times over the default's.
std::string faster_text(double ratio, double low, double high) {
  return fmt::format("{:.0f} % faster ({:.0f} %: {:.0f} to {:.0f})", 100 * (1 - ratio),
                     100 * kCoverage, 100 * (1 - high), 100 * (1 - low));
}

std::string prediction_text(const TuneOutcome& outcome) {
  if (!outcome.prediction) return {};
  const Prediction& p = *outcome.prediction;
  std::string text =
      fmt::format("  predicted from {} counts: bound by {}, {:.2f} of the floor of DRAM\n",
                  counts_name(p), to_string(p.bound()), p.fraction_of_floor());
  const bool kept = outcome.schedule == outcome.default_schedule;
  if (!kept && outcome.against_default) {
    const Comparison& c = *outcome.against_default;
    text += fmt::format("  {} than the default\n", faster_text(c.ratio, c.low, c.high));
  }
  if (outcome.passed_over) {
    const PredictedRatio& c = outcome.passed_over->against_default;
    text +=
        fmt::format("  not taken, it may be slower: {}, {} by prediction\n",
                    to_string(outcome.passed_over->schedule), faster_text(c.ratio, c.low, c.high));
  }
  return text + fmt::format("  {}: {}\n", to_string(p.basis), p.basis_why);
}

Json search_json(const TuneResult& result, const TuneSite& site, const TuneOptions& how) {
  const TuneOutcome& outcome = result.outcome;
  const DeviceInfo& device = site.device.info();
  Json json = {{"target", device.target.name}};
  if (outcome.prediction) json["gpu"] = outcome.gpu;
  json["determinism"] = to_string(site.determinism);
  json["effort"] = to_string(how.effort);
  json["seed"] = how.seed;
  if (outcome.prediction) json["counts"] = counts_name(*outcome.prediction);
  json["ratio_to_default"] = comparison_json(outcome);
  json["passed_over"] = passed_over_json(outcome);
  json["near_ties"] = Json::array();
  for (const Schedule& schedule : outcome.near_ties) {
    json["near_ties"].push_back(to_string(schedule));
  }
  json["space"] = space_json(outcome.space);
  json["looked_at"] = outcome.candidates.size();
  json["resumed"] = outcome.resumed;
  json["disturbed_why"] = outcome.disturbance.why;
  json["cancelled"] = outcome.cancelled;
  json["out_of_time"] = outcome.out_of_time;
  json["wall_seconds"] = outcome.wall_seconds;
  return json;
}

}  // namespace

Json space_json(const SpaceOutcome& space) {
  return {{"tried", space.tried},
          {"candidates", space.candidates},
          {"left_out", space.left_out},
          {"refused", space.refused}};
}

Json result_json(const TuneResult& result, const TuneSite& site, const TuneOptions& how) {
  const Winner& w = result.winner;
  Json entry = {
      {"task", to_string(w.task)},
      {"problem", to_string(w.task.problem)},
      {"variant", to_string(w.task.problem.variant)},
      {"device", site.device.info().name},
      {"direction", to_string(w.task.direction)},
      {"rows", result.rows},
      {"inner", w.tuned_inner},
      {"schedule", w.schedule},
      {"evidence", to_string(w.evidence)},
      {"disturbed", w.disturbed},
      {"time_ns", time_json(w.time)},
      {"default", {{"schedule", w.default_schedule}, {"time_ns", time_json(w.default_time)}}},
      {"winner_rows", {w.rows.low, w.rows.high}},
      {"timed_again", result.timed_again},
      {"stored", result.stored},
      {"search", search_json(result, site, how)}};
  if (!w.time) entry["why"]["time_ns"] = "nothing was timed";
  if (result.outcome.prediction)
    entry["prediction"] = whole_prediction_json(*result.outcome.prediction);
  if (!w.default_time) entry["default"]["why"]["time_ns"] = "nothing was timed";
  if (result.stored) {
    entry["cache_entry"] = site.cache.folder() + "/" + winner_path(w);
  } else {
    set_null(entry, "cache_entry", "the winner was not stored");
  }
  if (w.error_scaled) {
    entry["error"]["scaled"] = *w.error_scaled;
  } else {
    set_null(entry, "error", "nothing was checked");
  }
  if (w.bound_ns && w.time) {
    entry["bound_kind"] = w.bound_kind;
    entry["bound_ns"] = *w.bound_ns;
    entry["fraction_of_bound"] = *w.bound_ns / w.time->median;
  } else {
    for (const char* field : {"bound_kind", "bound_ns", "fraction_of_bound"}) {
      set_null(entry, field, "nothing was timed");
    }
  }
  entry["candidates"] = Json::array();
  for (const CandidateOutcome& candidate : result.outcome.candidates) {
    entry["candidates"].push_back(candidate_json(candidate));
  }
  return entry;
}

std::string result_text(const TuneResult& result, const Range& asked) {
  const Winner& w = result.winner;
  const TuneOutcome& outcome = result.outcome;
  std::string text = fmt::format("{}, {} rows\n", to_string(w.task), result.rows);
  if (asked.low != asked.high) {
    text += fmt::format("  wins from {} to {} rows\n", w.rows.low, w.rows.high);
  } else if (result.rows != asked.high) {
    text += fmt::format("  rows reduced from {} to fit the memory for tuning\n", asked.high);
  }
  std::vector<std::vector<std::string>> rows = {{"  ", "median", "schedule"}};
  const bool kept = w.schedule == w.default_schedule;  // the default is the winner, or nothing is
  rows.push_back({kept ? "  default kept" : "  winner",
                  w.time ? duration_text(w.time->median) : "not timed", w.schedule});
  if (w.default_time && !kept) {
    rows.push_back({"  default", duration_text(w.default_time->median), w.default_schedule});
  }
  if (w.bound_ns) rows.push_back({"  " + w.bound_kind, duration_text(*w.bound_ns), ""});
  text += table(rows);
  text += prediction_text(outcome);
  text += fmt::format("  {} candidates {} in {:.1f} s{}{}{}\n", outcome.candidates.size(),
                      result.timed_again ? "of an earlier winner timed again" : "looked at",
                      outcome.wall_seconds, w.disturbed ? ", machine disturbed" : "",
                      outcome.cancelled ? ", interrupted" : "",
                      result.stored ? "; stored" : "; not stored");
  return text;
}

std::string reasons_text(const std::map<std::string, std::int64_t>& reasons) {
  std::vector<std::pair<std::int64_t, std::string>> order;
  for (const auto& [reason, count] : reasons) order.emplace_back(-count, reason);
  std::sort(order.begin(), order.end());
  std::string text;
  for (const auto& [count, reason] : order) text += fmt::format("  {:8}  {}\n", -count, reason);
  return text;
}

}  // namespace grkan::cli
