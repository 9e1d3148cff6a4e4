// CandidateCalls: the caller's functions (core/compiler_api.h) as C++ ones, by a schedule's printed
// form.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "core/compiler_api.h"
#include "tuner/search.h"

namespace grkan {

class CandidateCalls {
 public:
  explicit CandidateCalls(const TuneCallbacks& callbacks) : callbacks_(callbacks) {}

  // The steps of a candidate. `json`, when ok, is what was told or counted; a caller without
  // `report` tells an empty object.
  [[nodiscard]] StepResult build(const std::string& schedule) const;
  [[nodiscard]] StepResult check(const std::string& schedule) const;
  [[nodiscard]] StepResult measure(const std::string& schedule) const;
  StepResult report(const std::string& schedule, nlohmann::ordered_json& json) const;
  StepResult count(const std::string& schedule, nlohmann::ordered_json& json) const;
  StepResult execute(const std::string& schedule, std::int64_t rows, int multiprocessors,
                     nlohmann::ordered_json& json) const;

  // These do nothing where the caller has no such function.
  void record(const nlohmann::ordered_json& line) const;
  void progress(std::size_t done, std::size_t total, double seconds_left,
                const std::string& schedule) const;
  [[nodiscard]] bool cancelled() const;

 private:
  const TuneCallbacks& callbacks_;
};

}  // namespace grkan
