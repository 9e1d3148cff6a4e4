// Problem lists: what a line may say, and what is said of a wrong one.
#include "tuner/problem_list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "core/error.h"

namespace grkan {
namespace {

constexpr Range kRows = {25216, 25216};

std::vector<ListedTask> parse(const std::string& text, std::int64_t inner = 1) {
  std::istringstream stream(text);
  return parse_problem_list(stream, "list.jsonl", kRows, inner);
}

TEST(ProblemList, TaskWithAllFields) {
  const auto list = parse(
      R"({"task": "backward.dx/p5q4-A-c768-g8-f32-first", "rows": "2..64", "inner": 49, "count": 3})");
  const ListedTask expected = {.task = parse_task("backward.dx/p5q4-A-c768-g8-f32-first"),
                               .rows = {2, 64},
                               .inner = 49,
                               .count = 3};
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0], expected);
  EXPECT_EQ(to_string(list[0]), "backward.dx/p5q4-A-c768-g8-f32-first, 2..64 rows, 49 inner");
}

TEST(ProblemList, ProblemGivesItsDirectionsAndTheCallsDefaults) {
  const Problem problem = parse_problem("p3q3-B-c64-g4-bf16-last");
  const ListedTask forward = {.task = forward_task(problem), .rows = kRows};
  const ListedTask backward = {.task = backward_task(problem), .rows = kRows};
  const std::string name = R"({"problem": "p3q3-B-c64-g4-bf16-last")";
  EXPECT_EQ(parse(name + "}"), (std::vector{forward, backward}));
  EXPECT_EQ(parse(name + R"(, "direction": "both"})"), (std::vector{forward, backward}));
  EXPECT_EQ(parse(name + R"(, "direction": "forward"})"), std::vector{forward});
  EXPECT_EQ(parse(name + R"(, "direction": "backward"})"), std::vector{backward});
  EXPECT_EQ(parse(R"({"task": "forward/p5q4-A-c8-g8-f32-first"})", 49).at(0).inner, 49);
  EXPECT_EQ(parse(name + "}", 49).at(0).inner, 1) << "inner is of channels-first alone";
}

TEST(ProblemList, BlankLinesCommentsAndLineEnds) {
  const auto list = parse(
      "# a model\n\n  \t\n   # more\r\n{\"task\": \"forward/p5q4-A-c8-g8-f32-last\"}\r\n\r\n"
      "{\"task\": \"forward/p5q4-A-c16-g8-f32-last\", \"rows\": 7}");
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[1].rows, (Range{7, 7}));
}

TEST(ProblemList, SameEntriesAreOneWithTheCountsAdded) {
  const auto list = parse(
      R"({"problem": "p5q4-A-c8-g8-f32-last", "count": 12}
         {"task": "forward/p5q4-A-c8-g8-f32-last", "rows": "1..4", "count": 7}
         {"task": "forward/p5q4-A-c8-g8-f32-last"}
         {"task": "backward.dx/p5q4-A-c8-g8-f32-last"})");
  ASSERT_EQ(list.size(), 4U);
  EXPECT_EQ(list[0].count, 13);
  EXPECT_EQ(list[1].count, 12);
  EXPECT_EQ(list[2].count, 7) << "other rows are another entry";
  EXPECT_EQ(list[3].count, 1) << "other gradients are another task";
}

