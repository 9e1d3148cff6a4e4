// Trial: what a tuning asks of the place where candidates run, at one size. A session is one
// (session.h); tests invent machines.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <type_traits>

#include "core/binary.h"
#include "core/schedule.h"
#include "tuner/search/search.h"

namespace grkan {

// Every function throws an Error where the candidate fails; its status says how (step()).
class Trial {
 public:
  virtual ~Trial() = default;

  // Compiles a schedule, and loads it where it is to be timed. Called from several threads, for
  // different schedules, where nothing is timed.
  virtual void build(const Schedule& schedule) = 0;
  // What the compiler said of its main kernel; nothing: it does not tell. After build, as are all
  // below.
  virtual std::optional<KernelResources> resources(const Schedule& schedule) = 0;
  // The largest |error| over its bound.
  virtual double check(const Schedule& schedule) = 0;
  // Seconds of one run, on buffers of its own choice.
  virtual double measure(const Schedule& schedule) = 0;
  // For predictions. count: Compiler::count at the size tuned at; called from several threads.
  virtual nlohmann::ordered_json count(const Schedule& schedule) = 0;
  // Runs it on a virtual GPU at so many rows, with the grid for so many multiprocessors: the
  // launches of its report.
  virtual nlohmann::ordered_json execute(const Schedule& schedule, std::int64_t rows,
                                         int multiprocessors) = 0;
};

struct TuneProgress {
  std::size_t done = 0;
  std::size_t total = 0;
  double seconds_left = 0;  // by estimate
  Schedule schedule;        // under way
};

// What a tuning tells meanwhile; each may be empty.
struct TuneHooks {
  // One finished measurement, as records.h writes it, to be kept.
  std::function<void(const nlohmann::ordered_json& line)> record;
  std::function<void(const TuneProgress&)> progress;
  // True: stop as soon as possible, keeping what was measured.
  std::function<bool()> cancelled;
};

// What becomes of a candidate whose step has thrown the exception under way. `otherwise`: the
// status of an error that says nothing of the candidate.
StepResult failed_step(CandidateStatus otherwise);

// Runs a step of a candidate: what `work` returns, if anything, or how it failed.
template <class Work>
StepResult step(CandidateStatus otherwise, const Work& work) {
  try {
    StepResult done;
    if constexpr (std::is_void_v<decltype(work())>) {
      work();
    } else {
      done.value = work();
    }
    return done;
  } catch (...) {
    return failed_step(otherwise);
  }
}

}  // namespace grkan
