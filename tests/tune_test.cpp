// tune(): request, answer and recorded lines, with an invented machine behind the callbacks.
#include "tuner/tune.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/schedule.h"
#include "tuner/space.h"

namespace grkan {
namespace {

using Json = nlohmann::json;

constexpr const char* kTask = "forward/p5q4-A-c768-g8-f32-last";

// A machine on which a schedule takes what its parameters say, and may fail.
struct Machine {
  std::function<double(const CpuSchedule&)> seconds = [](const CpuSchedule& s) {
    return 1e-4 * (s.vector == 16 ? 0.8 : 1) * (s.rows == 8 ? 0.9 : 1) *
           (s.stores == CpuSchedule::nontemporal ? 0.95 : 1);
  };
  std::set<std::string> wrong;
  std::map<std::string, std::string> reports;  // of the compiler, where it is not silent
  std::map<std::string, std::int32_t> refused;
  int stop_after = -1;
  std::vector<std::string> lines;
  std::vector<std::string> built;
  int measured = 0;
  std::int64_t progress_calls = 0;

  static Machine& of(void* self) { return *static_cast<Machine*>(self); }

  TuneCallbacks callbacks() {
    return {.self = this,
            .build =
                [](void* self, const char* schedule, char* why, std::size_t size) {
                  Machine& m = of(self);
                  m.built.emplace_back(schedule);
                  const auto found = m.refused.find(schedule);
                  if (found == m.refused.end()) return std::int32_t{0};
                  std::snprintf(why, size, "refused by the test");
                  return found->second;
                },
            .report =
                [](void* self, const char* schedule, const char** json, char*, std::size_t) {
                  *json = of(self).reports[schedule].c_str();
                  return std::int32_t{0};
                },
            .check =
                [](void* self, const char* schedule, double* scaled, char*, std::size_t) {
                  *scaled = of(self).wrong.contains(schedule) ? 7 : 0.25;
                  return std::int32_t{0};
                },
            .measure =
                [](void* self, const char* schedule, double* time, char*, std::size_t) {
                  Machine& m = of(self);
                  ++m.measured;
                  *time = m.seconds(
                      std::get<CpuSchedule>(parse_schedule(schedule, parse_target("x86-64-v3"))));
                  return std::int32_t{0};
                },
            .count = nullptr,
            .execute = nullptr,
            .record = [](void* self, const char* line) { of(self).lines.emplace_back(line); },
            .progress = [](void* self, std::int64_t, std::int64_t, double,
                           const char*) { ++of(self).progress_calls; },
            .cancelled =
                [](void* self) {
                  const Machine& m = of(self);
                  return std::int32_t{m.stop_after >= 0 && m.measured >= m.stop_after ? 1 : 0};
                }};
  }

