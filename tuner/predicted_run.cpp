#include "tuner/predicted_run.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "core/backend.h"
#include "core/error.h"
#include "tuner/effort.h"
#include "tuner/parallel.h"
#include "tuner/pruning.h"
#include "tuner/records.h"
#include "tuner/safe_choice.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kThreads = 2;  // that compile at a time
// Executed beside the default, by effort.
constexpr std::array<std::size_t, 5> kFinalists = {0, 0, 8, 16, 32};

struct Candidate {
  CandidateStatus status = CandidateStatus::skipped;
  std::string why;
  std::optional<Prediction> from_code;
  std::optional<Prediction> executed;
  double error_scaled = 0;  // once it is executed
  bool finalist = false;

  [[nodiscard]] bool failed() const {
    return status != CandidateStatus::ok && status != CandidateStatus::skipped;
  }
  // By executed counts where there are any; null: nothing is known.
  [[nodiscard]] const Prediction* best() const {
    if (executed) return &*executed;
    return from_code ? &*from_code : nullptr;
  }
};

std::unique_ptr<const CostModel> cost_model_of(const TuneRequest& request, const GpuModel& gpu) {
  const Backend& backend = backend_of(request.target);
  std::unique_ptr<const CostModel> model = backend.cost_model(gpu);
  if (model != nullptr) return model;
  fail(Status::unsupported, "there is no cost model for {} ({})", gpu.name, backend.name());
}

class PredictedRun {
 public:
  PredictedRun(const TuneRequest& request, const GpuModel& gpu, Trial& trial,
               const TuneHooks& hooks)
      : request_(request),
        gpu_(gpu),
        model_(cost_model_of(request, gpu)),
        options_(search_options(request.effort)),
        trial_(trial),
        hooks_(hooks),
        budget_(request_budget(request)),
        space_(request_space(request)),
        builder_(trial, request, space_.schedules.front()),
        candidates_(space_.schedules.size()),
        recorded_(space_.schedules.size()),
        start_(std::chrono::steady_clock::now()) {
    for (const Schedule& schedule : space_.schedules) names_.push_back(to_string(schedule));
  }

  TuneOutcome run() {
    resume();
    prepare_default();
    screen();
    finals();
    decide();
    TuneOutcome found = outcome();
    found.wall_seconds = elapsed();
    return found;
  }

 private:
  [[nodiscard]] bool executes() const { return request_.effort != Effort::instant; }
  [[nodiscard]] double elapsed() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  bool stopped() {
    cancelled_ = cancelled_ || (hooks_.cancelled && hooks_.cancelled());
    out_of_time_ = out_of_time_ || elapsed() > budget_;
    return cancelled_ || out_of_time_;
  }

  void tell_progress(std::size_t done, std::size_t total, double left, std::size_t i) const {
    if (hooks_.progress) hooks_.progress({done, total, left, space_.schedules[i]});
  }

  [[nodiscard]] SizedCall call(std::size_t i) const {
    return {.task = request_.task,
            .schedule = space_.schedules[i],
            .rows = request_.rows,
            .inner = request_.inner};
  }

  // What is recorded of a candidate: counts, so that a better model predicts again from them.
  void record(std::size_t i, const char* field, const Json& counts) {
    if (!hooks_.record) return;
    const Candidate& c = candidates_[i];
    Json line = record_line(request_, names_[0], names_[i], c.status, c.why, c.error_scaled);
    if (field != nullptr) line[field] = counts;
    hooks_.record(line);
  }
  void fail_candidate(std::size_t i, const StepResult& failed) {
    candidates_[i].status = failed.status;
    candidates_[i].why = failed.why;
    if (recorded_[i].status != failed.status) record(i, nullptr, {});
  }

  void resume() {
    for (const OwnLine& own : own_lines(request_, names_)) {
      try {
        resume(own.line, own.schedule);
      } catch (const std::exception&) {
        continue;  // of another version, or damaged: counted again
      }
    }
  }

  void resume(const Json& line, std::size_t i) {
    Candidate& candidate = recorded_[i];
    const CandidateStatus status = parse_candidate_status(line.at("status").get<std::string>());
    if (line.contains("counts")) {
      candidate.from_code = model_->of_code(call(i), line.at("counts"));
    } else if (line.contains("launches")) {
      candidate.executed = predict_executed(i, line.at("launches"));
      candidate.error_scaled = line.at("error_scaled").get<double>();
    } else if (status == CandidateStatus::ok || i == 0) {
      return;
    }
    candidate.status = status;
    candidate.why = line.at("why").get<std::string>();
  }

