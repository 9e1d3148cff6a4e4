// Tuning by prediction, with invented counts behind the callbacks: what is compiled, executed,
// recorded, gone on with, and chosen.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/cuda_call.h"
#include "core/error.h"
#include "tuner/launch_facts.h"
#include "tuner/tune.h"

namespace grkan {
namespace {

using Json = nlohmann::json;

constexpr const char* kTask = "forward/p5q4-A-c768-g8-f32-last";
constexpr std::int64_t kRows = 25216;

// Kernels whose arithmetic, an element, depends on the schedule: with `winning` columns it is
// little, else it bounds the time.
struct Machine {
  int winning = 2;
  int executed_winning = 2;  // as executed, should the code have told another
  std::set<std::string> refused;
  std::set<std::string> wrong;
  bool countable = true;

  std::mutex mutex;
  std::vector<std::string> lines, built, executed;
  std::string text;

  static Machine& of(void* self) { return *static_cast<Machine*>(self); }
  static CudaSchedule parse(const char* text) {
    return std::get<CudaSchedule>(parse_schedule(text, parse_target("sm_90")));
  }
  static double instructions(const CudaSchedule& s, int winning, double elements) {
    return elements / 32 * (s.columns == winning ? 20 : 2000);
  }

  static std::int32_t build(void* self, const char* schedule, char* why, std::size_t size) {
    Machine& m = of(self);
    const std::lock_guard lock(m.mutex);
    m.built.emplace_back(schedule);
    if (!m.refused.contains(schedule)) return 0;
    std::snprintf(why, size, "refused by the test");
    return std::int32_t(Status::compile_failed);
  }
  static std::int32_t check(void* self, const char* schedule, double* scaled, char*, std::size_t) {
    *scaled = of(self).wrong.contains(schedule) ? 7 : 0.25;
    return 0;
  }
  static std::int32_t count(void* self, const char* schedule, const char** json, char*,
                            std::size_t) {
    thread_local std::string kept;
    const Machine& m = of(self);
    const double warps = instructions(parse(schedule), m.winning, double(kRows) * 768);
    const Json launch = {{"kernel", "k"},
                         {"counted", "sass"},
                         {"registers", 40},
                         {"shared_bytes", 0},
                         {"opcodes", {{"FFMA", warps}, {"LDG.E.128", 1000.0}}}};
    kept = m.countable ? Json{{"launches", {launch}}, {"why", nullptr}}.dump()
                       : Json{{"launches", nullptr}, {"why", "no nvdisasm"}}.dump();
    *json = kept.c_str();
    return 0;
  }
  static std::int32_t execute(void* self, const char* schedule, std::int64_t rows,
                              std::int32_t multiprocessors, const char** json, char*, std::size_t) {
    Machine& m = of(self);
    m.executed.emplace_back(schedule);
    const CudaSchedule s = parse(schedule);
    const CudaLaunch launch = cuda_launch(parse_task(kTask), s, rows, 1, multiprocessors);
    const double warps = instructions(s, m.executed_winning, double(rows) * 768);
    m.text = Json::array({{{"kernel", "k"},
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
                             {"most_line_passes", 0}}}}})
                 .dump();
    *json = m.text.c_str();
    return 0;
  }

  Json tune(const Json& more = Json::object()) {
    Json request = {{"schema", 1},   {"task", kTask},     {"target", "sm_90"}, {"gpu", "h200"},
                    {"rows", kRows}, {"compiler", "c 1"}, {"generator", "g"}};
    request.update(more);
    const TuneCallbacks table = {
        .self = this,
        .build = &build,
        .report = nullptr,
        .check = &check,
        .measure = nullptr,
        .count = &count,
        .execute = &execute,
        .record = [](void* self, const char* line) { of(self).lines.emplace_back(line); },
        .progress = nullptr,
        .cancelled = nullptr};
    return Json::parse(grkan::tune(request.dump(), table));
  }
};

Json without_time(Json answer) {
  answer.erase("wall_seconds");
  answer.erase("resumed");
  return answer;
}

