// Tables and searches on them: invented ones, and three that were recorded (tests/bench/tables).
#include "bench/lab/replay/replay.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "bench/lab/replay/facts.h"
#include "bench/lab/replay/forecast.h"
#include "bench/lab/replay/left_out.h"
#include "bench/lab/replay/portfolio.h"
#include "bench/lab/replay/table_text.h"
#include "core/error.h"
#include "cpu/schedule.h"
#include "tuner/effort.h"
#include "tuner/starting_points.h"

namespace grkan {
namespace {

const std::string kHead =
    R"({"schema":1,"task":"forward/p5q4-A-c768-g8-f32-last","target":"x86-64-v3","rows":64,)"
    R"("inner":1,"threads":2,"machine":"a machine","compiler":"llvm 22.1.8",)"
    R"("date":"2026-01-01T00:00:00Z","evidence":"measured","build_seconds":0.02})"
    "\n";
const std::string kDefault =
    R"({"schedule":"v8_u1_r1_bcast_cached@slice256","us":[200,210],"reference_us":[200,210]})"
    "\n";

std::string message_of(const std::string& text) {
  try {
    parse_table(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), Status::invalid_argument);
    return error.what();
  }
  return "no error";
}

// All schedules of the task's space, with costs that each parameter decides by itself; the second
// is wrong, the third can't be compiled.
Table invented() {
  Table table = parse_table(kHead + kDefault);
  table.rows = 25216;
  const Space space = enumerate_space(table.task, table.target, Determinism::run_to_run, 25216);
  table.candidates.clear();
  for (const Schedule& schedule : space.schedules) {
    const auto& s = CpuSchedule(schedule);
    const double us = 300.0 * (s.vector == 16 ? 0.8 : 1) * (s.rows == 8 ? 0.9 : 1) *
                      (s.stores == CpuSchedule::nontemporal ? 0.95 : 1) *
                      (s.prefetch == 2 ? 0.97 : 1);
    table.candidates.push_back({.schedule = to_string(schedule),
                                .status = CandidateStatus::ok,
                                .why = {},
                                .us = {us, 2 * us, us},
                                .reference_us = {300, 600, 300}});
  }
  table.candidates[0].us = table.candidates[0].reference_us;
  table.candidates[1] = {.schedule = table.candidates[1].schedule,
                         .status = CandidateStatus::wrong_answer,
                         .why = "the error is 2 times its bound",
                         .us = {},
                         .reference_us = {}};
  table.candidates[2] = {.schedule = table.candidates[2].schedule,
                         .status = CandidateStatus::compile_failed,
                         .why = "no",
                         .us = {},
                         .reference_us = {}};
  return table;
}

TEST(Table, IsReadAsItWasWritten) {
  Table table = invented();
  table.candidates[3].us = {0.012345678, 123456.7, 1e7};
  table.candidates[3].reference_us = {300.04, 300.06, 300};
  const Table read = parse_table(to_text(table));
  EXPECT_EQ(read.candidates[3].us, (std::vector<double>{0.01235, 123500, 1e7}));
  EXPECT_EQ(read.candidates[3].reference_us, (std::vector<double>{300, 300.1, 300}));
  table.candidates[3] = read.candidates[3];
  EXPECT_EQ(parse_table(to_text(table)).candidates[1].why, "the error is 2 times its bound");
  // 4 digits of the others are written too.
  EXPECT_EQ(to_text(parse_table(to_text(table))), to_text(table));
  table.predicted = true;
  EXPECT_TRUE(parse_table(to_text(table)).predicted);
}

TEST(Table, WrongLinesAreToldByNumberAndField) {
  EXPECT_EQ(message_of(""), "table: no candidates");
  EXPECT_EQ(message_of("[]"), "table, line 1: not a JSON object");
  EXPECT_EQ(message_of(kHead), "table: no candidates");
  EXPECT_EQ(message_of(R"({"schema":2})"), "table: schema 2 is unknown; use 1");
  EXPECT_EQ(message_of(R"({"schema":1,"task":7})"), "table, line 1: task is 7");
  EXPECT_EQ(message_of(kHead + kDefault + "{torn"), "table, line 3: not a JSON object");
  EXPECT_EQ(message_of(kHead + kDefault + kDefault),
            "table, line 3: v8_u1_r1_bcast_cached@slice256 is there twice");
  EXPECT_EQ(message_of(kHead + R"({"schedule":"x","us":[1,2],"reference_us":[1]})"),
            "table, line 2: us and reference_us must be equally many positive numbers");
  EXPECT_EQ(message_of(kHead + R"({"schedule":"x","us":[],"reference_us":[]})"),
            "table, line 2: us and reference_us must be equally many positive numbers");
  EXPECT_EQ(message_of(kHead + R"({"schedule":"x","us":[0],"reference_us":[1]})"),
            "table, line 2: us and reference_us must be equally many positive numbers");
  EXPECT_EQ(message_of(kHead + R"({"schedule":"x","status":"compile_failed","why":"no"})"),
            "table: the first candidate, the default, has no times");
  std::string guessed = kHead + kDefault;
  guessed.replace(guessed.find("measured"), 8, "guessed!");
  EXPECT_EQ(message_of(guessed),
            "table: evidence 'guessed!' is unknown; use measured or predicted");
}

TEST(Table, FilesAreNamedForTaskAndSize) {
  const Task task = parse_task("backward.dx.da.db/p5q4-A-c768-g1x8-f32:bf16-first");
  EXPECT_EQ(table_name(task, 8, 196),
            "backward.dx.da.db-p5q4-A-c768-g1x8-f32_bf16-first-8x196.jsonl");
  EXPECT_EQ(table_name(task, 8, 1), "backward.dx.da.db-p5q4-A-c768-g1x8-f32_bf16-first-8.jsonl");
  const std::string folder =
      (std::filesystem::temp_directory_path() / ("grkan-replay-" + std::to_string(getpid())))
          .string();
  const Table table = parse_table(to_text(invented()));
  write_table(folder, table);
  const std::vector<Table> read = read_tables(folder);
  std::filesystem::remove_all(folder);
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0], table);
  EXPECT_THROW(read_tables(folder), Error);
  EXPECT_THROW(read_table(folder + "/none.jsonl"), Error);
}

