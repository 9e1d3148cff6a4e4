// Plan: which schedule answers for which size, preparing, exporting, importing, explaining.
#include "runtime/plan.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cache/files.h"
#include "core/check.h"
#include "core/error.h"
#include "core/sample.h"
#include "cpu/schedule.h"
#include "tuner/tune.h"

namespace grkan {
namespace {

// A context with a cache folder of its own.
struct PlanTest : ::testing::Test {
  PlanTest() {
    std::string name = ::testing::TempDir() + "grkan_plan_XXXXXX";
    folder = mkdtemp(name.data());
    options.cache_dir = folder;
    options.threads = 2;
    options.log_level = LogLevel::error;
  }
  ~PlanTest() override { std::filesystem::remove_all(folder); }
  PlanTest(const PlanTest&) = delete;
  PlanTest& operator=(const PlanTest&) = delete;

  // A winner of this machine for rows [low, high].
  static Winner winner(Context& context, const Task& task, std::int64_t low, std::int64_t high,
                       int slice) {
    Winner w;
    w.task = task;
    w.device = describe(context.device("cpu").info());
    w.rows = {low, high};
    w.tuned_rows = low;
    CpuSchedule s = CpuSchedule(default_schedule(task, host_target(), low));
    s.slice_rows = slice;
    w.schedule = to_string(Schedule(s));
    w.time = TimeNs{.median = 1000, .p10 = 900, .p90 = 1100, .samples = 9};
    w.date = utc_now();
    return w;
  }

