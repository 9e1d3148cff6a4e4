// The search: finds the fastest right candidate, given build, check and measure as functions. It
// knows nothing of what it tunes; candidates are indexes, and 0 is the default.
//
//   timing:    a round is a few candidates and the default in turn, several times; the medians are
//              a sample of each. Machines slow down and recover within milliseconds: what counts is
//              the ratio to the default
//   screen:    the strategy proposes a batch; each is built, checked and timed in a few rounds; a
//              candidate clearly behind the best is dropped at once
//   finals:    a race of the best few and the default, in rounds over all that are left; who is
//              clearly behind the best, pairwise, leaves, and now and then the slower half; more
//              rounds for the last ones until it is clear whether they beat the default
//   decision:  pairwise, round by round. The winner beats the default by more than the noise, or it
//              is the default; of those as fast as the best, the first in order
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tuner/search/statistics.h"
#include "tuner/search/strategy.h"

namespace grkan {

enum class CandidateStatus : std::uint8_t {
  ok,
  compile_failed,
  exceeds_device,
  launch_failed,
  wrong_answer,
  pruned,    // not checked or timed: what the compiler said of it rules it out
  too_slow,  // right, and dropped because it was clearly behind
  skipped,   // not looked at: the strategy, the budget or a cancellation left it out
};
std::string_view to_string(CandidateStatus status);
CandidateStatus parse_candidate_status(std::string_view text);

struct StepResult {
  CandidateStatus status = CandidateStatus::ok;
  std::string why;   // when not ok
  double value = 0;  // check: largest |error| / bound, right when <= 1; measure: seconds
};

// A check's result, judged: past its bound it is a wrong answer.
StepResult judge(StepResult checked);
// The default failed: there is nothing to tune against. Throws wrong_answer, compile_failed or
// device_error.
[[noreturn]] void fail_default(CandidateStatus status, const std::string& why);

// What is known of one candidate. seconds[i] and reference_seconds[i] (the default's) are of one
// round.
struct CandidateResult {
  CandidateStatus status = CandidateStatus::skipped;
  std::string why;
  double error_scaled = 0;
  std::vector<double> seconds;
  std::vector<double> reference_seconds;
  bool finalist = false;
};

struct SearchFunctions {
  std::function<StepResult(std::size_t)> build;
  std::function<StepResult(std::size_t)> check;
  std::function<StepResult(std::size_t)> measure;
  // Optional ones.
  // After each round a candidate was in (its new sample is the last of `seconds`), and when it
  // failed: what is kept on disk, so that a killed search goes on from there.
  std::function<void(std::size_t, const CandidateResult&)> record;
  std::function<void(std::size_t done, std::size_t total, double seconds_left, std::size_t at)>
      progress;
  std::function<bool()> cancelled;
  std::function<double()> now;  // seconds, monotonic; the steady clock when absent
};

struct SearchOptions {
  double budget_seconds = 10;  // what is under way is finished; the default is always timed
  std::size_t batch = 8;
  double round_seconds = 20e-3;  // in which candidates and the default take turns,
  std::size_t most_turns = 8;    // but not more often, and once at least
  std::size_t screen_rounds = 3;
  std::size_t finalists = 8;      // beside the default
  std::size_t final_rounds = 48;  // up to three times as many while noise hides a gain
  double finals_share = 0.35;     // of the budget, kept for the finals
  double drop_factor = 1.25;      // behind the best by more after two rounds: dropped; after one,
                                  // by twice the excess; after four, by half
  double drop_confidence = 0.95;  // that a finalist is behind: dropped
  double hysteresis = 0.01;       // a winner beats the default by at least this, and by the noise
  double equal = 0.005;           // as fast as the best: within this,
  double near_tie = 0.01;         // or within the noise and this
  double confidence = 0.99;       // of a decision
  QuietLimits quiet{};
};

struct SearchResult {
  std::vector<CandidateResult> candidates;
  std::size_t winner = 0;
  std::vector<std::size_t> near_ties;  // as fast as the best finalist, in order; holds the winner
                                       // unless the default was kept
  Comparison against_default;          // of the winner
  Disturbance disturbance;             // by the default's times
  bool cancelled = false;
  bool out_of_time = false;  // the budget ended before the strategy did
  bool decided = false;      // false: stopped before anything was compared with the default
};

// `known` is empty or has an entry for each candidate, from an earlier search: those that failed
// are not tried again, those with times go straight to where the finals choose from. Throws
// invalid_argument without candidates, and wrong_answer, compile_failed or device_error when the
// default itself fails.
SearchResult search(std::size_t candidates, Strategy& strategy, const SearchFunctions& functions,
                    const SearchOptions& options = {}, std::span<const CandidateResult> known = {});

}  // namespace grkan