TEST(Replay, ExhaustiveFindsTheBest) {
  const Table table = invented();
  const auto best =
      CpuSchedule(parse_schedule(table.candidates[table.best()].schedule, table.target));
  EXPECT_EQ(best.vector, 16);
  EXPECT_EQ(best.rows, 8);
  const auto strategy = exhaustive_strategy();
  const ReplayResult r = replay(table, *strategy, search_options(Effort::exhaustive), 1);
  EXPECT_NEAR(r.regret, 0, 1e-9);
  EXPECT_EQ(r.looked_at, table.candidates.size());
  EXPECT_GE(r.measurements, table.candidates.size() - 2);
  // 20 ms for each compiled part, and all runs.
  EXPECT_GT(r.seconds, 0.02 * double(table.candidates.size()) / 2);
}

TEST(Replay, QuickComesNearInAFifthOfTheMeasurements) {
  const Table table = invented();
  const Space space = space_of(table);
  const auto exhaustive = exhaustive_strategy();
  const ReplayResult all = replay(table, *exhaustive, search_options(Effort::exhaustive), 1);
  int near = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto strategy = effort_strategy(Effort::quick, space, {}, seed);
    const ReplayResult r = replay(table, *strategy, search_options(Effort::quick), seed);
    EXPECT_LE(double(r.measurements), 0.2 * double(all.measurements)) << "seed " << seed;
    near += r.regret <= 0.02 ? 1 : 0;
  }
  EXPECT_GE(near, 8);
}

// A space that has lost a value since: those candidates are passed over, but for the default.
TEST(Replay, CandidatesThatTheSpaceNoLongerHasArePassedOver) {
  Table table = invented();
  const std::size_t all = table.candidates.size();
  TableCandidate odd = table.candidates[5];
  odd.schedule = "v8_u1_r7_bcast_cached@slice256";
  table.candidates.push_back(odd);
  table.candidates.front().schedule = "v8_u1_r5_bcast_cached@slice256";
  const std::string folder =
      (std::filesystem::temp_directory_path() / ("grkan-current-" + std::to_string(getpid())))
          .string();
  write_table(folder, table);
  const std::vector<Table> current = read_current_tables(folder);
  std::filesystem::remove_all(folder);
  ASSERT_EQ(current.size(), 1U);
  EXPECT_EQ(current[0].candidates.size(), all);
  EXPECT_EQ(current[0].candidates.front(), table.candidates.front());
  EXPECT_EQ(current[0].candidates[5], table.candidates[5]);
}

