#include "tuner/measured_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <tuple>

#include "core/error.h"
#include "tuner/effort.h"
#include "tuner/pruning.h"
#include "tuner/records.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kUnknown = std::numeric_limits<double>::infinity();

class MeasuredRun {
 public:
  MeasuredRun(const TuneRequest& request, Trial& trial, const TuneHooks& hooks)
      : request_(request),
        trial_(trial),
        hooks_(hooks),
        space_(request_space(request)),
        builder_(trial, request, space_.schedules.front()) {
    for (const Schedule& schedule : space_.schedules) names_.push_back(to_string(schedule));
  }

  TuneOutcome run() {
    const auto start = std::chrono::steady_clock::now();
    const SearchResult result = search_space();
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
    TuneOutcome found = outcome(result);
    found.wall_seconds = wall.count();
    return found;
  }

 private:
  [[nodiscard]] const Schedule& at(std::size_t i) const { return space_.schedules[i]; }

  SearchResult search_space() {
    SearchFunctions functions{
        .build = [this](std::size_t i) { return builder_.build(at(i)); },
        .check =
            [this](std::size_t i) {
              return step(CandidateStatus::launch_failed, [&] { return trial_.check(at(i)); });
            },
        .measure =
            [this](std::size_t i) {
              return step(CandidateStatus::launch_failed, [&] { return trial_.measure(at(i)); });
            },
        .record = {},
        .progress = {},
        .cancelled = hooks_.cancelled,
        .now = {},
    };
    if (hooks_.record) {
      functions.record = [this](std::size_t i, const CandidateResult& r) { record(i, r); };
    }
    if (hooks_.progress) {
      functions.progress = [this](std::size_t done, std::size_t total, double left, std::size_t i) {
        hooks_.progress({done, total, left, at(i)});
      };
    }
    SearchOptions options = search_options(request_.effort);
    options.budget_seconds = request_budget(request_);
    const std::unique_ptr<Strategy> strategy = request_strategy(request_, space_);
    return search(names_.size(), *strategy, functions, options, known());
  }

  void record(std::size_t i, const CandidateResult& r) const {
    Json line = record_line(request_, names_[0], names_[i], r.status, r.why, r.error_scaled);
    line["seconds"] = Json::array();
    line["reference_seconds"] = Json::array();
    if (r.status == CandidateStatus::ok) {
      line["seconds"].push_back(r.seconds.back());
      line["reference_seconds"].push_back(r.reference_seconds.back());
    }
    hooks_.record(line);
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
    const std::vector<double> seconds = recorded_times(line, "seconds");
    const std::vector<double> reference = recorded_times(line, "reference_seconds");
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

  static double ratio(const CandidateResult& r) {
    return r.seconds.empty() ? kUnknown : compare(r.seconds, r.reference_seconds).ratio;
  }

  [[nodiscard]] std::vector<CandidateOutcome> candidates(const SearchResult& result) const {
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
    std::vector<CandidateOutcome> list;
    for (const std::size_t i : order) {
      const CandidateResult& r = result.candidates[i];
      list.push_back({.schedule = at(i),
                      .status = r.status,
                      .why = r.why,
                      .time = time_of(r.seconds),
                      .ratio_to_default = finite(ratio(r)),
                      .error_scaled = finite(r.error_scaled),
                      .finalist = r.finalist});
    }
    return list;
  }

  [[nodiscard]] TuneOutcome outcome(const SearchResult& result) const {
    const CandidateResult& winner = result.candidates[result.winner];
    TuneOutcome found;
    found.schedule = at(result.winner);
    found.default_schedule = at(0);
    found.default_time = time_of(winner.reference_seconds);
    // Times of the default alone say nothing of a winner.
    if (result.decided) {
      found.time = time_of(winner.seconds);
      if (found.time) found.evidence = Evidence::measured;
      found.error_scaled = finite(winner.error_scaled);
      found.against_default = result.against_default;
    }
    for (const std::size_t i : result.near_ties) found.near_ties.push_back(at(i));
    found.candidates = candidates(result);
    found.space = space_outcome(space_, found.candidates);
    found.resumed = resumed_;
    found.disturbance = result.disturbance;
    found.cancelled = result.cancelled;
    found.out_of_time = result.out_of_time;
    return found;
  }

  const TuneRequest& request_;
  Trial& trial_;
  const TuneHooks& hooks_;
  Space space_;
  PruningBuilder builder_;
  std::vector<std::string> names_;
  std::int64_t resumed_ = 0;
};

}  // namespace

TuneOutcome measured_run(const TuneRequest& request, Trial& trial, const TuneHooks& hooks) {
  return MeasuredRun(request, trial, hooks).run();
}

}  // namespace grkan
