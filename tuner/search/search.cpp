#include "tuner/search/search.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "core/error.h"
#include "core/text.h"

namespace grkan {
namespace {

constexpr std::array<std::string_view, 8> kStatuses = {
    "ok",           "compile_failed", "exceeds_device", "launch_failed",
    "wrong_answer", "pruned",         "too_slow",       "skipped"};

// Rounds that an interval of the usual confidence needs, and one to spare.
constexpr std::size_t kFewestFinalRounds = 9;
// The finals take at most so many times their rounds, while noise hides whether there is a gain.
constexpr std::size_t kMostExtensions = 3;

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<double> ratios(const CandidateResult& result) {
  return quotients(result.seconds, result.reference_seconds);
}

// A launch or an allocation may fail for a passing reason; these say something of the candidate.
bool is_final(CandidateStatus status) {
  return status == CandidateStatus::compile_failed || status == CandidateStatus::wrong_answer ||
         status == CandidateStatus::pruned;
}

class Search {
 public:
  Search(std::size_t candidates, Strategy& strategy, const SearchFunctions& functions,
         const SearchOptions& options)
      : strategy_(strategy),
        functions_(functions),
        options_(options),
        start_(now()),
        costs_(candidates),
        built_(candidates, false),
        final_begin_(candidates, 0) {
    result_.candidates.resize(candidates);
  }

  SearchResult run(std::span<const CandidateResult> known) {
    resume(known);
    prepare_default();
    screen();
    finals();
    decide();
    result_.disturbance = find_disturbance(reference_times_, options_.quiet);
    return std::move(result_);
  }

 private:
  [[nodiscard]] double now() const { return functions_.now ? functions_.now() : steady_seconds(); }
  [[nodiscard]] double elapsed() const { return now() - start_; }

  bool stopped() {
    if (!result_.cancelled && functions_.cancelled && functions_.cancelled()) {
      result_.cancelled = true;
    }
    return result_.cancelled;
  }

  void record(std::size_t i) {
    if (functions_.record) functions_.record(i, result_.candidates[i]);
  }

  void fail_candidate(std::size_t i, StepResult step) {
    result_.candidates[i].status = step.status;
    result_.candidates[i].why = std::move(step.why);
    costs_[i].state = CandidateCost::failed;
    record(i);
  }

  void resume(std::span<const CandidateResult> known) {
    for (std::size_t i = 1; i < known.size(); ++i) {
      const std::vector<double> values = ratios(known[i]);
      if (is_final(known[i].status)) {
        costs_[i].state = CandidateCost::failed;
      } else if (known[i].status != CandidateStatus::launch_failed && !values.empty()) {
        costs_[i] = {.state = CandidateCost::known, .cost = median(values)};
      } else {
        continue;
      }
      result_.candidates[i] = known[i];
      result_.candidates[i].finalist = false;
    }
  }

  // Builds and checks once; false when that failed now.
  bool prepare(std::size_t i) {
    if (built_[i]) return true;
    StepResult step = functions_.build(i);
    if (step.status == CandidateStatus::ok) {
      step = judge(functions_.check(i));
      result_.candidates[i].error_scaled = step.value;
    }
    if (step.status != CandidateStatus::ok) {
      fail_candidate(i, std::move(step));
      return false;
    }
    built_[i] = true;
    if (result_.candidates[i].status == CandidateStatus::skipped) {
      result_.candidates[i].status = CandidateStatus::ok;
    }
    return true;
  }

  // One run's seconds, or why not.
  StepResult time_once(std::size_t i) {
    StepResult step = functions_.measure(i);
    if (step.status == CandidateStatus::ok && !(std::isfinite(step.value) && step.value > 0)) {
      step.status = CandidateStatus::launch_failed;
      step.why = fmt::format("measured {} seconds", step.value);
    }
    return step;
  }

  void prepare_default() {
    if (!prepare(0)) fail_default(result_.candidates[0].status, result_.candidates[0].why);
    costs_[0] = {.state = CandidateCost::known, .cost = 1};
    if (stopped()) return;
    const double seconds = time_default();
    keep_default(seconds);
    record(0);
  }

  double time_default() {
    const StepResult step = time_once(0);
    if (step.status != CandidateStatus::ok) fail_default(step.status, step.why);
    return step.value;
  }

  void keep_default(double seconds) {
    reference_times_.push_back(seconds);
    result_.candidates[0].seconds.push_back(seconds);
    result_.candidates[0].reference_seconds.push_back(seconds);
  }

