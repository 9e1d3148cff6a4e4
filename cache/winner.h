// Winner: what a tuning (or a prediction) found for a task on a device, for a range of rows. A
// plain value; its text is what a cache file holds and what ranks of a parallel job exchange.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/device_description.h"
#include "core/prediction.h"
#include "core/range.h"
#include "core/schedule.h"
#include "core/task.h"

namespace grkan {

// From the best to the worst.
enum class Evidence : std::uint8_t {
  measured,
  predicted_executed,  // from counts of a virtual GPU's run
  predicted_static,    // from counts of the code
  default_schedule,    // nothing is known: the entry only names the binary
};
std::string_view to_string(Evidence evidence);  // "measured", "predicted", "default"

struct TimeNs {
  double median = 0;
  std::optional<double> p10;  // absent when predicted
  std::optional<double> p90;
  std::int64_t samples = 0;  // 0 when predicted

  bool operator==(const TimeNs&) const = default;
};

struct WinnerCandidate {
  std::string schedule;
  std::string status;  // "ok", "wrong_answer", ...
  std::optional<TimeNs> time;
  std::optional<double> error_scaled;

  bool operator==(const WinnerCandidate&) const = default;
};

struct Winner {
  Task task;
  DeviceDescription device;
  Determinism determinism = Determinism::run_to_run;
  Range rows;
  Range inner;
  std::int64_t tuned_rows = 1;  // where it was timed; within `rows` unless memory was short
  std::int64_t tuned_inner = 1;
  std::string schedule;  // printed, whole
  Evidence evidence = Evidence::measured;
  bool disturbed = false;        // measured on a busy or throttled machine
  std::optional<TimeNs> time;    // absent for Evidence::default_schedule
  std::string default_schedule;  // printed; may be empty
  std::optional<TimeNs> default_time;
  std::string bound_kind;  // nt_copy, nt_triad, ...; empty: not timed
  std::optional<double> bound_ns;
  std::optional<double> error_scaled;  // largest |error| over its bound
  std::string binary;  // hash of the binary's key: with it a start needs no compiler; may be empty
  std::string date;    // UTC, "2026-11-23T22:40:05Z"
  // Metadata: when they change, the stored candidates are timed again, not thrown away.
  std::string grkan_version;
  std::string compiler;
  std::string driver;
  std::vector<WinnerCandidate> candidates;  // the best few others
  // Of a predicted one: what its `time` is made of.
  std::optional<Prediction> prediction;

  bool operator==(const Winner&) const = default;
};

// {median, p10, p90, samples}; null for none.
nlohmann::ordered_json time_json(const std::optional<TimeNs>& time);

// {bound, floor_ns, tail_ns, parts_ns: {resource: ns}, assumed}
nlohmann::ordered_json prediction_json(const Prediction& prediction);

// JSON, indented, with a final newline. parse_winner is the inverse; it throws invalid_argument on
// anything that is not a winner of this schema with a schedule that is legal for its task.
inline constexpr int kWinnerSchema = 1;
inline constexpr std::size_t kLargestWinner = std::size_t{1} << 20;
std::string to_text(const Winner& winner);
Winner parse_winner(std::string_view text);

// "winners/<task>/<architecture>", where the task's '/' is '_' and its ':' is '+'.
std::string winner_folder(const Task& task, std::string_view architecture);

// The file of a winner is its folder / content_hash(text).json. Fills `winner` and returns "", or
// returns the defect of a file with this path in the cache.
std::string winner_path(const Winner& winner);
std::string parse_winner_file(std::string_view bytes, std::string_view path, Winner& winner);

}  // namespace grkan