TEST(ProblemList, ErrorsNameFileLineFieldAndWhatWasExpected) {
  const std::string task = R"({"task": "forward/p5q4-A-c8-g8-f32-last")";
  const struct {
    std::string line;
    std::vector<std::string> words;
  } cases[] = {
      {"{\"task\": ", {"not a JSON object", "a line is like {\"task\""}},
      {"[1]", {"'[1]' is not a JSON object"}},
      {"{} {}", {"not a JSON object"}},
      {std::string(100000, '['), {"not a JSON object", "[[..."}},
      {"\xff\xfe", {"not a JSON object"}},
      {"{}", {"neither task nor problem"}},
      {task + R"(, "problem": "p5q4-A-c8-g8-f32-last"})", {"task and problem", "leave one out"}},
      {task + R"(, "direction": "both"})", {"leave direction out"}},
      {task + R"(, "row": 5})", {"unknown field \"row\"", "task, problem, direction, rows"}},
      {task + R"(, "rows": 5, "rows": 6})", {"\"rows\" stands there twice"}},
      {R"({"task": 5})", {"task must be a text, not 5"}},
      {R"({"task": "forward/p5q4-A-c255-g8-f32-last"})", {"255", "groups 8"}},
      {R"({"problem": "p5q4"})", {"problem 'p5q4' is malformed"}},
      {R"({"problem": "p5q4-A-c8-g8-f32-last", "direction": "up"})",
       {"unknown direction 'up'", "forward, backward or both"}},
      {task + R"(, "rows": 0})", {"rows must be 1 or more, not 0"}},
      {task + R"(, "rows": -1})", {"rows '-1' is malformed"}},
      {task + R"(, "rows": 1.5})", {"rows must be 25216 or \"1..4096\", not 1.5"}},
      {task + R"(, "rows": "9..3"})", {"rows 9..3 is an empty range"}},
      {task + R"(, "rows": 99999999999999999999})", {"rows must be", "not 1e+20"}},
      {task + R"(, "inner": 2})", {"inner 2 needs channels-first"}},
      {task + R"(, "inner": "2"})", {"inner must be a whole number from 1"}},
      {task + R"(, "count": 0})", {"count must be a whole number from 1 to 1000000000, not 0"}},
      {task + R"(, "count": 18446744073709551615})", {"count must be", "not 18446744073709551615"}},
      {task + R"(, "count": null})", {"count must be", "not null"}},
  };
  for (const auto& [line, words] : cases) {
    try {
      parse("# first\n\n" + line + "\n");
      ADD_FAILURE() << "taken: " << line;
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_EQ(error.status(), Status::invalid_argument);
      EXPECT_TRUE(message.starts_with("list.jsonl, line 3: ")) << message;
      EXPECT_LT(message.size(), 400U) << message;
      for (const std::string& word : words) {
        EXPECT_NE(message.find(word), std::string::npos) << message << "\n  lacks: " << word;
      }
    }
  }
}

TEST(ProblemList, AnEmptyListIsAnError) {
  for (const char* text : {"", "\n\n", "# nothing yet\n"}) {
    EXPECT_THROW(parse(text), Error);
  }
}

// What stands in examples/kat.jsonl, derived here from the models' sizes.
TEST(ProblemList, KatListHoldsEveryLayerOfTheModels) {
  const auto list = read_problem_list(GRKAN_KAT_LIST, {1, 1}, 1);
  std::int64_t calls = 0;
  for (const ListedTask& entry : list) {
    EXPECT_EQ(entry.rows, (Range{128 * 197, 128 * 197}));
    calls += entry.count;
  }
  constexpr int kModels = 3;
  constexpr int kBlocks = 12;
  constexpr int kLayers = 2;
  constexpr int kDirections = 2;
  constexpr int kTypes = 2;
  EXPECT_EQ(calls, kModels * kBlocks * kLayers * kDirections * kTypes);
  std::vector<std::string> missing;
  for (const std::string type : {"f32", "bf16"}) {
    for (const int width : {192, 384, 768, 4 * 192, 4 * 384, 4 * 768}) {
      const Problem problem = parse_problem(fmt::format("p5q4-A-c{}-g1x8-{}-last", width, type));
      for (const Task& task : tasks_of(problem, "both", {true, true, true})) {
        const auto same = [&](const ListedTask& entry) { return entry.task == task; };
        if (std::none_of(list.begin(), list.end(), same)) missing.push_back(to_string(task));
      }
    }
  }
  EXPECT_EQ(missing, std::vector<std::string>{});
}

}  // namespace
}  // namespace grkan
