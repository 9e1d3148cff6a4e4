// Measured runs: what is looked at, recorded, resumed and answered, with an invented machine.
#include "tuner/measured_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "cpu/schedule.h"
#include "tests/tuner/invented_trial.h"
#include "tuner/records.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

const Task kTask = parse_task("forward/p5q4-A-c768-g8-f32-last");
const Target kTarget = parse_target("x86-64-v3");

CpuSchedule cpu(const Schedule& schedule) { return CpuSchedule(schedule); }

TuneRequest request(Effort effort = Effort::quick) {
  TuneRequest r;
  r.task = kTask;
  r.target = kTarget;
  r.rows = 25216;
  r.effort = effort;
  r.compiler = "llvm 22.1.8";
  return r;
}

// A machine on which a schedule takes what its parameters say, and may fail.
struct Machine : InventedTrial {
  std::function<double(const CpuSchedule&)> seconds = [](const CpuSchedule& s) {
    return 1e-4 * (s.vector == 16 ? 0.8 : 1) * (s.rows == 8 ? 0.9 : 1) *
           (s.stores == CpuSchedule::nontemporal ? 0.95 : 1);
  };
  int stop_after = -1;
  std::vector<std::string> lines;
  int measured = 0;
  int progress_calls = 0;

  double measure(const Schedule& schedule) override {
    ++measured;
    return seconds(cpu(schedule));
  }

  TuneOutcome run(const TuneRequest& r) {
    return measured_run(
        r, *this,
        {
            .record = [this](const Json& line) { lines.push_back(line.dump()); },
            .progress = [this](const TuneProgress&) { ++progress_calls; },
            .cancelled = [this] { return stop_after >= 0 && measured >= stop_after; },
        });
  }
};

TEST(MeasuredRun, ExhaustiveFindsTheBest) {
  Machine m;
  const TuneOutcome found = m.run(request(Effort::exhaustive));
  const CpuSchedule best = cpu(found.schedule);
  EXPECT_EQ(best.vector, 16);
  EXPECT_EQ(best.rows, 8);
  EXPECT_EQ(best.stores, CpuSchedule::nontemporal);
  EXPECT_EQ(std::int64_t(found.candidates.size()), found.space.candidates);
  EXPECT_EQ(found.evidence, Evidence::measured);
  EXPECT_NEAR(found.against_default->ratio, 0.8 * 0.9, 1e-9);
  EXPECT_NEAR(found.default_time->median, 0.95e5, 1e-3);
  EXPECT_EQ(found.error_scaled, 0.25);
  EXPECT_FALSE(found.disturbance.disturbed);
  EXPECT_FALSE(found.cancelled);
  EXPECT_GT(m.progress_calls, 0);
  EXPECT_EQ(found.candidates.front().status, CandidateStatus::ok);
}

TEST(MeasuredRun, QuickLooksAtAPartAndFindsTheBestOfASimpleSpace) {
  Machine m;
  const TuneOutcome found = m.run(request());
  EXPECT_LE(found.candidates.size(), 65U);
  EXPECT_LE(found.against_default->ratio, 0.8);
}

TEST(MeasuredRun, WrongAndFailingCandidatesAreToldAndNeverWin) {
  const TuneOutcome good = Machine().run(request(Effort::exhaustive));
  Machine m;
  m.wrong = {to_string(good.schedule)};
  for (const Schedule& tie : good.near_ties) {
    if (tie != good.schedule) m.refused[to_string(tie)] = Status::compile_failed;
  }
  const TuneOutcome found = m.run(request(Effort::exhaustive));
  EXPECT_NE(found.schedule, good.schedule);
  const CandidateOutcome* wrong = find_candidate(found, good.schedule);
  ASSERT_NE(wrong, nullptr);
  EXPECT_EQ(wrong->status, CandidateStatus::wrong_answer);
  EXPECT_EQ(wrong->error_scaled, 7);
  EXPECT_FALSE(wrong->time);
  for (const CandidateOutcome& candidate : found.candidates) {
    if (!m.refused.contains(to_string(candidate.schedule))) continue;
    EXPECT_EQ(candidate.status, CandidateStatus::compile_failed);
    EXPECT_EQ(candidate.why, "refused by the test");
  }
}

TEST(MeasuredRun, StatusesOfErrors) {
  const Schedule fastest = Machine().run(request(Effort::exhaustive)).schedule;
  const std::vector<std::pair<Status, CandidateStatus>> cases = {
      {Status::compile_failed, CandidateStatus::compile_failed},
      {Status::unsupported, CandidateStatus::exceeds_device},
      {Status::out_of_memory, CandidateStatus::exceeds_device},
      {Status::device_error, CandidateStatus::launch_failed},
      {Status::internal, CandidateStatus::compile_failed},
  };
  for (const auto& [status, expected] : cases) {
    Machine m;
    m.refused[to_string(fastest)] = status;
    const TuneOutcome found = m.run(request(Effort::exhaustive));
    const CandidateOutcome* candidate = find_candidate(found, fastest);
    ASSERT_NE(candidate, nullptr);
    EXPECT_EQ(candidate->status, expected) << status_name(status);
  }
}