  // A sample of each: the default and they in turn, beginning with another one in each round. Those
  // that fail leave. False when stopped.
  bool round(std::vector<std::size_t>& candidates, std::size_t number, double deadline) {
    std::vector<double> reference;
    std::map<std::size_t, std::vector<double>> seconds;
    std::rotate(candidates.begin(), candidates.begin() + std::ptrdiff_t(number % candidates.size()),
                candidates.end());
    bool complete = true;
    for (std::size_t turn = turns(candidates.size()); turn > 0 && complete; --turn) {
      if (stopped()) {
        complete = false;
        break;
      }
      reference.push_back(time_default());
      std::erase_if(candidates, [&](std::size_t i) {
        complete = complete && !stopped() && now() <= deadline;
        if (!complete) return false;
        StepResult step = time_once(i);
        if (step.status == CandidateStatus::ok) {
          seconds[i].push_back(step.value);
          return false;
        }
        fail_candidate(i, std::move(step));
        return true;
      });
    }
    std::sort(candidates.begin(), candidates.end());
    if (reference.empty()) return false;
    keep_default(median(reference));
    for (const std::size_t i : candidates) {
      if (seconds.contains(i)) keep_sample(i, median(seconds[i]), median(reference));
    }
    return complete;
  }

  void keep_sample(std::size_t i, double seconds, double reference) {
    CandidateResult& result = result_.candidates[i];
    result.seconds.push_back(seconds);
    result.reference_seconds.push_back(reference);
    costs_[i] = {.state = CandidateCost::known, .cost = median(ratios(result))};
    record(i);
  }

  [[nodiscard]] std::size_t turns(std::size_t candidates) const {
    const double one = median(reference_times_) * double(candidates + 1);
    return std::size_t(std::clamp(options_.round_seconds / one, 1.0, double(options_.most_turns)));
  }

  // Of those with more than one sample, and not by their lucky ones: a round that slowed the
  // default alone flatters a candidate.
  [[nodiscard]] double best_cost() const {
    double best = 1;
    for (std::size_t i = 1; i < costs_.size(); ++i) {
      const CandidateResult& result = result_.candidates[i];
      if (costs_[i].state != CandidateCost::known || result.seconds.size() < 2) continue;
      best = std::min(best, quantile(ratios(result), 0.75));
    }
    return best;
  }

  // Takes out of the batch what is clearly behind, by its luckiest round: the more of them there
  // are, the less behind it must be.
  void drop(std::vector<std::size_t>& batch) {
    const double best = best_cost();
    std::erase_if(batch, [&](std::size_t i) {
      CandidateResult& result = result_.candidates[i];
      const std::vector<double> values = ratios(result);
      if (values.empty()) return false;
      const double luckiest = *std::min_element(values.begin(), values.end());
      const double excess = 2 * (options_.drop_factor - 1) / double(values.size());
      if (luckiest <= (1 + excess) * best) return false;
      result.status = CandidateStatus::too_slow;
      result.why = fmt::format("{:.3g} times the best one's time", costs_[i].cost / best);
      return true;
    });
  }

  // What of the budget the finals need: their share, and enough for the default and one other.
  [[nodiscard]] double screen_deadline() const {
    if (!std::isfinite(options_.budget_seconds)) return options_.budget_seconds;
    const double one = reference_times_.empty() ? 0 : median(reference_times_);
    const double fewest = 2 * double(kFewestFinalRounds) * one;
    const double share = std::max(options_.finals_share * options_.budget_seconds,
                                  std::min(fewest, 0.7 * options_.budget_seconds));
    return start_ + options_.budget_seconds - share;
  }

  void tell_progress(std::size_t done, std::size_t total, std::size_t at) {
    if (!functions_.progress) return;
    const double by_rate = done == 0
                               ? std::numeric_limits<double>::infinity()
                               : elapsed() / double(done) * double(total - std::min(total, done));
    const double by_budget = std::max(0.0, options_.budget_seconds - elapsed());
    double left = std::min(by_rate, by_budget);
    if (!std::isfinite(left)) left = 0;  // nothing is known yet
    functions_.progress(done, total, left, at);
  }

  void screen() {
    const std::size_t expected = strategy_.expected(costs_.size());
    std::size_t looked_at = 0;
    while (!stopped()) {
      const double deadline = screen_deadline();
      if (now() > deadline) break;
      const std::vector<std::size_t> proposed = strategy_.propose(costs_, options_.batch);
      if (proposed.empty()) return;
      std::vector<std::size_t> batch;
      // What is built must still be timed: building may take half of the time that is left.
      const double build_until = now() + (deadline - now()) / 2;
      for (const std::size_t i : proposed) {
        if (stopped() || now() > deadline || (!batch.empty() && now() > build_until)) break;
        tell_progress(looked_at, expected + options_.final_rounds, i);
        ++looked_at;
        if (prepare(i)) batch.push_back(i);
      }
      for (std::size_t r = 0; r < options_.screen_rounds && !batch.empty(); ++r) {
        if (!round(batch, r, deadline)) break;
        drop(batch);
      }
      // Built, but no time was left to run it.
      for (const std::size_t i : batch) {
        if (result_.candidates[i].seconds.empty()) {
          result_.candidates[i].status = CandidateStatus::skipped;
        }
      }
    }
    result_.out_of_time = !result_.cancelled;
  }

