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
#include "tuner/candidate_calls.h"
#include "tuner/offline.h"
#include "tuner/pruning.h"
#include "tuner/request.h"
#include "tuner/search.h"
#include "tuner/space.h"
#include "tuner/strategy.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kUnknown = std::numeric_limits<double>::infinity();

// One tuning: the request, its space and the caller's functions.
class Tuning {
 public:
  Tuning(TuneRequest request, const TuneCallbacks& callbacks)
      : request_(std::move(request)),
        calls_(callbacks),
        space_(request_space(request_)),
        builder_(calls_, request_, space_.schedules.front()) {
    for (const Schedule& schedule : space_.schedules) names_.push_back(to_string(schedule));
  }

  std::string run() {
    const auto start = std::chrono::steady_clock::now();
    SearchResult result;
    if (request_.effort != TuneEffort::instant) {
      result = search_space();
    } else {
      result.candidates = known();
      result.candidates[0] = {};  // nothing was timed now
    }
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
    Json json = answer(result);
    json["wall_seconds"] = wall.count();
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

 private:
  SearchResult search_space() {
    const SearchFunctions functions{
        .build = [this](std::size_t i) { return builder_.build(space_.schedules[i]); },
        .check = [this](std::size_t i) { return calls_.check(names_[i]); },
        .measure = [this](std::size_t i) { return calls_.measure(names_[i]); },
        .record = [this](std::size_t i, const CandidateResult& r) { record(i, r); },
        .progress = [this](std::size_t done, std::size_t total, double left,
                           std::size_t at) { calls_.progress(done, total, left, names_[at]); },
        .cancelled = [this] { return calls_.cancelled(); },
        .now = {},
    };
    SearchOptions options = search_options(request_.effort);
    options.budget_seconds = request_.budget_seconds;
    const std::unique_ptr<Strategy> strategy = request_strategy(request_, space_);
    return search(names_.size(), *strategy, functions, options, known());
  }

  void record(std::size_t i, const CandidateResult& r) const {
    Json line = line_head(request_, names_[0]);
    line["schedule"] = names_[i];
    line["status"] = to_string(r.status);
    line["why"] = r.why;
    line["error_scaled"] = finite_json(r.error_scaled);
    line["seconds"] = Json::array();
    line["reference_seconds"] = Json::array();
    if (r.status == CandidateStatus::ok) {
      line["seconds"].push_back(r.seconds.back());
      line["reference_seconds"].push_back(r.reference_seconds.back());
    }
    calls_.record(line);
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
    std::vector<CandidateResult> results(names_.size());
    for (const OwnLine& own : own_lines(request_, names_)) merge(own.line, results[own.schedule]);
    resumed_ = std::count_if(results.begin(), results.end(), [](const CandidateResult& r) {
      return r.status != CandidateStatus::skipped;
    });
    return results;
  }

  static Json write(const std::vector<double>& seconds) {
    if (seconds.empty()) return nullptr;
    const Summary s = summarize(seconds);
    return {{"median", s.median}, {"p10", s.p10}, {"p90", s.p90}, {"samples", s.samples}};
  }

  static Json write(const Comparison& c) {
    return {{"median", c.ratio},
            {"low", c.low},
            {"high", finite_json(c.high)},  // null: too few rounds to bound it
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
                      {"ratio_to_default", finite_json(ratio(r))},
                      {"error_scaled", finite_json(r.error_scaled)},
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
    Json json = answer_head(request_);
    json.update(
        {{"schedule", names_[result.winner]},
         // In the winner's rounds, so that the two compare.
         {"default", {{"schedule", names_[0]}, {"seconds", write(winner.reference_seconds)}}},
         {"evidence", measured ? "measured" : "default"},
         {"seconds", write(winner.seconds)},
         {"error_scaled", measured ? finite_json(winner.error_scaled) : Json(nullptr)},
         {"ratio_to_default", measured ? write(result.against_default) : Json(nullptr)},
         {"near_ties", ties},
         {"candidates", list},
         {"space", space_json(space_, result.candidates)},
         {"looked_at", list.size()},
         {"resumed", resumed_},
         {"disturbed", result.disturbance.disturbed},
         {"disturbed_why", result.disturbance.why},
         {"cancelled", result.cancelled},
         {"out_of_time", result.out_of_time}});
    return json;
  }

  TuneRequest request_;
  CandidateCalls calls_;
  Space space_;
  PruningBuilder builder_;
  std::vector<std::string> names_;
  std::int64_t resumed_ = 0;
};

}  // namespace

std::string tune(std::string_view text, const TuneCallbacks& callbacks) {
  const TuneRequest request = parse_tune_request(text);
  if (callbacks.build == nullptr || callbacks.check == nullptr) {
    fail_argument("tune needs the callbacks build and check");
  }
  if (request.gpu) {
    if (callbacks.count == nullptr || callbacks.execute == nullptr) {
      fail_argument("tune for a GPU model needs the callbacks count and execute");
    }
    return tune_offline(request, *request.gpu, callbacks);
  }
  if (callbacks.measure == nullptr) fail_argument("tune needs the callback measure");
  return Tuning(request, callbacks).run();
}

}  // namespace grkan