TEST(MeasuredRun, ARecordedLineHasWhatAReplayNeeds) {
  Machine m;
  m.run(request());
  ASSERT_FALSE(m.lines.empty());
  std::size_t samples = 0;
  for (const std::string& text : m.lines) {
    const Json line = Json::parse(text);
    EXPECT_EQ(line["schema"], kRecordSchema);
    EXPECT_EQ(line["task"], to_string(kTask));
    EXPECT_EQ(line["target"], "x86-64-v3");
    EXPECT_EQ(line["compiler"], "llvm 22.1.8");
    EXPECT_EQ(line["rows"], 25216);
    EXPECT_EQ(line["inner"], 1);
    EXPECT_EQ(line["status"], "ok");
    EXPECT_EQ(line["seconds"].size(), line["reference_seconds"].size());
    samples += line["seconds"].size();
  }
  // Samples are medians of 8 turns; beside one to eight of them the default took its own.
  const std::size_t others = 8 * (samples - 1);
  EXPECT_GE(std::size_t(m.measured), others + others / 8);
  EXPECT_LE(std::size_t(m.measured), 1 + 2 * others);
}

TEST(MeasuredRun, GoesOnFromRecordedLines) {
  Machine first;
  first.stop_after = 8000;
  EXPECT_TRUE(first.run(request(Effort::exhaustive)).cancelled);
  EXPECT_LT(first.measured, 8000 + 16);

  Machine second;
  TuneRequest again = request(Effort::exhaustive);
  again.recorded = first.lines;
  for (const char* junk : {"{torn", "17", R"({"schema": 1})"}) again.recorded.emplace_back(junk);
  const TuneOutcome found = second.run(again);
  EXPECT_GT(found.resumed, 100);
  EXPECT_EQ(std::int64_t(found.candidates.size()), found.space.candidates);
  EXPECT_LT(std::int64_t(second.built.size()) + found.resumed, found.space.candidates + 8);
  EXPECT_EQ(found.schedule, Machine().run(request(Effort::exhaustive)).schedule);
}

TEST(MeasuredRun, ListedSchedulesAreAllThatIsLookedAt) {
  const TuneOutcome space = Machine().run(request(Effort::exhaustive));
  const Schedule slow = space.candidates.back().schedule;
  const Schedule fast = space.schedule;
  TuneRequest listed = request();
  listed.schedules = {slow, fast, slow, space.default_schedule};
  Machine m;
  const TuneOutcome found = m.run(listed);
  EXPECT_EQ(found.candidates.size(), 3U);
  EXPECT_EQ(found.space.candidates, 3);
  EXPECT_EQ(found.schedule, fast);
  EXPECT_EQ(
      (std::set<std::string>(m.built.begin(), m.built.end())),
      (std::set<std::string>{to_string(slow), to_string(fast), to_string(space.default_schedule)}));
  // A vector that no kernel has.
  listed.schedules = {fast, parse_schedule("v64_u8_r4_bcast_cached@slice256", kTarget)};
  const TuneOutcome legal = Machine().run(listed);
  EXPECT_EQ(legal.space.candidates, 2);
  EXPECT_EQ(legal.space.left_out.size(), 1U);
}

TEST(MeasuredRun, LinesOfOtherTuningsAreNotResumed) {
  Machine first;
  first.run(request());
  const std::vector<std::pair<const char*, std::function<void(TuneRequest&)>>> others = {
      {"rows", [](TuneRequest& r) { r.rows = 100; }},
      {"compiler", [](TuneRequest& r) { r.compiler = "llvm 23"; }},
      {"generator", [](TuneRequest& r) { r.generator = "another"; }},
      {"default", [](TuneRequest& r) { r.determinism = Determinism::gpu_to_gpu; }},
      {"target", [](TuneRequest& r) { r.target = parse_target("x86-64-v4"); }},
  };
  for (const auto& [name, change] : others) {
    TuneRequest other = request();
    change(other);
    other.recorded = first.lines;
    EXPECT_EQ(Machine().run(other).resumed, 0) << name;
  }
}

TEST(MeasuredRun, HostileLinesAreHarmless) {
  Machine first;
  first.run(request());
  const Json line = Json::parse(first.lines.back());
  TuneRequest again = request();
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, Json>>{{"seconds", {-1.0}},
                                                 {"seconds", {"x"}},
                                                 {"seconds", 3},
                                                 {"seconds", {1.0, 2.0}},
                                                 {"status", 3},
                                                 {"status", "perfect"},
                                                 {"schedule", nullptr},
                                                 {"schedule", "v3"},
                                                 {"error_scaled", "none"},
                                                 {"why", {1, 2}}}) {
    Json bad = line;
    bad[key] = value;
    again.recorded.push_back(bad.dump());
  }
  EXPECT_NO_THROW(Machine().run(again));
}

TEST(MeasuredRun, ADefaultThatFailsIsAnError) {
  Machine m;
  m.refused[to_string(default_schedule(kTask, kTarget, 25216))] = Status::compile_failed;
  try {
    m.run(request());
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::compile_failed);
  }
  EXPECT_EQ(m.lines.size(), 1U);  // with the reason
}

}  // namespace
}  // namespace grkan