  Json tune(const Json& request) {
    const TuneCallbacks table = callbacks();
    return Json::parse(grkan::tune(request.dump(), table));
  }
};

Json request(const char* effort = "quick") {
  return {{"schema", 1},   {"task", kTask},    {"target", "x86-64-v3"},
          {"rows", 25216}, {"effort", effort}, {"compiler", "llvm 22.1.8"},
          {"inner", 1}};
}

std::string message_of(const Json& wrong) {
  try {
    Machine().tune(wrong);
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::invalid_argument);
    return e.what();
  }
  return "no error";
}

TEST(Tune, ExhaustiveFindsTheBest) {
  Machine m;
  const Json answer = m.tune(request("exhaustive"));
  const auto best = std::get<CpuSchedule>(
      parse_schedule(answer["schedule"].get<std::string>(), parse_target("x86-64-v3")));
  EXPECT_EQ(best.vector, 16);
  EXPECT_EQ(best.rows, 8);
  EXPECT_EQ(best.stores, CpuSchedule::nontemporal);
  EXPECT_EQ(answer["looked_at"], answer["space"]["candidates"]);
  EXPECT_EQ(answer["evidence"], "measured");
  EXPECT_NEAR(answer["ratio_to_default"]["median"].get<double>(), 0.8 * 0.9, 1e-9);
  EXPECT_NEAR(answer["default"]["seconds"]["median"].get<double>(), 0.95e-4, 1e-9);
  EXPECT_EQ(answer["error_scaled"], 0.25);
  EXPECT_FALSE(answer["disturbed"]);
  EXPECT_FALSE(answer["cancelled"]);
  EXPECT_GT(m.progress_calls, 0);
  EXPECT_EQ(answer["candidates"][0]["status"], "ok");
}

TEST(Tune, QuickLooksAtAPartAndFindsTheBestOfASimpleSpace) {
  Machine m;
  const Json answer = m.tune(request());
  EXPECT_LE(answer["looked_at"].get<int>(), 65);
  EXPECT_LE(answer["ratio_to_default"]["median"].get<double>(), 0.8);
}

TEST(Tune, InstantMeasuresNothing) {
  // The default is a row at a time with stores past the caches: nothing promises more.
  Machine m;
  const Json answer = m.tune(request("instant"));
  EXPECT_EQ(m.measured, 0);
  EXPECT_TRUE(m.built.empty());
  EXPECT_EQ(answer["evidence"], "default");
  EXPECT_EQ(answer["schedule"], answer["default"]["schedule"]);
  EXPECT_TRUE(answer["seconds"].is_null());
  EXPECT_TRUE(answer["ratio_to_default"].is_null());
}

TEST(Tune, WrongAndFailingCandidatesAreToldAndNeverWin) {
  const Json good = Machine().tune(request("exhaustive"));
  const auto fastest = good["schedule"].get<std::string>();
  Machine m;
  m.wrong = {fastest};
  for (const Json& tie : good["near_ties"]) {
    if (tie != fastest) m.refused[tie] = std::int32_t(Status::compile_failed);
  }
  const Json answer = m.tune(request("exhaustive"));
  EXPECT_NE(answer["schedule"], fastest);
  bool told = false;
  for (const Json& candidate : answer["candidates"]) {
    if (candidate["schedule"] == fastest) {
      told = true;
      EXPECT_EQ(candidate["status"], "wrong_answer");
      EXPECT_EQ(candidate["error_scaled"], 7);
      EXPECT_TRUE(candidate["seconds"].is_null());
    }
    if (m.refused.contains(candidate["schedule"].get<std::string>())) {
      EXPECT_EQ(candidate["status"], "compile_failed");
      EXPECT_EQ(candidate["why"], "refused by the test");
    }
  }
  EXPECT_TRUE(told);
}

TEST(Tune, StatusesOfTheCaller) {
  const Json good = Machine().tune(request("exhaustive"));
  const auto fastest = good["schedule"].get<std::string>();
  const std::vector<std::pair<Status, const char*>> cases = {
      {Status::compile_failed, "compile_failed"}, {Status::unsupported, "exceeds_device"},
      {Status::out_of_memory, "exceeds_device"},  {Status::device_error, "launch_failed"},
      {Status::internal, "compile_failed"},
  };
  for (const auto& [status, word] : cases) {
    Machine m;
    m.refused[fastest] = std::int32_t(status);
    const Json answer = m.tune(request("exhaustive"));
    for (const Json& candidate : answer["candidates"]) {
      if (candidate["schedule"] == fastest) {
        EXPECT_EQ(candidate["status"], word);
      }
    }
  }
}

TEST(Tune, ARecordedLineHasWhatAReplayNeeds) {
  Machine m;
  m.tune(request());
  ASSERT_FALSE(m.lines.empty());
  std::size_t samples = 0;
  for (const std::string& text : m.lines) {
    const Json line = Json::parse(text);
    EXPECT_EQ(line["schema"], kTuneSchema);
    EXPECT_EQ(line["task"], kTask);
    EXPECT_EQ(line["target"], "x86-64-v3");
    EXPECT_EQ(line["compiler"], "llvm 22.1.8");
    EXPECT_EQ(line["rows"], 25216);
    EXPECT_EQ(line["inner"], 1);
    EXPECT_EQ(line["status"], "ok");
    EXPECT_EQ(line["seconds"].size(), line["reference_seconds"].size());
    samples += line["seconds"].size();
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
  // Samples are medians of 8 turns; beside one to eight of them the default took its own.
  const std::size_t others = 8 * (samples - 1);
  EXPECT_GE(std::size_t(m.measured), others + others / 8);
  EXPECT_LE(std::size_t(m.measured), 1 + 2 * others);
}

TEST(Tune, ResumesFromLinesTextsOrObjects) {
  Machine first;
  first.stop_after = 8000;
  const Json half = first.tune(request("exhaustive"));
  EXPECT_TRUE(half["cancelled"]);
  EXPECT_LT(first.measured, 8000 + 16);

  Machine second;
  Json again = request("exhaustive");
  again["resume"] = Json::array();
  for (std::size_t i = 0; i < first.lines.size(); ++i) {
    again["resume"].push_back(i % 2 == 0 ? Json(first.lines[i]) : Json::parse(first.lines[i]));
  }
  again["resume"].push_back("{torn");
  again["resume"].push_back(17);
  again["resume"].push_back({{"schema", 1}});
  const Json answer = second.tune(again);
  EXPECT_GT(answer["resumed"].get<int>(), 100);
  EXPECT_EQ(answer["looked_at"], answer["space"]["candidates"]);
  EXPECT_LT(second.built.size() + answer["resumed"].get<std::size_t>(),
            answer["space"]["candidates"].get<std::size_t>() + 8);
  EXPECT_EQ(answer["schedule"], Machine().tune(request("exhaustive"))["schedule"]);
}

TEST(Tune, ListedSchedulesAreAllThatIsLookedAt) {
  Machine whole;
  const Json space = whole.tune(request("exhaustive"));
  const Json& candidates = space["candidates"];
  const std::string slow = candidates[candidates.size() - 1]["schedule"];
  const std::string fast = space["schedule"];
  Json listed = request();
  listed["schedules"] = {slow, fast, slow, space["default"]["schedule"]};
  Machine m;
  const Json answer = m.tune(listed);
  EXPECT_EQ(answer["looked_at"], 3);
  EXPECT_EQ(answer["space"]["candidates"], 3);
  EXPECT_EQ(answer["schedule"], fast);
  EXPECT_EQ((std::set<std::string>(m.built.begin(), m.built.end())),
            (std::set<std::string>{slow, fast, space["default"]["schedule"]}));
  // Rows of a block that this problem can't have; then no schedule at all.
  listed["schedules"] = {fast, "v64_u8_r4_bcast_cached@slice256"};
  const Json legal = Machine().tune(listed);
  EXPECT_EQ(legal["space"]["candidates"].get<int>() + int(legal["space"]["left_out"].size()), 3);
  listed["schedules"] = {"fast"};
  EXPECT_NE(message_of(listed).find("fast"), std::string::npos);
  listed["schedules"] = "v8";
  EXPECT_EQ(message_of(listed), "tune request: schedules must be a list of texts");
}

TEST(Tune, LinesOfOtherTuningsAreNotResumed) {
  Machine first;
  first.tune(request());
  for (const auto& [key, value] :
       std::map<std::string, Json>{{"rows", 100},
                                   {"compiler", "llvm 23"},
                                   {"generator", "another"},
                                   {"determinism", "gpu_to_gpu"},  // another default
                                   {"target", "x86-64-v4"}}) {
    Json other = request("quick");
    other[key] = value;
    other["resume"] = first.lines;
    EXPECT_EQ(Machine().tune(other)["resumed"], 0) << key;
  }
}

TEST(Tune, HostileResumeLinesAreHarmless) {
  Machine first;
  first.tune(request());
  Json line = Json::parse(first.lines.back());
  Json again = request();
  again["resume"] = Json::array();
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
    again["resume"].push_back(bad);
  }
  EXPECT_NO_THROW(Machine().tune(again));
}

TEST(Tune, WrongRequestsAreToldByField) {
  const auto with = [](const char* key, const Json& value) {
    Json r = request();
    r[key] = value;
    return r;
  };
  EXPECT_EQ(message_of(Json::array()), "tune request: not a JSON object");
  EXPECT_EQ(message_of(with("schema", 9)), "tune request: schema 9 is unknown; use 1");
  EXPECT_EQ(message_of(with("rows", 0)), "tune request: rows must be a whole number of at least 1");
  EXPECT_EQ(message_of(with("rows", 1e300)),
            "tune request: rows must be a whole number of at least 1");
  EXPECT_EQ(message_of(with("inner", "many")),
            "tune request: inner must be a whole number of at least 1");
  EXPECT_EQ(message_of(with("effort", "lazy")),
            "unknown effort 'lazy'; use one of instant, quick, thorough, exhaustive");
  EXPECT_EQ(message_of(with("budget_seconds", -1)),
            "tune request: budget_seconds must be a number of at least 0");
  EXPECT_EQ(message_of(with("resume", "lines")), "tune request: resume must be a list of lines");
  EXPECT_EQ(message_of(with("task", 5)), "tune request: task must be a text");
  Json no_rows = request();
  no_rows.erase("rows");
  EXPECT_EQ(message_of(no_rows), "tune request: rows must be given, at least 1");
  EXPECT_NE(message_of(with("target", "i386")).find("unknown target"), std::string::npos);
}

TEST(Tune, ADefaultThatFailsIsAnError) {
  Machine m;
  m.refused[to_string(default_schedule(parse_task(kTask), parse_target("x86-64-v3"), 25216))] =
      std::int32_t(Status::compile_failed);
  try {
    m.tune(request());
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::compile_failed);
  }
  EXPECT_EQ(m.lines.size(), 1U);  // with the reason
  EXPECT_THROW(tune(request().dump(), TuneCallbacks{}), Error);
}

}  // namespace
}  // namespace grkan
