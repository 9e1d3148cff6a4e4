#include "tuner/tune.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>
#include <vector>

#include "core/error.h"
#include "tuner/effort.h"
#include "tuner/search.h"
#include "tuner/space.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kUnknown = std::numeric_limits<double>::infinity();

struct Request {
  Task task;
  Target target;
  Determinism determinism = Determinism::run_to_run;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  TuneEffort effort = TuneEffort::quick;
  double budget_seconds = 0;
  std::int64_t seed = 1;
  std::string compiler;
  std::string generator;
  std::vector<Json> resume;
};

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

Request parse_request(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) fail_argument("tune request: not a JSON object");
  if (const std::int64_t schema = integer_of(json, "schema", 0, 0); schema != kTuneSchema) {
    fail_argument("tune request: schema {} is unknown; use {}", schema, kTuneSchema);
  }
  Request request{.task = parse_task(text_of(json, "task", nullptr)),
                  .target = parse_target(text_of(json, "target", nullptr)),
                  .determinism = parse_determinism(text_of(json, "determinism", "run_to_run")),
                  .rows = integer_of(json, "rows", 1, 0),
                  .inner = integer_of(json, "inner", 1, 1),
                  .effort = parse_tune_effort(text_of(json, "effort", "quick")),
                  .seed = integer_of(json, "seed", 0, 1),
                  .compiler = text_of(json, "compiler", ""),
                  .generator = text_of(json, "generator", ""),
                  .resume = resume_of(json)};
  if (request.rows < 1) fail_argument("tune request: rows must be given, at least 1");
  request.budget_seconds = search_options(request.effort).budget_seconds;
  const Json budget = json.value("budget_seconds", Json());
  if (!budget.is_null()) {
    if (!budget.is_number() || !std::isfinite(budget.get<double>()) || budget.get<double>() < 0) {
      fail_argument("tune request: budget_seconds must be a number of at least 0");
    }
    request.budget_seconds = budget.get<double>();
  }
  return request;
}

// What a caller's status says of the candidate.
CandidateStatus candidate_status(std::int32_t code, CandidateStatus otherwise) {
  switch (Status(code)) {
    case Status::ok:
      return CandidateStatus::ok;
    case Status::compile_failed:
      return CandidateStatus::compile_failed;
    case Status::wrong_answer:
      return CandidateStatus::wrong_answer;
    case Status::device_error:
      return CandidateStatus::launch_failed;
    case Status::unsupported:
    case Status::out_of_memory:
      return CandidateStatus::exceeds_device;
    default:
      return otherwise;
  }
}

// One tuning: the request, its space and the caller's functions.
class Tuning {
 public:
  Tuning(Request request, const TuneCallbacks& callbacks)
      : request_(std::move(request)),
        callbacks_(callbacks),
        space_(enumerate_space(request_.task, request_.target, request_.determinism, request_.rows,
                               request_.inner)) {
    for (const Schedule& schedule : space_.schedules) names_.push_back(to_string(schedule));
  }