  // The best known ones, as many as the time allows to compare.
  std::vector<std::size_t> choose_finalists() {
    std::vector<std::size_t> chosen;
    for (std::size_t i = 1; i < costs_.size(); ++i) {
      if (costs_[i].state == CandidateCost::known) chosen.push_back(i);
    }
    std::sort(chosen.begin(), chosen.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(costs_[a].cost, a) < std::pair(costs_[b].cost, b);
    });
    const double left = options_.budget_seconds - elapsed();
    const double rounds = left / (double(kFewestFinalRounds) * median(reference_times_));
    auto most = options_.finalists;
    if (std::isfinite(rounds)) most = std::min(most, std::size_t(std::max(1.0, rounds - 1)));
    std::vector<std::size_t> finalists;
    double best = best_cost();
    for (const std::size_t i : chosen) {
      if (finalists.size() == most || costs_[i].cost > options_.drop_factor * best) break;
      if (stopped()) break;
      if (prepare(i)) {
        finalists.push_back(i);
      } else {
        best = best_cost();  // one resumed that fails only now
      }
    }
    return finalists;
  }

  void finals() {
    for (std::size_t i = 0; i < final_begin_.size(); ++i) {
      final_begin_[i] = result_.candidates[i].seconds.size();
    }
    if (stopped()) return;
    finalists_ = choose_finalists();
    for (const std::size_t i : finalists_) {
      result_.candidates[i].finalist = true;
      result_.candidates[i].status = CandidateStatus::ok;
      result_.candidates[i].why.clear();
    }
    result_.candidates[0].finalist = true;
    race();
  }

  // Rounds over those left, until it is clear which are fast and whether they beat the default.
  void race() {
    const std::size_t expected = strategy_.expected(costs_.size());
    const double deadline = start_ + options_.budget_seconds;
    racing_ = finalists_;
    const std::size_t most = options_.final_rounds * kMostExtensions;
    for (std::size_t r = 0; r < most && !racing_.empty() && now() <= deadline; ++r) {
      tell_progress(expected + std::min(r, options_.final_rounds - 1),
                    expected + options_.final_rounds, racing_.front());
      if (!round(racing_, r, deadline)) return;
      drop_behind();
      thin_out(r + 1);
      if (r + 1 >= kFewestFinalRounds && is_clear(r + 1)) break;
    }
    // A machine is judged by the default's times, if nothing else was timed.
    while (reference_times_.size() < kFewestFinalRounds && now() <= deadline && !stopped()) {
      keep_default(time_default());
    }
  }

  void drop_behind() {
    if (racing_.empty()) return;
    const std::size_t best = fastest();
    std::erase_if(racing_, [&](std::size_t i) {
      return i != best && against(i, best, options_.drop_confidence).low > 1 + options_.equal;
    });
  }

  // The longer the race, the fewer it is between: half of the finalists after an eighth of the
  // rounds, a quarter after a quarter of them. After the last the best goes on alone, against the
  // default.
  void thin_out(std::size_t rounds) {
    std::size_t most = options_.finalists;
    const std::size_t first = std::max<std::size_t>(1, options_.final_rounds / 8);
    for (std::size_t at = first; at <= rounds; at *= 2) most = std::max<std::size_t>(2, most / 2);
    if (rounds >= options_.final_rounds) most = 1;
    if (racing_.size() <= most) return;
    std::sort(racing_.begin(), racing_.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(against_default(a).ratio, a) < std::pair(against_default(b).ratio, b);
    });
    racing_.resize(most);
    std::sort(racing_.begin(), racing_.end());
  }

  // Whether more rounds would not change the decision.
  [[nodiscard]] bool is_clear(std::size_t rounds) const {
    if (racing_.empty()) return true;
    const std::size_t best = fastest();
    const Comparison c = against_default(best);
    if (c.low > 1 - options_.hysteresis) return true;
    // A gain that the noise hides is worth more rounds; one that may be none is not.
    if (rounds >= options_.final_rounds) return c.high < 1 || c.ratio > 1 - options_.hysteresis;
    return beats_default(best) && std::all_of(racing_.begin(), racing_.end(), [&](std::size_t i) {
             return i == best ||
                    against(i, best, options_.drop_confidence).high <= 1 + options_.near_tie;
           });
  }