TEST(Offline, FindsWhatTheCountsPredict) {
  Machine machine;
  const Json answer = machine.tune();
  EXPECT_EQ(Machine::parse(answer["schedule"].get<std::string>().c_str()).columns, 2);
  EXPECT_EQ(answer["evidence"], "predicted");
  EXPECT_EQ(answer["counts"], "executed");
  EXPECT_LT(answer["ratio_to_default"]["median"], 0.5);
  EXPECT_EQ(answer["prediction"]["counts"], "executed");
  EXPECT_GT(answer["prediction"]["parts_seconds"]["dram"], 0);
  EXPECT_FALSE(answer["prediction"]["assumed"].empty());
  // The default and the finalists, all right; each compiled in the screening.
  EXPECT_EQ(machine.executed.size(), 9U);
  EXPECT_EQ(machine.executed.front(), answer["default"]["schedule"].get<std::string>());
  EXPECT_GT(answer["looked_at"], 40);
}

TEST(Offline, ExecutedCountsDecideOverThoseOfTheCode) {
  Machine machine;
  machine.executed_winning = 4;  // the default's columns
  const Json answer = machine.tune();
  EXPECT_EQ(answer["schedule"], answer["default"]["schedule"]);
}

TEST(Offline, AWrongOrRefusedCandidateNeverWins) {
  Machine machine;
  const std::string first = machine.tune()["schedule"];
  for (const bool wrong : {true, false}) {
    Machine other;
    (wrong ? other.wrong : other.refused).insert(first);
    const Json answer = other.tune();
    EXPECT_NE(answer["schedule"], first);
    EXPECT_EQ(Machine::parse(answer["schedule"].get<std::string>().c_str()).columns, 2);
    const auto& list = answer["candidates"];
    const auto found = std::find_if(list.begin(), list.end(),
                                    [&](const Json& c) { return c["schedule"] == first; });
    ASSERT_NE(found, list.end());
    EXPECT_EQ((*found)["status"], wrong ? "wrong_answer" : "compile_failed");
  }
}

TEST(Offline, GoesOnFromRecordedCounts) {
  Machine machine;
  const Json first = machine.tune();
  Machine again;
  const Json second = again.tune({{"resume", machine.lines}});
  EXPECT_EQ(without_time(second), without_time(first));
  EXPECT_EQ(second["resumed"], second["looked_at"]);
  EXPECT_TRUE(again.built.empty());
  EXPECT_TRUE(again.executed.empty());
  EXPECT_TRUE(again.lines.empty());
  // Half of the lines, and lines that are not its own.
  Machine half;
  std::vector<std::string> lines(machine.lines.begin(),
                                 machine.lines.begin() + std::ptrdiff_t(machine.lines.size() / 2));
  lines.emplace_back("junk");
  lines.emplace_back("{\"schedule\": 7}");
  EXPECT_EQ(without_time(half.tune({{"resume", lines}})), without_time(first));
  EXPECT_LT(half.built.size(), machine.built.size());
  Machine other;
  other.tune({{"resume", machine.lines}, {"generator", "another"}});
  EXPECT_EQ(other.built.size(), machine.built.size());
  other.built.clear();
  other.tune({{"resume", machine.lines}, {"gpu", "h100-sxm"}});
  EXPECT_EQ(other.built.size(), machine.built.size());
}

TEST(Offline, ExecutesWhatHasNoCountsOfItsCode) {
  Machine machine;
  machine.countable = false;
  const Json answer = machine.tune();
  EXPECT_EQ(Machine::parse(answer["schedule"].get<std::string>().c_str()).columns, 2);
  EXPECT_EQ(machine.executed.size(), answer["looked_at"]);
  Machine again;
  EXPECT_EQ(without_time(again.tune({{"resume", machine.lines}})), without_time(answer));
  EXPECT_TRUE(again.built.empty());
}

TEST(Offline, InstantExecutesNothing) {
  Machine machine;
  const Json answer = machine.tune({{"effort", "instant"}});
  EXPECT_TRUE(machine.executed.empty());
  EXPECT_EQ(answer["counts"], "static");
  EXPECT_TRUE(answer["error_scaled"].is_null());
  EXPECT_EQ(Machine::parse(answer["schedule"].get<std::string>().c_str()).columns, 2);
}

TEST(Offline, SaysWhatIsWrong) {
  Machine machine;
  EXPECT_THROW(machine.tune({{"gpu", "h999"}}), Error);
  machine.wrong.insert(machine.tune()["default"]["schedule"].get<std::string>());
  try {
    machine.tune();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), Status::wrong_answer);
  }
}

}  // namespace
}  // namespace grkan
