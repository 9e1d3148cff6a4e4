// Schedule: HOW a task is computed. Two parts: what is compiled in, and how it is launched.
// A plain value: the values of its backend's parameters (core/backend.h), in their order. The table
// of parameters drives printing, parsing and the tuner's space; a backend has a struct with a named
// field for each (cpu/schedule.h, cuda/schedule.h), to which and from which a schedule converts.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/target.h"
#include "core/task.h"

namespace grkan {

// As CUB names it. run_to_run: same plan, same winner, same bits. gpu_to_gpu: also across winners
// and devices of a kind.
enum class Determinism : std::uint8_t { not_guaranteed, run_to_run, gpu_to_gpu };
std::string_view to_string(Determinism determinism);
Determinism parse_determinism(std::string_view text);

// One parameter of a backend's schedules. It prints as its token and number ("v8"), or, where it
// has words, as words[value - 1]; 0 means "does not apply" and isn't printed.
struct Parameter {
  std::string_view name = {};                    // as the field of the backend's struct
  std::string_view token = {};                   // printed before the number
  std::span<const std::string_view> words = {};  // empty: a number
  std::string_view none = "none";                // what 0 stands for, for people
  std::span<const int> values = {};              // what a tuner tries; any positive value parses
  bool compiled = true;                          // else a launch parameter
  bool shape = true;                             // of the tile; else how a tile is computed
  std::string_view unit = {};                    // of the number; empty where there are words
  std::string_view says = {};                    // what it does, for people
  int absent = 0;                                // its value where a text does not have it
};

class Backend;

inline constexpr int kMostParameters = 16;

struct Schedule {
  const Backend* backend = nullptr;           // none: no schedule
  std::array<int, kMostParameters> values{};  // past the backend's parameters: 0

  bool operator==(const Schedule&) const = default;

  // As the backend's own struct of named fields. Throws invalid_argument where the schedule is
  // another backend's.
  template <class Fields>
    requires requires(const Schedule& schedule) {
      { Fields::from(schedule) } -> std::same_as<Fields>;
    }
  explicit operator Fields() const {
    return Fields::from(*this);
  }
};

// The compiled part, e.g. "v8_u1_r4_bcast_run64_split_nt"; the whole adds "@" and the launch part:
// "v8_u1_r4_bcast_run64_split_nt@slice256".
std::string compiled_text(const Schedule& schedule);
std::string to_string(const Schedule& schedule);
// The inverse of both. The kind of schedule is the target's.
Schedule parse_schedule(std::string_view text, const Target& target);

// Empty when the schedule can be generated for this task, target and determinism; else the reason,
// with the values met.
std::string why_illegal(const Task& task, const Schedule& schedule, const Target& target,
                        Determinism determinism = Determinism::run_to_run);

// The schedule used when nothing is known: always legal. Rows and inner only choose stores and
// sizes.
Schedule default_schedule(const Task& task, const Target& target, std::int64_t rows,
                          std::int64_t inner = 1,
                          Determinism determinism = Determinism::run_to_run);

// Whether what a call writes, y or dx, is small enough to be found in the last-level cache by the
// layer that reads it next: at most half of a typical cache of 32 MiB. Then stores past the caches
// cost that layer more than they save here (bench_next_layer). False where nothing is written.
bool output_stays_cached(const Task& task, std::int64_t rows, std::int64_t inner);

}  // namespace grkan