// Two tables whose best schedules differ: each first one serves its own.
TEST(Portfolio, ChoosesWhatServesAllTablesTogether) {
  std::vector<Table> tables;
  for (const int rows : {8, 2}) {
    Table table = invented();
    for (TableCandidate& c : table.candidates) {
      const auto s = CpuSchedule(parse_schedule(c.schedule, table.target));
      const double us = s.rows == rows ? 100 : s.rows == 4 ? 115 : 150;
      if (c.status == CandidateStatus::ok) c.us = {us * (s.unroll == 1 ? 1 : 1.5)};
      if (c.status == CandidateStatus::ok) c.reference_us = {150};
    }
    tables.push_back(table);
  }
  const std::vector<const Table*> both = {&tables[0], &tables[1]};
  const Portfolio portfolio(both);
  // sqrt(0.15) twice is more than sqrt(0.5) once.
  const auto one = portfolio.choose(1);
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(CpuSchedule(one[0]).unroll, 1);
  EXPECT_NE(CpuSchedule(one[0]).rows, 4);
  const auto two = portfolio.choose(2);
  EXPECT_EQ(CpuSchedule(two[0]).rows + CpuSchedule(two[1]).rows, 10);
  EXPECT_NEAR(portfolio.regret(two, 0), 0, 1e-9);
  EXPECT_NEAR(portfolio.regret(two, 1), 0, 1e-9);
  EXPECT_NEAR(portfolio.regret(portfolio.choose(1, 0), 0), 0.5, 1e-9);  // of the other table
}

// The recorded rounds are given in turn, as ratios to the default's time of the same round: a
// round in which the machine was slow says nothing against a candidate.
TEST(Replay, RoundsArePaired) {
  Table table = invented();
  for (TableCandidate& c : table.candidates) {
    if (c.us.size() == 3) c.us[1] *= 1 + 1e-9;  // as recorded: twice as long, like the default
  }
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const auto strategy = exhaustive_strategy();
    EXPECT_NEAR(replay(table, *strategy, search_options(Effort::exhaustive), seed).regret, 0, 1e-6);
  }
}

// Recorded tables, three of those in bench/lab/tables.tar.xz.
std::vector<std::string> fixtures() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(GRKAN_TEST_TABLES)) {
    if (entry.path().extension() == ".jsonl") paths.push_back(entry.path().string());
  }
  return paths;
}

TEST(RecordedTables, AreWrittenAsTheyWereRead) {
  const std::vector<std::string> paths = fixtures();
  EXPECT_EQ(paths.size(), 3U);
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::filesystem::path name = std::filesystem::path(path).filename();
    if (holds_facts(text)) {
      const FactsTable facts = parse_facts(text);
      EXPECT_EQ(to_text(facts), text) << path;
      EXPECT_EQ(name, table_name(facts.task, facts.rows, facts.inner));
      continue;
    }
    const Table table = parse_table(text);
    EXPECT_EQ(to_text(table), text) << path;
    EXPECT_EQ(name, table_name(table.task, table.rows, table.inner));
  }
}

TEST(RecordedTables, QuickSearchComesNearTheBest) {
  const std::vector<Table> tables = read_current_tables(GRKAN_TEST_TABLES "/measured/zen4");
  ASSERT_EQ(tables.size(), 1U);
  const Table& table = tables[0];
  const Space space = space_of(table);
  const std::vector<std::size_t> starts =
      starting_candidates(space, starting_points(table.task, table.target));
  EXPECT_FALSE(starts.empty());
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto search = [&] {
      const auto strategy = effort_strategy(Effort::quick, space, starts, seed);
      return replay(table, *strategy, search_options(Effort::quick), seed);
    };
    const ReplayResult result = search();
    EXPECT_LE(result.regret, 0.02) << "seed " << seed;
    const ReplayResult again = search();
    EXPECT_EQ(again.winner, result.winner);
    EXPECT_EQ(again.measurements, result.measurements);
  }
}

TEST(Facts, AreReadAsTheyWereWritten) {
  LaunchFacts launch;
  launch.executed = true;
  launch.programmatic = true;
  launch.blocks = 264;
  launch.threads = 192;
  launch.resident_blocks = 5;
  launch.instructions.fp32 = 123456.78901;
  launch.instructions.other = 7;
  launch.independent = 8;
  launch.sectors = 1e9;
  launch.last_round_trips = 2;
  LaunchFacts from_code = launch;
  from_code.executed = false;
  const FactsTable facts{.task = parse_task("forward/p5q4-A-c768-g8-f32-last"),
                         .target = parse_target("sm_90"),
                         .rows = 64,
                         .inner = 1,
                         .gpu = "h200",
                         .compiler = "nvrtc 13.0.88",
                         .date = "2026-01-01T00:00:00Z",
                         .candidates = {{.schedule = "v4_r2_x48_y4_newton@blocks4",
                                         .status = CandidateStatus::pruned,
                                         .why = "spills 8 bytes a thread",
                                         .from_code = {from_code, from_code},
                                         .executed = {launch}},
                                        {.schedule = "v4_r4_x48_y4_newton@blocks4",
                                         .status = CandidateStatus::ok,
                                         .why = {},
                                         .from_code = {},
                                         .executed = {}}}};
  const std::string text = to_text(facts);
  EXPECT_TRUE(holds_facts(text));
  EXPECT_FALSE(holds_facts(kHead));
  const FactsTable read = parse_facts(text);
  EXPECT_EQ(to_text(read), text);
  EXPECT_EQ(read.task, facts.task);
  EXPECT_EQ(read.candidates.size(), 2U);
  EXPECT_EQ(read.candidates[0].why, "spills 8 bytes a thread");
  launch.instructions.fp32 = 123456.8;  // 7 digits
  EXPECT_EQ(read.candidates[0].executed, std::vector<LaunchFacts>{launch});
  EXPECT_EQ(read.candidates[0].from_code.size(), 2U);
  EXPECT_FALSE(read.candidates[0].from_code[0].executed);
  const Table predicted = predicted_table(read, Counts::executed);
  EXPECT_EQ(predicted.candidates[0].status, CandidateStatus::pruned);
  EXPECT_EQ(predicted.candidates[1].status, CandidateStatus::exceeds_device);
}

