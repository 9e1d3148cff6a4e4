// Which of several winners answers a call: a graded answer, not yes or no.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/winner.h"

namespace grkan {

struct WinnerQuery {
  Task task;
  DeviceDescription device;
  Determinism determinism = Determinism::run_to_run;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
};

// From the best to the worst. "Here" is this device, "holds" a range with these rows and inner.
enum class Grade : std::uint8_t {
  measured,            // here, holds
  measured_disturbed,  // here, holds
  predicted,           // here, holds
  nearest,             // measured here, at the nearest range
  same_architecture,   // measured on another device of the architecture
  default_schedule,    // an entry that only names the default schedule and its binary
};
std::string_view to_string(Grade grade);  // as the enumerators

struct StoredWinner {
  Winner winner;
  std::string hash;       // of its text: the file's name
  std::string path;       // of the file
  bool prebuilt = false;  // from a read-only folder that came with the product
};

struct FoundWinner {
  StoredWinner stored;
  Grade grade = Grade::default_schedule;
  double range_distance = 0;  // octaves from the rows and inner asked for to the range; 0: it holds
  double tuned_distance = 0;  // octaves to the rows and inner that were timed
};

// The best answer, or nothing. Within a grade: undisturbed first, then the nearer range, the user's
// over a prebuilt one, better evidence, later date, smaller hash. Entries of another task,
// architecture or determinism never answer; predictions, defaults and what is prebuilt only where
// they hold, and the latter on their device: who tuned here knows how far that is true.
std::optional<FoundWinner> choose_winner(const std::vector<StoredWinner>& winners,
                                         const WinnerQuery& query);

// Why choose_winner takes `won` and not `lost`, in words: "measured before predicted".
std::string why_better(const FoundWinner& won, const FoundWinner& lost);

}  // namespace grkan