  std::string run() {
    const auto start = std::chrono::steady_clock::now();
    SearchResult result;
    result.candidates.resize(names_.size());
    if (request_.effort != TuneEffort::instant) result = search_space();
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
    Json json = answer(result);
    json["wall_seconds"] = wall.count();
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

 private:
  SearchResult search_space() {
    SearchFunctions functions{
        .build = [this](std::size_t i) { return build(i); },
        .check = [this](std::size_t i) { return check(i); },
        .measure = [this](std::size_t i) { return measure(i); },
        .record = {},
        .progress = {},
        .cancelled = {},
        .now = {},
    };
    if (callbacks_.record != nullptr) {
      functions.record = [this](std::size_t i, const CandidateResult& r) { record(i, r); };
    }
    if (callbacks_.progress != nullptr) {
      functions.progress = [this](std::size_t done, std::size_t total, double left,
                                  std::size_t at) {
        callbacks_.progress(callbacks_.self, std::int64_t(done), std::int64_t(total), left,
                            names_[at].c_str());
      };
    }
    if (callbacks_.cancelled != nullptr) {
      functions.cancelled = [this] { return callbacks_.cancelled(callbacks_.self) != 0; };
    }
    SearchOptions options = search_options(request_.effort);
    options.budget_seconds = request_.budget_seconds;
    const std::unique_ptr<Strategy> strategy =
        effort_strategy(request_.effort, space_, std::uint64_t(request_.seed));
    return search(names_.size(), *strategy, functions, options, known());
  }

  StepResult build(std::size_t i) {
    return step(
        [&](char* why, std::size_t size, double*) {
          return callbacks_.build(callbacks_.self, names_[i].c_str(), why, size);
        },
        CandidateStatus::compile_failed);
  }
  StepResult check(std::size_t i) {
    return step(
        [&](char* why, std::size_t size, double* value) {
          return callbacks_.check(callbacks_.self, names_[i].c_str(), value, why, size);
        },
        CandidateStatus::launch_failed);
  }
  StepResult measure(std::size_t i) {
    return step(
        [&](char* why, std::size_t size, double* value) {
          return callbacks_.measure(callbacks_.self, names_[i].c_str(), value, why, size);
        },
        CandidateStatus::launch_failed);
  }

  template <class Call>
  static StepResult step(const Call& call, CandidateStatus otherwise) {
    std::array<char, 1024> why{};
    StepResult result;
    const std::int32_t code = call(why.data(), why.size(), &result.value);
    result.status = candidate_status(code, otherwise);
    if (result.status == CandidateStatus::ok) return result;
    why.back() = '\0';
    result.why = why.front() != '\0' ? why.data() : status_name(Status(code));
    return result;
  }

  void record(std::size_t i, const CandidateResult& r) const {
    Json line = {{"schema", kTuneSchema},
                 {"task", to_string(request_.task)},
                 {"target", request_.target.name},
                 {"compiler", request_.compiler},
                 {"generator", request_.generator},
                 {"default", names_[0]},
                 {"schedule", names_[i]},
                 {"rows", request_.rows},
                 {"inner", request_.inner},
                 {"status", to_string(r.status)},
                 {"why", r.why},
                 {"error_scaled", finite(r.error_scaled)},
                 {"seconds", Json::array()},
                 {"reference_seconds", Json::array()}};
    if (r.status == CandidateStatus::ok) {
      line["seconds"].push_back(r.seconds.back());
      line["reference_seconds"].push_back(r.reference_seconds.back());
    }
    const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace);
    callbacks_.record(callbacks_.self, text.c_str());
  }

  // Whether a line was taken in a tuning like this one: of the same code, beside the same default.
  bool fits(const Json& line) const {
    const auto same = [&](const char* key, const Json& value) {
      const auto found = line.find(key);
      return found != line.end() && *found == value;
    };
    return line.is_object() && same("schema", kTuneSchema) &&
           same("task", to_string(request_.task)) && same("target", request_.target.name) &&
           same("compiler", request_.compiler) && same("generator", request_.generator) &&
           same("default", names_[0]) && same("rows", request_.rows) &&
           same("inner", request_.inner);
  }