  [[nodiscard]] Prediction predict_executed(std::size_t i, const Json& launches) const {
    return model_->of_execution(call(i), launches);
  }

  // Builds once and predicts from the code; the prediction stays empty where code tells nothing.
  // Called from several threads, for different candidates. `counts` stays null for what was
  // recorded.
  StepResult look_at_code(std::size_t i, Json& counts) {
    const Candidate& recorded = recorded_[i];
    if (recorded.best() != nullptr) {  // executed alone: its code tells nothing
      candidates_[i].from_code = recorded.from_code;
      return {};
    }
    if (recorded.status == CandidateStatus::compile_failed ||
        recorded.status == CandidateStatus::pruned) {
      return {.status = recorded.status, .why = recorded.why};
    }
    StepResult built = builder_.build(space_.schedules[i]);
    if (built.status != CandidateStatus::ok) return built;
    built =
        step(CandidateStatus::launch_failed, [&] { counts = trial_.count(space_.schedules[i]); });
    if (built.status != CandidateStatus::ok) return built;
    try {
      candidates_[i].from_code = model_->of_code(call(i), counts);
    } catch (const Error& error) {
      if (error.status() != Status::unsupported) throw;
      counts = nullptr;
    }
    return built;
  }

  // Checks, executes and predicts again; false when it failed.
  bool execute(std::size_t i) {
    Candidate& candidate = candidates_[i];
    if (candidate.executed) return true;
    if (recorded_[i].executed) {
      candidate = recorded_[i];
      return true;
    }
    const Schedule& schedule = space_.schedules[i];
    StepResult done = step(CandidateStatus::compile_failed, [&] { trial_.build(schedule); });
    if (done.status == CandidateStatus::ok) {
      done = judge(step(CandidateStatus::launch_failed, [&] { return trial_.check(schedule); }));
    }
    candidate.error_scaled = done.value;
    Json launches;
    if (done.status == CandidateStatus::ok) {
      const SampleShape shape = model_->sample(call(i));
      done = step(CandidateStatus::launch_failed,
                  [&] { launches = trial_.execute(schedule, shape.rows, shape.multiprocessors); });
    }
    if (done.status != CandidateStatus::ok) {
      fail_candidate(i, done);
      return false;
    }
    candidate.executed = predict_executed(i, launches);
    candidate.status = CandidateStatus::ok;
    record(i, "launches", launches);
    return true;
  }

  void look_at_codes(const std::vector<std::size_t>& batch) {
    std::vector<StepResult> steps(batch.size());
    std::vector<Json> counts(batch.size());
    for_each_in_threads(batch.size(), kThreads,
                        [&](std::size_t k) { steps[k] = look_at_code(batch[k], counts[k]); });
    for (std::size_t k = 0; k < batch.size(); ++k) {
      const std::size_t i = batch[k];
      if (steps[k].status != CandidateStatus::ok) {
        fail_candidate(i, steps[k]);
      } else if (!candidates_[i].from_code) {
        execute(i);
      } else {
        candidates_[i].status = CandidateStatus::ok;
        if (!counts[k].is_null()) record(i, "counts", counts[k]);
      }
    }
  }

  void prepare_default() {
    if (!candidates_[0].from_code) look_at_codes({0});
    if (!candidates_[0].failed() && executes()) execute(0);
    if (candidates_[0].failed()) fail_default(candidates_[0].status, candidates_[0].why);
  }

  // Time over the default's, both of executed counts where there are both.
  [[nodiscard]] PredictedRatio against_default(std::size_t i) const {
    if (i == 0) return {};
    const Candidate& candidate = candidates_[i];
    const Candidate& standard = candidates_[0];
    if (candidate.executed && standard.executed) {
      return ratio_of(*candidate.executed, *standard.executed);
    }
    if (candidate.from_code && standard.from_code) {
      return ratio_of(*candidate.from_code, *standard.from_code);
    }
    return ratio_of(*candidate.best(), *standard.best());
  }
  [[nodiscard]] double cost(std::size_t i) const { return against_default(i).ratio; }
  [[nodiscard]] std::vector<CandidateCost> costs() const {
    std::vector<CandidateCost> costs(candidates_.size());
    for (std::size_t i = 0; i < costs.size(); ++i) {
      if (candidates_[i].failed()) {
        costs[i].state = CandidateCost::failed;
      } else if (candidates_[i].best() != nullptr) {
        costs[i] = {.state = CandidateCost::known, .cost = cost(i)};
      }
    }
    return costs;
  }