TEST(Facts, ThatAreNoneAreRefusedWithTheLine) {
  const auto refused = [](const std::string& text) -> std::string {
    try {
      parse_facts(text);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(refused(""), "facts: no candidates");
  EXPECT_TRUE(refused(kHead).starts_with("facts, line 1: schema 1 and evidence \"measured\""));
  EXPECT_TRUE(refused("{").starts_with("facts, line 1: "));
}

TEST(RecordedTables, PredictionsHoldAScheduleNearTheBest) {
  const std::string name = "/h200/backward.dx.da.db-p5q4-A-c768-g1x8-f32-last-3152.jsonl";
  const Table measured = read_table(GRKAN_TEST_TABLES "/measured" + name);
  const FactsTable facts = parse_facts(read_lines(GRKAN_TEST_TABLES "/facts" + name));
  const Table predicted = predicted_table(facts, Counts::executed);
  EXPECT_FALSE(measured.predicted);
  EXPECT_TRUE(predicted.predicted);
  std::vector<std::string> schedules;
  const Forecast forecast = forecast_of(measured, predicted, schedules);
  EXPECT_EQ(schedules.size(), forecast.seconds.size());
  EXPECT_EQ(schedules[0], measured.candidates[0].schedule);
  const Outcome outcome = outcome_of(forecast);
  EXPECT_TRUE(outcome.holds());
  EXPECT_GT(outcome.correlation, 0.7);
  Table lacks_default = predicted;
  lacks_default.candidates.erase(lacks_default.candidates.begin());
  EXPECT_THROW(forecast_of(measured, lacks_default, schedules), Error);
}

// A file by hand: of two candidates of a table, and of a folder that is not asked for.
TEST(LeftOut, SaysTheCostsOfATable) {
  Table table = parse_table(kHead + kDefault);
  for (const char* schedule :
       {"v8_u1_r2_bcast_cached@slice256", "v8_u1_r4_bcast_cached@slice256"}) {
    TableCandidate c = table.candidates.front();
    c.schedule = schedule;
    c.us = {100, 105};
    table.candidates.push_back(c);
  }
  const std::string name = table_name(table.task, table.rows, table.inner);
  const std::string path = ::testing::TempDir() + "grkan_left_out_test.tsv";
  std::ofstream(path) << "one\t" << name << "\tv8_u1_r1_bcast_cached@slice256\t12.5\n"
                      << "one\t" << name << "\tv8_u1_r4_bcast_cached@slice256\t11.5\n"
                      << "other\t" << name << "\tv8_u1_r2_bcast_cached@slice256\t9\n";
  const std::vector<double> costs = LeftOut(path, "some/where/one").log_costs(table);
  ASSERT_EQ(costs.size(), 3U);
  EXPECT_EQ(costs[0], 12.5);
  EXPECT_TRUE(std::isinf(costs[1]));
  EXPECT_EQ(costs[2], 11.5);
  std::vector<std::string> schedules;
  const Forecast forecast = forecast_of(table, costs, schedules);
  EXPECT_EQ(schedules, (std::vector<std::string>{"v8_u1_r1_bcast_cached@slice256",
                                                 "v8_u1_r4_bcast_cached@slice256"}));
  EXPECT_NEAR(forecast.seconds[1] / forecast.seconds[0], std::exp(-1), 1e-12);
  EXPECT_EQ(order_of(forecast), (std::vector<std::size_t>{1, 0}));
  EXPECT_TRUE(LeftOut().log_costs(table).empty());
  EXPECT_THROW(LeftOut(path, "third"), Error);
  std::filesystem::remove(path);
  EXPECT_THROW(LeftOut(path, "one"), Error);
}

}  // namespace
}  // namespace grkan