  std::string folder;
  ContextOptions options;
  Problem problem = parse_problem("p5q4-A-c64-g4-f32-last");
};

TEST_F(PlanTest, DefaultWithoutWinners) {
  Context context(options);
  Plan plan(context, problem, "cpu", {});
  const Choice choice = plan.choose(Direction::forward, 100, 1);
  EXPECT_EQ(choice.evidence, host_target().name.empty() ? "portable" : "default");
  EXPECT_FALSE(choice.winner);
  EXPECT_TRUE(choice.rows.holds(100));
}

TEST_F(PlanTest, WinnersAnswerForTheirRangesExactly) {
  if (host_target().name.empty()) GTEST_SKIP() << "SKIP: a portable CPU has no winners";
  Context context(options);
  const Task task = forward_task(problem);
  ASSERT_TRUE(context.cache().store_winner(winner(context, task, 100, 149, 64)));
  ASSERT_TRUE(context.cache().store_winner(winner(context, task, 150, 300, 128)));
  Plan plan(context, problem, "cpu", {});
  const auto slice = [&](std::int64_t rows) {
    const Choice choice = plan.choose(Direction::forward, rows, 1);
    EXPECT_EQ(choice.evidence, "measured");
    EXPECT_TRUE(choice.rows.holds(rows));
    return CpuSchedule(choice.schedule).slice_rows;
  };
  EXPECT_EQ(slice(100), 64);
  EXPECT_EQ(slice(149), 64);
  EXPECT_EQ(slice(150), 128);
  EXPECT_EQ(slice(300), 128);
  // Both ranges end within a power of two: no choice reaches over the border.
  EXPECT_EQ(plan.choose(Direction::forward, 140, 1).rows, (Range{128, 149}));
  EXPECT_EQ(plan.choose(Direction::forward, 151, 1).rows, (Range{150, 255}));
}

TEST_F(PlanTest, RefreshSeesANewWinner) {
  if (host_target().name.empty()) GTEST_SKIP() << "SKIP: a portable CPU has no winners";
  Context context(options);
  Plan plan(context, problem, "cpu", {});
  EXPECT_EQ(plan.choose(Direction::forward, 100, 1).evidence, "default");
  ASSERT_TRUE(context.cache().store_winner(winner(context, forward_task(problem), 1, 200, 64)));
  EXPECT_EQ(plan.choose(Direction::forward, 100, 1).evidence, "default");
  plan.refresh();
  EXPECT_EQ(plan.choose(Direction::forward, 100, 1).evidence, "measured");
}

TEST_F(PlanTest, TuningStoresAWinnerThatPlansUse) {
  if (host_target().name.empty()) GTEST_SKIP() << "SKIP: a portable CPU is not tuned";
  options.tune_memory = std::size_t{64} << 20;
  Context context(options);
  Plan plan(context, problem, "cpu", {true, true, true});
  plan.prepare({1, 500}, {1, 1});
  TuneOptions quick;
  quick.budget_seconds = 2;  // enough to compare something on a busy machine
  const TuneResult result =
      tune(context.tune_site(plan.device()), plan.task(Direction::backward), 300, 1, quick);
  EXPECT_TRUE(result.stored);
  EXPECT_EQ(result.rows, 300);
  EXPECT_EQ(result.winner.evidence, Evidence::measured);
  ASSERT_TRUE(result.winner.time);
  EXPECT_GT(result.winner.time->median, 0);
  EXPECT_LE(result.winner.error_scaled.value_or(9), 1);
  EXPECT_FALSE(result.winner.bound_kind.empty());
  plan.refresh();
  const Choice choice = plan.choose(Direction::backward, 300, 1);
  EXPECT_EQ(choice.evidence, "measured");
  EXPECT_EQ(to_string(choice.schedule), result.winner.schedule);
  // Every measurement is kept, so the next tuning goes on from it.
  EXPECT_FALSE(
      context.cache()
          .measurements(plan.task(Direction::backward), describe(context.device("cpu").info()))
          .empty());
  EXPECT_TRUE(context.binaries().cached(plan.task(Direction::backward), choice.schedule,
                                        plan.device().target()));
}

// The best few of what another driver or compiler, or a prediction, found are timed; the rest of
// the space is not.
TEST_F(PlanTest, TheBestFewOfAnEarlierWinnerAreTimedAgain) {
  if (host_target().name.empty()) GTEST_SKIP() << "SKIP: a portable CPU is not tuned";
  options.tune_memory = std::size_t{64} << 20;
  const Task task = forward_task(problem);
  TuneOptions quick;
  quick.budget_seconds = 1;
  const auto looked_at = [](const TuneResult& result) {
    return int(result.outcome.candidates.size());
  };
  for (const Evidence evidence : {Evidence::measured, Evidence::predicted_static}) {
    std::filesystem::remove_all(folder);
    Context context(options);
    Device& cpu = context.device("cpu");
    Winner old = winner(context, task, 200, 400, 64);
    old.tuned_rows = 300;
    old.evidence = evidence;
    old.disturbed = true;  // ranks below what a busy machine gives this test
    old.binary = "0123456789abcdef0123456789abcdef";  // of another compiler
    old.date = "2020-01-01T00:00:00Z";
    Winner other = winner(context, task, 200, 400, 128);
    old.candidates = {{.schedule = other.schedule, .status = "ok", .time = {}, .error_scaled = {}},
                      {.schedule = winner(context, task, 200, 400, 32).schedule,
                       .status = "wrong_answer",
                       .time = {},
                       .error_scaled = {}}};
    ASSERT_TRUE(context.cache().store_winner(old));
    const TuneResult again = tune(context.tune_site(cpu), task, 300, 1, quick);
    EXPECT_TRUE(again.timed_again);
    EXPECT_LE(looked_at(again), 3) << "the default and two";
    EXPECT_EQ(again.winner.evidence, Evidence::measured);
    // Another size is not that winner's; and what was measured here now is no longer old.
    EXPECT_FALSE(tune(context.tune_site(cpu), task, 310, 1, quick).timed_again);
    EXPECT_FALSE(tune(context.tune_site(cpu), task, 300, 1, quick).timed_again);
  }
}

TEST_F(PlanTest, APlanTunesOnlyWhatIsUnknownOrOld) {
  if (host_target().name.empty()) GTEST_SKIP() << "SKIP: a portable CPU is not tuned";
  options.tune_memory = std::size_t{64} << 20;
  options.effort = Effort::quick;
  Context context(options);
  Device& cpu = context.device("cpu");
  const Task task = forward_task(problem);
  const auto measured = [&] { return context.cache().measurements(task, describe(cpu.info())); };
  Plan plan(context, problem, "cpu", {});
  plan.prepare({300, 300}, {1, 1});
  const std::size_t lines = measured().size();
  EXPECT_GT(lines, 0U);
  plan.prepare({300, 300}, {1, 1});
  EXPECT_EQ(measured().size(), lines) << "it is known";
  // Of another generator; and timed while the machine was busy, by an earlier process.
  Winner old = winner(context, task, 900, 900, 64);
  old.binary = "0123456789abcdef0123456789abcdef";
  Winner disturbed = winner(context, task, 5000, 5000, 64);
  disturbed.disturbed = true;
  disturbed.date = "2020-01-01T00:00:00Z";
  for (const Winner& one : {old, disturbed}) {
    const std::size_t before = measured().size();
    ASSERT_TRUE(context.cache().store_winner(one));
    plan.refresh();
    plan.prepare(one.rows, {1, 1});
    EXPECT_GT(measured().size(), before) << one.rows.low;
  }
}

TEST_F(PlanTest, ARangeIsTunedWhole) {
  if (host_target().name.empty()) GTEST_SKIP() << "SKIP: a portable CPU is not tuned";
  options.tune_memory = std::size_t{64} << 20;
  Context context(options);
  TuneOptions quick;
  quick.budget_seconds = 0.3;
  const Task task = forward_task(problem);
  const std::vector<TuneResult> results =
      tune_range(context.tune_site(context.device("cpu")), task, {10, 3000}, {1, 1}, quick);
  ASSERT_FALSE(results.empty());
  EXPECT_EQ(results.front().winner.rows.low, 10);
  EXPECT_EQ(results.back().winner.rows.high, 3000);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Winner& w = results[i].winner;
    EXPECT_TRUE(results[i].stored);
    EXPECT_TRUE(w.rows.holds(w.tuned_rows)) << i;
    if (i > 0) {
      EXPECT_EQ(w.rows.low, results[i - 1].winner.rows.high + 1);
    }
  }
  TuneOptions instant;
  instant.effort = Effort::instant;
  const std::vector<TuneResult> untimed =
      tune_range(context.tune_site(context.device("cpu")), task, {10, 3000}, {1, 1}, instant);
  ASSERT_EQ(untimed.size(), 1U);
  EXPECT_EQ(untimed[0].winner.rows, (Range{10, 3000}));
  EXPECT_EQ(untimed[0].winner.tuned_rows, 3000);
}

TEST_F(PlanTest, ATuningStoppedBeforeItTimedAnythingClaimsNothing) {
  if (host_target().name.empty()) GTEST_SKIP() << "SKIP: a portable CPU is not tuned";
  options.tune_memory = std::size_t{64} << 20;
  Context context(options);
  TuneOptions stopped;
  stopped.cancelled = [] { return true; };
  const TuneResult result =
      tune(context.tune_site(context.device("cpu")), forward_task(problem), 300, 1, stopped);
  EXPECT_EQ(result.winner.evidence == Evidence::measured, result.winner.time.has_value());
  EXPECT_EQ(parse_winner(to_text(result.winner)), result.winner);
}

TEST_F(PlanTest, EffortQuickTunesWhilePreparing) {
  if (host_target().name.empty()) GTEST_SKIP() << "SKIP: a portable CPU is not tuned";
  options.effort = Effort::quick;
  options.compiler = "/nonexistent/libgrkan_compiler.so";
  Context context(options);
  Plan plan(context, problem, "cpu", {});
  // Tuning is tried first, and that it can't be done is no error; the portable kernel serves.
  plan.prepare({1, 10}, {1, 1});
  EXPECT_TRUE(plan.is_prepared(Direction::forward, 10, 1));
}

TEST_F(PlanTest, ExplainIsJson) {
  Context context(options);
  Plan plan(context, problem, "cpu", {true, true, true});
  const auto j = nlohmann::json::parse(plan.explain(backward_task(problem), 1000, 1));
  EXPECT_EQ(j["task"], "backward.dx.da.db/p5q4-A-c64-g4-f32-last");
  EXPECT_EQ(j["rows"], 1000);
  EXPECT_EQ(j["device"], "cpu");
  EXPECT_FALSE(j["schedule"].get<std::string>().empty());
  EXPECT_TRUE(j["tuned"].is_null());
  EXPECT_TRUE(j["why"].contains("tuned"));
}

// The schedules of a plan's tasks at some sizes, none of them prepared.
std::vector<std::string> schedules_of(Plan& plan) {
  std::vector<std::string> found;
  for (const std::int64_t rows : {1, 77, 150, 199, 200, 201, 5000, 1 << 20}) {
    found.push_back(to_string(plan.choose(Direction::forward, rows, 1).schedule));
    for (unsigned bits = 1; bits < 8; ++bits) {
      const Task task = backward_task(plan.problem(), Gradients::of_bits(bits));
      found.push_back(nlohmann::json::parse(plan.explain(task, rows, 1))["schedule"]);
    }
  }
  return found;
}

// Another process, with another cache, chooses as this one does: for every size and subset.
TEST_F(PlanTest, ImportedWinnersAnswerInPlaceOfTheOwn) {
  if (host_target().name.empty()) GTEST_SKIP() << "SKIP: a portable CPU has no winners";
  Context first(options);
  const Task forward = forward_task(problem);
  const Task backward = backward_task(problem);
  const Task part = backward_task(problem, {.dx = true});
  ASSERT_TRUE(first.cache().store_winner(winner(first, forward, 100, 200, 64)));
  ASSERT_TRUE(first.cache().store_winner(winner(first, backward, 150, 300, 32)));
  ASSERT_TRUE(first.cache().store_winner(winner(first, part, 150, 300, 128)));
  options.cache_dir = folder + "/other";
  options.threads = 1;  // another device to the cache
  Context second(options);
  ASSERT_TRUE(second.cache().store_winner(winner(second, forward, 1, 1000, 512)));
  ASSERT_TRUE(second.cache().store_winner(winner(second, part, 1, 1000, 512)));

  Plan from(first, problem, "cpu", {true, true, true});
  Plan to(second, problem, "cpu", {true, true, true});
  to.prepare({150, 150}, {1, 1});
  const std::vector<std::string> own = schedules_of(to);
  EXPECT_NE(own, schedules_of(from));
  const std::string bytes = from.export_winners();
  to.import_winners(bytes);
  EXPECT_EQ(schedules_of(to), schedules_of(from));
  EXPECT_EQ(to.choose(Direction::forward, 150, 1).evidence, "imported");
  EXPECT_EQ(to.choose(Direction::backward, 1, 1).evidence, "imported");
  EXPECT_TRUE(to.is_prepared(Direction::forward, 150, 1)) << "what was prepared stays so";
  // An import goes on to others, and ends with a tuning.
  Plan third(second, problem, "cpu", {true, true, true});
  third.import_winners(to.export_winners());
  EXPECT_EQ(schedules_of(third), schedules_of(from));
  to.refresh();
  EXPECT_EQ(schedules_of(to), own);
  // That there is nothing is imported too.
  options.cache_dir = folder + "/empty";
  Context nothing(options);
  Plan untuned(nothing, problem, "cpu", {true, true, true});
  to.import_winners(untuned.export_winners());
  EXPECT_EQ(schedules_of(to), schedules_of(untuned));
}

TEST_F(PlanTest, WhatCantBeImportedIsRefused) {
  options.cpu_target = Target{};
  Context context(options);
  Plan plan(context, problem, "cpu", {true, false, true});
  const std::string bytes = plan.export_winners();
  plan.import_winners(bytes);
  std::string flipped = bytes;
  flipped[flipped.find("cpu")] = 'C';
  EXPECT_THROW(plan.import_winners(flipped), Error);
  EXPECT_THROW(plan.import_winners(""), Error);
  EXPECT_THROW(plan.import_winners("{}"), Error);
  Plan other(context, parse_problem("p5q4-B-c64-g4-f32-last"), "cpu", {});
  EXPECT_THROW(other.import_winners(bytes), Error);
}

TEST_F(PlanTest, PrepareCoversEverySizeOfARange) {
  options.cpu_target = Target{};
  Context context(options);
  Plan plan(context, parse_problem("p5q4-A-c64-g4-f32-first"), "cpu", {});
  plan.prepare({3, 70}, {5, 9});
  for (std::int64_t rows = 3; rows <= 70; ++rows) {
    for (std::int64_t inner = 5; inner <= 9; ++inner) {
      EXPECT_TRUE(plan.is_prepared(Direction::forward, rows, inner)) << rows << " " << inner;
      const Choice choice = plan.choose(Direction::forward, rows, inner);
      EXPECT_TRUE(choice.rows.holds(rows) && choice.inner.holds(inner)) << rows << " " << inner;
    }
  }
}

TEST_F(PlanTest, WorkspaceNeverChanges) {
  options.cpu_target = Target{};
  Context context(options);
  Plan plan(context, problem, "cpu", {true, true, true});
  const std::size_t before = plan.workspace_size(Direction::backward);
  const std::size_t of_one = plan.workspace_size(Direction::backward, 1, 1);
  plan.prepare({1, 100000}, {1, 1});
  EXPECT_EQ(plan.workspace_size(Direction::backward), before);
  EXPECT_EQ(plan.workspace_size(Direction::backward, 1, 1), of_one);
  // Few rows need little, more never less, and none more than a call of any rows.
  EXPECT_LT(of_one, before / 4);
  std::size_t last = 0;
  for (std::int64_t rows = 0; rows < 2000; ++rows) {
    const std::size_t size = plan.workspace_size(Direction::backward, rows, 1);
    EXPECT_GE(size, last);
    EXPECT_LE(size, before);
    last = size;
  }
  EXPECT_EQ(plan.workspace_size(Direction::backward, std::int64_t{1} << 40, 1), before);
}

TEST_F(PlanTest, WhatIsPreparedIsTold) {
  options.cpu_target = Target{};
  Context context(options);
  Plan plan(context, problem, "cpu", {});
  EXPECT_FALSE(plan.is_prepared(Direction::forward, 10, 1));
  EXPECT_TRUE(plan.is_prepared(Direction::forward, 0, 1));
  plan.prepare({8, 15}, {1, 1});
  EXPECT_TRUE(plan.is_prepared(Direction::forward, 10, 1));
  EXPECT_FALSE(plan.is_prepared(Direction::forward, 16, 1));
  EXPECT_THROW((void)plan.is_prepared(Direction::backward, 10, 1), Error);
}

// A layer's tensors for calls with some gradients.
struct Layer {
  explicit Layer(const Problem& problem, std::int64_t rows)
      : sample(backward_task(problem), {.rows = rows}), call(sample.call()) {}
  Sample sample;
  Call call;