  void screen() {
    const std::unique_ptr<Strategy> strategy = request_strategy(request_, space_);
    const std::size_t total = strategy->expected(candidates_.size()) + finalists();
    std::size_t done = 0;
    while (!stopped()) {
      const std::vector<std::size_t> batch = strategy->propose(costs(), options_.batch);
      if (batch.empty()) return;
      const double left = done == 0 ? 0 : elapsed() / double(done) * double(total - done);
      tell_progress(done, total, left, batch.front());
      look_at_codes(batch);
      done = std::min(done + batch.size(), total);
    }
  }

  [[nodiscard]] std::size_t finalists() const {
    return kFinalists.at(std::size_t(request_.effort));
  }
  // Those known, the fastest first; of the equally fast the first of the space.
  [[nodiscard]] std::vector<std::size_t> by_cost() const {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (!candidates_[i].failed() && candidates_[i].best() != nullptr) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [this](std::size_t a, std::size_t b) { return cost(a) < cost(b); });
    return order;
  }

  void finals() {
    candidates_[0].finalist = true;
    std::size_t done = 0;
    for (const std::size_t i : by_cost()) {
      if (i == 0) continue;
      if (done == finalists() || stopped()) break;
      tell_progress(done, finalists(), 0, i);
      if (!execute(i)) continue;
      candidates_[i].finalist = true;
      ++done;
    }
  }

  // Among those whose counts are of the default's kind.
  void decide() {
    const bool executed = candidates_[0].executed.has_value();
    std::vector<std::size_t> order = by_cost();
    std::erase_if(order, [&](std::size_t i) {
      return executed ? !candidates_[i].executed : !candidates_[i].from_code;
    });
    std::vector<PredictedCandidate> predicted;
    for (const std::size_t i : order) predicted.push_back({i, against_default(i)});
    choice_ = safe_choice(predicted, options_.hysteresis, options_.equal);
  }

  [[nodiscard]] std::vector<CandidateOutcome> candidate_outcomes() const {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (candidates_[i].status != CandidateStatus::skipped) order.push_back(i);
    }
    const auto key = [&](std::size_t i) {
      const Candidate& c = candidates_[i];
      return std::make_tuple(c.status, !c.executed, c.best() != nullptr ? cost(i) : 0, i);
    };
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
    std::vector<CandidateOutcome> list;
    for (const std::size_t i : order) {
      const Candidate& c = candidates_[i];
      CandidateOutcome& of = list.emplace_back();
      of.schedule = space_.schedules[i];
      of.status = c.status;
      of.why = c.why;
      of.finalist = c.finalist;
      if (c.executed) of.error_scaled = finite(c.error_scaled);
      if (c.best() == nullptr) continue;
      of.time = time_of(*c.best());
      of.ratio_to_default = cost(i);
    }
    return list;
  }

  [[nodiscard]] TuneOutcome outcome() const {
    const Candidate& winner = candidates_[choice_.winner];
    TuneOutcome found;
    set_choice(found, choice_, space_, [this](std::size_t i) { return against_default(i); });
    found.prediction = *winner.best();
    found.gpu = gpu_.name;
    found.evidence =
        found.prediction->executed ? Evidence::predicted_executed : Evidence::predicted_static;
    found.time = time_of(*found.prediction);
    found.default_time = time_of(*candidates_[0].best());
    if (winner.executed) found.error_scaled = finite(winner.error_scaled);
    found.candidates = candidate_outcomes();
    found.space = space_outcome(space_, found.candidates);
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const bool looked_at = candidates_[i].status != CandidateStatus::skipped;
      if (looked_at && recorded_[i].status != CandidateStatus::skipped) ++found.resumed;
    }
    found.cancelled = cancelled_;
    found.out_of_time = out_of_time_;
    return found;
  }

  const TuneRequest& request_;
  const GpuModel& gpu_;
  std::unique_ptr<const CostModel> model_;
  SearchOptions options_;  // what counts as faster, and as equally fast
  Trial& trial_;
  const TuneHooks& hooks_;
  double budget_;
  Space space_;
  PruningBuilder builder_;
  std::vector<std::string> names_;
  std::vector<Candidate> candidates_;
  std::vector<Candidate> recorded_;  // by an earlier tuning: taken when the strategy asks for them
  std::chrono::steady_clock::time_point start_;
  SafeChoice choice_;
  bool cancelled_ = false;
  bool out_of_time_ = false;
};

}  // namespace

TuneOutcome predicted_run(const TuneRequest& request, const GpuModel& gpu, Trial& trial,
                          const TuneHooks& hooks) {
  return PredictedRun(request, gpu, trial, hooks).run();
}

}  // namespace grkan
