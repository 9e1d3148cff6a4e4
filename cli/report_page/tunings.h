// Tunings: what a cache folder holds, in order for people: for each task and device its winners,
// the rows each of them answers for, and for each size that was tuned its candidates with what was
// found of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache/inventory.h"
#include "cache/lookup.h"
#include "cache/winner.h"

namespace grkan::cli {

// What is asked for; nothing set: everything.
struct TuningFilter {
  std::vector<Task> tasks = {};
  std::optional<Range> rows = {};  // tuned at such a size, or a winner for one
  std::optional<std::int64_t> inner = {};
  std::optional<Determinism> determinism = {};  // of winners; measurements do not tell theirs
};

struct TunedCandidate {
  std::string schedule;
  std::string status;  // as the tuner names it: "ok", "wrong_answer", ...
  std::string why;     // when not ok
  bool predicted = false;
  std::optional<TimeNs> time;
  std::optional<double> ratio_to_default;  // median over the rounds; predicted: of the two times
  std::optional<double> error_scaled;      // largest |error| over its bound
};

// A size that was tuned beside one default schedule.
struct Tuning {
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  std::string default_schedule;
  std::vector<std::size_t> answers;  // of TunedTask::winners, tuned here: the best of each
                                     // determinism
  // Measurements are those of the last compiler and generator; lines of others are counted only.
  std::string compiler;
  std::string generator;
  std::string date;  // of the last line or winner
  std::int64_t timings = 0;
  std::int64_t older_lines = 0;
  std::vector<TunedCandidate> candidates;  // the fastest first, then those without a time
};

// The winner that answers for these rows, of those that share determinism and range of inner.
struct AnsweredRows {
  Range rows;
  std::size_t winner = 0;
};
struct AnswerStrip {
  Determinism determinism = Determinism::run_to_run;
  Range inner;
  std::vector<AnsweredRows> parts;  // ascending; rows between two parts are in no winner's range
};

struct TunedTask {
  Task task;
  DeviceDescription device;
  std::vector<StoredWinner> winners;  // the latest first
  std::vector<AnswerStrip> strips;
  std::vector<Tuning> tunings;  // by rows and inner
};

struct CacheTunings {
  std::vector<TunedTask> tasks;
  std::int64_t winners = 0;  // that the filter takes
  std::int64_t lines = 0;
  std::int64_t unreadable_lines = 0;  // not of a tuning, or of another version
  std::vector<CacheDefect> defects;
};
CacheTunings read_tunings(const std::string& folder, const TuningFilter& filter);

}  // namespace grkan::cli
