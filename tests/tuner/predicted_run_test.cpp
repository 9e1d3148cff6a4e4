// Predicted runs, with invented counts: what is compiled, executed, recorded, gone on with, and
// chosen.
#include "tuner/predicted_run.h"

#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "cuda/launch.h"
#include "cuda/launch_facts.h"
#include "tests/tuner/invented_trial.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

const Task kTask = parse_task("forward/p5q4-A-c768-g8-f32-last");
constexpr std::int64_t kRows = 25216;

CudaSchedule cuda(const Schedule& schedule) { return CudaSchedule(schedule); }

TuneRequest request() {
  TuneRequest r;
  r.task = kTask;
  r.target = parse_target("sm_90");
  r.gpu = gpu_model("h200");
  r.rows = kRows;
  r.compiler = "c 1";
  r.generator = "g";
  return r;
}

TuneRequest request(const std::vector<std::string>& recorded) {
  TuneRequest r = request();
  r.recorded = recorded;
  return r;
}

// Kernels whose arithmetic, an element, depends on the schedule: with `winning` columns it is
// little, else it bounds the time.
struct Machine : InventedTrial {
  int winning = 2;
  int executed_winning = 2;  // as executed, should the code have told another
  bool countable = true;

  std::vector<std::string> lines, executed;

  static double instructions(const Schedule& s, int winning, double elements) {
    return elements / 32 * (cuda(s).columns == winning ? 20 : 2000);
  }

  Json count(const Schedule& schedule) override {
    if (!countable) return {{"launches", nullptr}, {"why", "no nvdisasm"}};
    const double warps = instructions(schedule, winning, double(kRows) * 768);
    const Json launch = {{"kernel", "k"},
                         {"counted", "sass"},
                         {"registers", 40},
                         {"shared_bytes", 0},
                         {"opcodes", {{"FFMA", warps}, {"LDG.E.128", 1000.0}}}};
    return {{"launches", {launch}}, {"why", nullptr}};
  }
  Json execute(const Schedule& schedule, std::int64_t rows, int multiprocessors) override {
    executed.push_back(to_string(schedule));
    const CudaLaunch launch = cuda_launch(kTask, cuda(schedule), rows, 1, multiprocessors);
    const double warps = instructions(schedule, executed_winning, double(rows) * 768);
    return Json::array({{{"kernel", "k"},
                         {"grid", {launch.grid_x, launch.grid_y, 1}},
                         {"block", {launch.threads, 1, 1}},
                         {"resident_blocks", 4},
                         {"counts",
                          {{"instructions", 32 * warps},
                           {"warp_instructions", warps},
                           {"classes", {{"fma", 32 * warps}}},
                           {"loads", {{"requests", 10}, {"sectors", 160}}},
                           {"stores", {{"requests", 10}, {"sectors", 160}}},
                           {"shared_requests", 0},
                           {"bank_conflicts", 0},
                           {"atomic_passes", 0},
                           {"most_line_passes", 0}}}}});
  }

  TuneOutcome run(const TuneRequest& r = request()) {
    return predicted_run(r, *r.gpu, *this,
                         {.record = [this](const Json& line) { lines.push_back(line.dump()); },
                          .progress = {},
                          .cancelled = {}});
  }
};

// The answers are the same, but for what was known before.
void expect_same(const TuneOutcome& a, const TuneOutcome& b) {
  EXPECT_EQ(a.schedule, b.schedule);
  EXPECT_EQ(a.evidence, b.evidence);
  EXPECT_EQ(a.time, b.time);
  EXPECT_EQ(a.default_time, b.default_time);
  EXPECT_EQ(a.error_scaled, b.error_scaled);
  EXPECT_EQ(a.near_ties, b.near_ties);
  EXPECT_EQ(a.space, b.space);
  ASSERT_EQ(a.candidates.size(), b.candidates.size());
  for (std::size_t i = 0; i < a.candidates.size(); ++i) {
    EXPECT_EQ(a.candidates[i].schedule, b.candidates[i].schedule);
    EXPECT_EQ(a.candidates[i].status, b.candidates[i].status);
    EXPECT_EQ(a.candidates[i].time, b.candidates[i].time);
    EXPECT_EQ(a.candidates[i].ratio_to_default, b.candidates[i].ratio_to_default);
    EXPECT_EQ(a.candidates[i].error_scaled, b.candidates[i].error_scaled);
    EXPECT_EQ(a.candidates[i].finalist, b.candidates[i].finalist);
  }
}

