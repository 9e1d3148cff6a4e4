// A trial that an invented machine stands behind: tests say what each step gives.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "tuner/outcome.h"
#include "tuner/trial.h"

namespace grkan {

class InventedTrial : public Trial {
 public:
  void build(const Schedule& schedule) override {
    const std::lock_guard lock(mutex_);
    built.push_back(to_string(schedule));
    const auto found = refused.find(to_string(schedule));
    if (found != refused.end()) fail(found->second, "refused by the test");
  }
  std::optional<KernelResources> resources(const Schedule& schedule) override {
    const auto found = kernels.find(to_string(schedule));
    if (found == kernels.end()) return {};
    return found->second;
  }
  double check(const Schedule& schedule) override {
    return wrong.contains(to_string(schedule)) ? 7 : 0.25;
  }
  double measure(const Schedule& /*schedule*/) override { fail(Status::internal, "not timed"); }
  nlohmann::ordered_json count(const Schedule& /*schedule*/) override {
    fail(Status::internal, "not counted");
  }
  nlohmann::ordered_json execute(const Schedule& /*schedule*/, std::int64_t /*rows*/,
                                 int /*multiprocessors*/) override {
    fail(Status::internal, "not executed");
  }

  std::map<std::string, Status> refused;  // by printed schedule
  std::map<std::string, KernelResources> kernels;
  std::set<std::string> wrong;
  std::vector<std::string> built;

 private:
  std::mutex mutex_;
};

// The candidate of a schedule; null: it was not looked at.
inline const CandidateOutcome* find_candidate(const TuneOutcome& outcome,
                                              const Schedule& schedule) {
  for (const CandidateOutcome& c : outcome.candidates) {
    if (c.schedule == schedule) return &c;
  }
  return nullptr;
}

}  // namespace grkan