  [[nodiscard]] std::span<const double> final_seconds(std::size_t i) const {
    return std::span(result_.candidates[i].seconds).subspan(final_begin_[i]);
  }
  [[nodiscard]] std::span<const double> final_reference(std::size_t i) const {
    return std::span(result_.candidates[i].reference_seconds).subspan(final_begin_[i]);
  }
  [[nodiscard]] Comparison against_default(std::size_t i) const {
    return compare(final_seconds(i), final_reference(i), options_.confidence);
  }
  // Of two finalists, each by the default's time beside it.
  [[nodiscard]] Comparison against(std::size_t a, std::size_t b, double confidence) const {
    const auto relative = [&](std::size_t i) {
      return quotients(final_seconds(i), final_reference(i));
    };
    return compare(relative(a), relative(b), confidence);
  }
  [[nodiscard]] bool beats_default(std::size_t i) const {
    const Comparison c = against_default(i);
    return c.high < 1 && c.ratio <= 1 - options_.hysteresis;
  }
  // Of those still in the race.
  [[nodiscard]] std::size_t fastest() const {
    return *std::min_element(racing_.begin(), racing_.end(), [&](std::size_t a, std::size_t b) {
      return against_default(a).ratio < against_default(b).ratio;
    });
  }
  [[nodiscard]] bool as_fast(std::size_t i, std::size_t best) const {
    const Comparison c = against(i, best, options_.confidence);
    return c.ratio <= 1 + options_.equal || (c.low <= 1 && c.ratio <= 1 + options_.near_tie);
  }

  void decide() {
    result_.against_default = against_default(0);
    std::erase_if(finalists_, [&](std::size_t i) {
      return costs_[i].state == CandidateCost::failed || final_seconds(i).empty();
    });
    const bool screened = std::any_of(costs_.begin() + 1, costs_.end(), [](const CandidateCost& c) {
      return c.state == CandidateCost::known;
    });
    result_.decided =
        !finalists_.empty() || (!result_.cancelled && (screened || !result_.out_of_time));
    std::erase_if(racing_, [&](std::size_t i) { return final_seconds(i).empty(); });
    if (racing_.empty()) return;
    const std::size_t best = fastest();
    for (const std::size_t i : finalists_) {
      if (as_fast(i, best)) result_.near_ties.push_back(i);
    }
    std::sort(result_.near_ties.begin(), result_.near_ties.end());
    if (!beats_default(best)) return;
    result_.winner = *std::find_if(result_.near_ties.begin(), result_.near_ties.end(),
                                   [&](std::size_t i) { return beats_default(i); });
    result_.against_default = against_default(result_.winner);
  }

  Strategy& strategy_;
  const SearchFunctions& functions_;
  const SearchOptions& options_;
  double start_;
  SearchResult result_;
  std::vector<CandidateCost> costs_;
  std::vector<bool> built_;
  std::vector<std::size_t> final_begin_;  // where the finals' samples begin
  std::vector<std::size_t> finalists_;
  std::vector<std::size_t> racing_;      // finalists not dropped yet
  std::vector<double> reference_times_;  // of this search, in order of time
};

}  // namespace

std::string_view to_string(CandidateStatus status) { return kStatuses.at(std::size_t(status)); }

CandidateStatus parse_candidate_status(std::string_view text) {
  return CandidateStatus(index_of_word(kStatuses, text, "candidate status"));
}

StepResult judge(StepResult checked) {
  if (checked.status == CandidateStatus::ok && !(checked.value <= 1)) {
    checked.status = CandidateStatus::wrong_answer;
    checked.why = fmt::format("the error is {:.4g} times its bound", checked.value);
  }
  return checked;
}

void fail_default(CandidateStatus status, const std::string& why) {
  Status code = Status::device_error;
  if (status == CandidateStatus::compile_failed) code = Status::compile_failed;
  if (status == CandidateStatus::wrong_answer) code = Status::wrong_answer;
  fail(code, "the default schedule can't be tuned against: {}: {}", to_string(status), why);
}

SearchResult search(std::size_t candidates, Strategy& strategy, const SearchFunctions& functions,
                    const SearchOptions& options, std::span<const CandidateResult> known) {
  if (candidates == 0) fail_argument("a search needs at least one candidate, the default");
  if (!known.empty() && known.size() != candidates) {
    fail_argument("{} known results for {} candidates; give one for each, or none", known.size(),
                  candidates);
  }
  return Search(candidates, strategy, functions, options).run(known);
}

}  // namespace grkan