TEST(PredictedRun, FindsWhatTheCountsPredict) {
  Machine machine;
  const TuneOutcome found = machine.run();
  EXPECT_EQ(cuda(found.schedule).columns, 2);
  EXPECT_EQ(found.evidence, Evidence::predicted_executed);
  EXPECT_EQ(found.gpu, "h200");
  EXPECT_LT(found.against_default->ratio, 0.5);
  EXPECT_TRUE(found.prediction->executed);
  EXPECT_GT(found.prediction->part_ns(Resource::dram), 0);
  EXPECT_FALSE(found.prediction->assumed.empty());
  // The default and the finalists, all right; each compiled in the screening.
  EXPECT_EQ(machine.executed.size(), 9U);
  EXPECT_EQ(machine.executed.front(), to_string(found.default_schedule));
  EXPECT_GT(found.candidates.size(), 40U);
}

TEST(PredictedRun, ExecutedCountsDecideOverThoseOfTheCode) {
  Machine machine;
  machine.executed_winning = 4;  // the default's columns
  const TuneOutcome found = machine.run();
  EXPECT_EQ(found.schedule, found.default_schedule);
}

TEST(PredictedRun, AWrongOrRefusedCandidateNeverWins) {
  const Schedule first = Machine().run().schedule;
  for (const bool wrong : {true, false}) {
    Machine other;
    if (wrong) {
      other.wrong.insert(to_string(first));
    } else {
      other.refused[to_string(first)] = Status::compile_failed;
    }
    const TuneOutcome found = other.run();
    EXPECT_NE(found.schedule, first);
    EXPECT_EQ(cuda(found.schedule).columns, 2);
    const CandidateOutcome* candidate = find_candidate(found, first);
    ASSERT_NE(candidate, nullptr);
    EXPECT_EQ(candidate->status,
              wrong ? CandidateStatus::wrong_answer : CandidateStatus::compile_failed);
  }
}

TEST(PredictedRun, GoesOnFromRecordedCounts) {
  Machine machine;
  const TuneOutcome first = machine.run();
  Machine again;
  const TuneOutcome second = again.run(request(machine.lines));
  expect_same(second, first);
  EXPECT_EQ(second.resumed, std::int64_t(second.candidates.size()));
  EXPECT_TRUE(again.built.empty());
  EXPECT_TRUE(again.executed.empty());
  EXPECT_TRUE(again.lines.empty());
  // Half of the lines, and lines that are not its own.
  Machine half;
  std::vector<std::string> lines(machine.lines.begin(),
                                 machine.lines.begin() + std::ptrdiff_t(machine.lines.size() / 2));
  lines.emplace_back("junk");
  lines.emplace_back("{\"schedule\": 7}");
  expect_same(half.run(request(lines)), first);
  EXPECT_LT(half.built.size(), machine.built.size());
  Machine other;
  TuneRequest changed = request(machine.lines);
  changed.generator = "another";
  other.run(changed);
  EXPECT_EQ(other.built.size(), machine.built.size());
  other.built.clear();
  changed = request(machine.lines);
  changed.gpu = gpu_model("h100-sxm");
  other.run(changed);
  EXPECT_EQ(other.built.size(), machine.built.size());
}

TEST(PredictedRun, ExecutesWhatHasNoCountsOfItsCode) {
  Machine machine;
  machine.countable = false;
  const TuneOutcome found = machine.run();
  EXPECT_EQ(cuda(found.schedule).columns, 2);
  EXPECT_EQ(machine.executed.size(), found.candidates.size());
  Machine again;
  expect_same(again.run(request(machine.lines)), found);
  EXPECT_TRUE(again.built.empty());
}

TEST(PredictedRun, InstantExecutesNothing) {
  Machine machine;
  TuneRequest instant = request();
  instant.effort = Effort::instant;
  const TuneOutcome found = machine.run(instant);
  EXPECT_TRUE(machine.executed.empty());
  EXPECT_LE(found.candidates.size(), 17U);
  EXPECT_EQ(found.evidence, Evidence::predicted_static);
  EXPECT_FALSE(found.error_scaled);
  EXPECT_EQ(cuda(found.schedule).columns, 2);
}

TEST(PredictedRun, SaysWhatIsWrong) {
  Machine machine;
  machine.wrong.insert(to_string(machine.run().default_schedule));
  try {
    machine.run();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), Status::wrong_answer);
  }
}

}  // namespace
}  // namespace grkan