  // The call with memory for these gradients alone.
  [[nodiscard]] Call of(const Gradients& g) const {
    Call c = call;
    if (!g.dx) c.out = nullptr;
    if (!g.da) c.da = nullptr;
    if (!g.db) c.db = nullptr;
    return c;
  }
};

// A null gradient is not computed, and those beside it come out right.
TEST_F(PlanTest, AnySubsetOfTheGradients) {
  for (const bool portable : {true, false}) {
    options.cpu_target = portable ? Target{} : host_target();
    Context context(options);
    Plan plan(context, problem, "cpu", {true, true, true});
    for (unsigned bits = 1; bits < 8; ++bits) {
      const Gradients g = Gradients::of_bits(bits);
      Layer layer(problem, 300);
      const Task task = backward_task(problem, g);
      std::vector<double> space(plan.workspace_size(Direction::backward, 300, 1) / 8 + 16);
      void* at = space.data();
      std::size_t room = space.size() * 8;
      std::align(64, 64, at, room);
      plan.run(Direction::backward, layer.of(g), {.data = at, .size = room});
      const Reference reference = make_reference(task, layer.of(g));
      const Schedule schedule = default_schedule(task, host_target(), 300);
      const TensorErrors errors = compare(task, schedule, reference, layer.of(g));
      EXPECT_TRUE(errors.passes()) << to_string(g) << ": " << errors.why_failed();
      EXPECT_EQ(errors.dx.has_value(), g.dx);
      EXPECT_EQ(errors.db.has_value(), g.db);
      EXPECT_EQ(layer.sample.why_damaged(), "") << to_string(g);
    }
  }
}

// Until it is tuned itself, a part of the gradients runs what the whole was tuned to.
TEST_F(PlanTest, ATuningOfTheWholeServesItsParts) {
  if (host_target().name.empty()) GTEST_SKIP() << "SKIP: a portable CPU has no winners";
  Context context(options);
  const Task whole = backward_task(problem);
  const auto slice = [&](Gradients gradients) {
    Plan plan(context, problem, "cpu", gradients);
    const Choice choice = plan.choose(Direction::backward, 100, 1);
    EXPECT_EQ(why_illegal(plan.task(Direction::backward), choice.schedule, host_target(),
                          Determinism::run_to_run),
              "");
    return std::pair(CpuSchedule(choice.schedule).slice_rows, choice.evidence);
  };
  ASSERT_TRUE(context.cache().store_winner(winner(context, whole, 50, 200, 32)));
  for (unsigned bits = 1; bits < 8; ++bits) {
    EXPECT_EQ(slice(Gradients::of_bits(bits)), std::pair(32, std::string("measured"))) << bits;
  }
  const Task part = backward_task(problem, {.dx = true});
  ASSERT_TRUE(context.cache().store_winner(winner(context, part, 50, 200, 128)));
  EXPECT_EQ(slice({.dx = true}).first, 128);
  EXPECT_EQ(slice({.da = true}).first, 32);
  // Where the whole's winners change, a part's choice changes too.
  ASSERT_TRUE(context.cache().store_winner(winner(context, whole, 201, 300, 64)));
  Plan plan(context, problem, "cpu", {.da = true});
  EXPECT_EQ(CpuSchedule(plan.choose(Direction::backward, 210, 1).schedule).slice_rows, 64);
  EXPECT_EQ(plan.choose(Direction::backward, 199, 1).rows, (Range{128, 200}));
  // What was timed is told: the part itself, or the whole.
  Plan all(context, problem, "cpu", {true, true, true});
  const auto timed = [&](const Task& task) {
    return nlohmann::json::parse(all.explain(task, 100, 1))["tuned"]["task"];
  };
  EXPECT_EQ(timed(part), to_string(part));
  EXPECT_EQ(timed(backward_task(problem, {.da = true})), to_string(whole));
}

// A dy of stride 0, as the gradient of a sum is: every row is the same.
TEST_F(PlanTest, OneRowForAll) {
  options.cpu_target = Target{};
  Context context(options);
  Plan plan(context, problem, "cpu", {true, true, true});
  Layer layer(problem, 77);
  Call call = layer.call;
  call.dy_stride = 0;
  std::vector<double> space(plan.workspace_size(Direction::backward, 77, 1) / 8 + 16);
  void* at = space.data();
  std::size_t room = space.size() * 8;
  std::align(64, 64, at, room);
  plan.run(Direction::backward, call, {.data = at, .size = room});
  const Task task = backward_task(problem);
  const Reference reference = make_reference(task, call);
  const TensorErrors errors = compare(task, default_schedule(task, {}, 77), reference, call);
  EXPECT_TRUE(errors.passes()) << errors.why_failed();
  call.out_stride = 0;
  EXPECT_THROW(plan.run(Direction::backward, call, {.data = at, .size = room}), Error);
}

TEST_F(PlanTest, NoDriverIsAClearStatus) {
  options.cuda_driver = "/nonexistent/libcuda.so.1";
  Context context(options);
  try {
    Plan plan(context, problem, "cuda:0", {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), Status::no_device);
    EXPECT_NE(std::string(error.what()).find("/nonexistent/libcuda.so.1"), std::string::npos);
  }
  EXPECT_EQ(context.devices().size(), 1U);
}

}  // namespace
}  // namespace grkan