  static std::vector<double> times(const Json& line, const char* key) {
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

  static void merge(const Json& line, CandidateResult& into) {
    const auto status = line.find("status");
    if (status == line.end() || !status->is_string()) return;
    try {
      into.status = parse_candidate_status(status->get<std::string>());
    } catch (const Error&) {
      return;  // of a newer version
    }
    if (const auto why = line.find("why"); why != line.end() && why->is_string()) {
      into.why = why->get<std::string>();
    }
    if (const auto error = line.find("error_scaled"); error != line.end() && error->is_number()) {
      into.error_scaled = error->get<double>();
    }
    const std::vector<double> seconds = times(line, "seconds");
    const std::vector<double> reference = times(line, "reference_seconds");
    if (seconds.size() != reference.size()) return;
    into.seconds.insert(into.seconds.end(), seconds.begin(), seconds.end());
    into.reference_seconds.insert(into.reference_seconds.end(), reference.begin(), reference.end());
  }

  std::vector<CandidateResult> known() {
    std::map<std::string, std::size_t> index;
    for (std::size_t i = 0; i < names_.size(); ++i) index[names_[i]] = i;
    std::vector<CandidateResult> results(names_.size());
    for (const Json& line : request_.resume) {
      if (!fits(line)) continue;
      const Json schedule = line.value("schedule", Json());
      const auto found =
          schedule.is_string() ? index.find(schedule.get<std::string>()) : index.end();
      if (found != index.end()) merge(line, results[found->second]);
    }
    resumed_ = std::count_if(results.begin(), results.end(), [](const CandidateResult& r) {
      return r.status != CandidateStatus::skipped;
    });
    return results;
  }

  static Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

  static Json write(const std::vector<double>& seconds) {
    if (seconds.empty()) return nullptr;
    const Summary s = summarize(seconds);
    return {{"median", s.median}, {"p10", s.p10}, {"p90", s.p90}, {"samples", s.samples}};
  }

  static Json write(const Comparison& c) {
    return {{"median", c.ratio},
            {"low", c.low},
            {"high", finite(c.high)},  // null: too few rounds to bound it
            {"rounds", c.rounds}};
  }

  static double ratio(const CandidateResult& r) {
    return r.seconds.empty() ? kUnknown : compare(r.seconds, r.reference_seconds).ratio;
  }

  Json candidates(const SearchResult& result) const {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (result.candidates[i].status != CandidateStatus::skipped) order.push_back(i);
    }
    const auto key = [&](std::size_t i) {
      const CandidateResult& r = result.candidates[i];
      return std::make_tuple(r.status, ratio(r), i);
    };
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
    Json list = Json::array();
    for (const std::size_t i : order) {
      const CandidateResult& r = result.candidates[i];
      list.push_back({{"schedule", names_[i]},
                      {"status", to_string(r.status)},
                      {"why", r.why},
                      {"seconds", write(r.seconds)},
                      {"ratio_to_default", finite(ratio(r))},
                      {"error_scaled", finite(r.error_scaled)},
                      {"finalist", r.finalist}});
    }
    return list;
  }

  Json answer(const SearchResult& result) const {
    // Times of the default alone say nothing of a winner.
    const bool measured = request_.effort != TuneEffort::instant && result.decided;
    const CandidateResult& winner = result.candidates[result.winner];
    Json ties = Json::array();
    for (const std::size_t i : result.near_ties) ties.push_back(names_[i]);
    const Json list = candidates(result);
    return {{"schema", kTuneSchema},
            {"task", to_string(request_.task)},
            {"target", request_.target.name},
            {"determinism", to_string(request_.determinism)},
            {"rows", request_.rows},
            {"inner", request_.inner},
            {"effort", to_string(request_.effort)},
            {"seed", request_.seed},
            {"schedule", names_[result.winner]},
            // In the winner's rounds, so that the two compare.
            {"default", {{"schedule", names_[0]}, {"seconds", write(winner.reference_seconds)}}},
            {"evidence", measured ? "measured" : "default"},
            {"seconds", write(winner.seconds)},
            {"error_scaled", measured ? finite(winner.error_scaled) : Json(nullptr)},
            {"ratio_to_default", measured ? write(result.against_default) : Json(nullptr)},
            {"near_ties", ties},
            {"candidates", list},
            {"space", {{"candidates", names_.size()}, {"left_out", space_.left_out}}},
            {"looked_at", list.size()},
            {"resumed", resumed_},
            {"disturbed", result.disturbance.disturbed},
            {"disturbed_why", result.disturbance.why},
            {"cancelled", result.cancelled},
            {"out_of_time", result.out_of_time}};
  }

  Request request_;
  const TuneCallbacks& callbacks_;
  Space space_;
  std::vector<std::string> names_;
  std::int64_t resumed_ = 0;
};

}  // namespace

std::string tune(std::string_view request, const TuneCallbacks& callbacks) {
  if (callbacks.build == nullptr || callbacks.check == nullptr || callbacks.measure == nullptr) {
    fail_argument("tune needs the callbacks build, check and measure");
  }
  return Tuning(parse_request(request), callbacks).run();
}

}  // namespace grkan
