// Lists of problems, shards and merging on the command line.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "cache/files.h"
#include "tests/cli/cli_command.h"
#include "tests/cli/json_doc.h"

namespace grkan {
namespace {

constexpr const char* kList = R"(# two problems
{"problem": "p5q4-A-c32-g8-f32-last", "rows": 200, "count": 12}
{"task": "forward/p5q4-A-c64-g8-f32-last", "rows": "1..64"}
)";

class FleetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "grkan_fleet_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    list_ = folder_ / "list.jsonl";
    std::ofstream(list_) << kList;
    setenv("GRKAN_CUDA_DRIVER", "/nowhere/libcuda.so.1", 1);
    unsetenv("GRKAN_LOG");
    unsetenv("SOURCE_DATE_EPOCH");
    const Json devices = Command(folder_).run({"devices", "--json"}).json();
    if (devices["devices"][0]["architecture"].get<std::string>().empty()) {
      GTEST_SKIP() << "this processor has only portable kernels, which have nothing to tune";
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A call that must end with this exit code.
  static Result run(Command command, const Words& words, int exit_code = 0) {
    Result result = command.run(words);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    return result;
  }

  // Of a task that has one.
  static fs::path path_of_winner(const fs::path& cache, const std::string& task) {
    const Words list = {"cache", "list", "--json", "--cache", cache};
    const Json document = run(Command(cache.parent_path()), list).json();
    for (const Json& entry : document["entries"]) {
      if (entry["kind"] == "winner" && entry["task"] == task) {
        return cache / entry["path"].get<std::string>();
      }
    }
    ADD_FAILURE() << "no winner of " << task << " in " << cache;
    return {};
  }

  fs::path folder_;
  fs::path list_;
};

TEST_F(FleetTest, AListIsTunedEntryByEntry) {
  const Result result =
      run(Command(folder_), {"tune", "--problems", list_, "--effort", "instant", "--json"});
  const Json document = result.json();
  Documented("tune", true).hold(document);
  ASSERT_EQ(document["results"].size(), 3U);
  const Json& results = document["results"];
  EXPECT_EQ(results[0]["task"], "forward/p5q4-A-c32-g8-f32-last");
  EXPECT_EQ(results[0]["count"], 12);
  EXPECT_EQ(results[0]["rows"], 200);
  EXPECT_EQ(results[1]["task"], "backward.dx.da.db/p5q4-A-c32-g8-f32-last");
  EXPECT_EQ(results[1]["count"], 12);
  EXPECT_EQ(results[2]["task"], "forward/p5q4-A-c64-g8-f32-last");
  EXPECT_EQ(results[2]["winner_rows"], Json({1, 64}));
  EXPECT_EQ(results[2]["count"], 1);
}

TEST_F(FleetTest, ShardsTogetherAreTheList) {
  std::vector<std::string> tasks;
  for (const char* shard : {"1/3", "2/3", "3/3"}) {
    const Result result = run(Command(folder_), {"tune", "--problems", list_, "--shard", shard,
                                                 "--effort", "instant", "--json"});
    const Json document = result.json();
    Documented("tune", true).hold(document);
    EXPECT_EQ(document["results"].size(), 1U) << "three tasks, three shards";
    for (const Json& entry : document["results"]) tasks.push_back(entry["task"]);
  }
  std::sort(tasks.begin(), tasks.end());
  EXPECT_EQ(tasks, (Words{"backward.dx.da.db/p5q4-A-c32-g8-f32-last",
                          "forward/p5q4-A-c32-g8-f32-last", "forward/p5q4-A-c64-g8-f32-last"}));
  const Words empty = {"tune", "--problems", list_, "--shard", "4/4"};
  EXPECT_EQ(run(Command(folder_), empty).out, "shard 4/4 has no task\n");
  const Words wrong = {"tune", "--problems", list_, "--shard", "0/4"};
  EXPECT_NE(run(Command(folder_), wrong, 2).err.find("use 1/4 to 4/4"), std::string::npos);
}

// What was not measured is the same file wherever and whenever it is found.
TEST_F(FleetTest, SourceDateEpochDatesWhatWasNotMeasured) {
  const std::string task = "forward/p5q4-A-c32-g8-f32-last";
  const auto date = [&](const std::string& cache, const Words& more) {
    Words words = {"tune", task, "--rows", "200", "--cache", folder_ / cache};
    words.insert(words.end(), more.begin(), more.end());
    run(Command(folder_), words);
    return Json::parse(read_file(path_of_winner(folder_ / cache, task)))["date"].get<std::string>();
  };
  setenv("SOURCE_DATE_EPOCH", "1764000000", 1);
  EXPECT_EQ(date("one", {"--effort", "instant"}), "2025-11-24T16:00:00Z");
  EXPECT_EQ(date("two", {"--effort", "instant"}), "2025-11-24T16:00:00Z");
  EXPECT_EQ(path_of_winner(folder_ / "one", task).filename(),
            path_of_winner(folder_ / "two", task).filename());
  EXPECT_NE(date("three", {"--budget", "0.3s"}), "2025-11-24T16:00:00Z") << "it was measured";
  setenv("SOURCE_DATE_EPOCH", "yesterday", 1);
  const Result wrong = run(Command(folder_), {"tune", task}, 2);
  EXPECT_NE(wrong.err.find("SOURCE_DATE_EPOCH 'yesterday' is no time"), std::string::npos);
  unsetenv("SOURCE_DATE_EPOCH");
}

// Two shards, each in a cache of its own, merged, are what one machine would have found. Then a
// default against a measured winner: the conflict is told.
TEST_F(FleetTest, ShardsAreMerged) {
  Documented documented("cache merge");
  const auto tune_into = [&](const std::string& name, const Words& more) {
    Words words = {"tune", "--cache", folder_ / name, "--effort", "instant"};
    words.insert(words.end(), more.begin(), more.end());
    run(Command(folder_), words);
  };
  const auto merge = [&](const Words& sources) {
    Words words = {"cache", "merge", "--json", "--cache", folder_ / "all"};
    for (const std::string& source : sources) words.push_back(folder_ / source);
    const Json document = run(Command(folder_), words).json();
    documented.hold(document);
    return document;
  };
  tune_into("one", {"--problems", list_, "--shard", "1/2"});
  tune_into("two", {"--problems", list_, "--shard", "2/2"});
  const Json merged = merge({"one", "two"});
  EXPECT_EQ(merged["winners"], 3);
  EXPECT_GE(merged["binaries"], 2);
  EXPECT_EQ(merged["conflicts"], Json::array());
  const Json again = merge({"two", "one"});
  EXPECT_EQ(again["winners"], 0);
  EXPECT_EQ(again["present"], 3);

  // Another schedule for the same range, as a later version's default would be.
  const fs::path winner = path_of_winner(folder_ / "all", "forward/p5q4-A-c32-g8-f32-last");
  std::string text = read_file(winner);
  const std::string schedule = Json::parse(text)["schedule"];
  const std::string other = schedule.substr(0, schedule.find('@')) + "@slice512";
  ASSERT_NE(schedule, other);
  for (std::size_t at = 0; (at = text.find(schedule, at)) != std::string::npos;) {
    text.replace(at, schedule.size(), other);
  }
  text.replace(text.find("\"date\": \"2"), 10, "\"date\": \"9");
  const fs::path folder = folder_ / "later" / fs::relative(winner.parent_path(), folder_ / "all");
  fs::create_directories(folder);
  for (fs::path at = folder; at != folder_; at = at.parent_path()) {
    fs::permissions(at, fs::perms::owner_all);
  }
  std::ofstream(folder / (content_hash(text) + ".json")) << text;
  std::ofstream(folder / "notes.txt") << "foreign";
  const Json conflict = merge({"later"});
  documented.finish();
  EXPECT_EQ(conflict["defects"].size(), 1U);
  ASSERT_EQ(conflict["conflicts"].size(), 1U);
  EXPECT_EQ(conflict["conflicts"][0]["won"]["schedule"], other);
  EXPECT_EQ(conflict["conflicts"][0]["lost"]["schedule"], schedule);
  const Words said = {"cache", "merge", folder_ / "later", "--cache", folder_ / "all"};
  const Result text_result = run(Command(folder_), said);
  EXPECT_NE(text_result.out.find("wins over"), std::string::npos) << text_result.out;
  EXPECT_NE(text_result.err.find("left out: "), std::string::npos) << text_result.err;

  const Words missing = {"cache", "merge", folder_ / "none", "--cache", folder_ / "all"};
  EXPECT_NE(run(Command(folder_), missing, 1).err.find("there is no such folder"),
            std::string::npos);
  const Words itself = {"cache", "merge", folder_ / "all", "--cache", folder_ / "all"};
  run(Command(folder_), itself, 2);
  run(Command(folder_), {"cache", "merge"}, 2);
}

// Too many channels for any memory: that entry fails, and it alone.
TEST_F(FleetTest, AFailedEntryIsToldAndTheOthersAreTuned) {
  std::ofstream(list_) << R"({"task": "forward/p5q4-A-c32-g8-f32-first", "inner": 4000000000000}
{"task": "forward/p5q4-A-c32-g8-f32-last", "rows": 100})";
  const Result result =
      run(Command(folder_), {"tune", "--problems", list_, "--budget", "0.2s", "--json"}, 1);
  const Json document = result.json();
  Documented("tune", true).hold(document);
  ASSERT_EQ(document["failed"].size(), 1U) << result.err;
  EXPECT_EQ(document["failed"][0]["task"], "forward/p5q4-A-c32-g8-f32-first");
  EXPECT_EQ(document["failed"][0]["inner"], 4000000000000);
  EXPECT_EQ(document["failed"][0]["status"], document["failure"]["status"]);
  ASSERT_EQ(document["results"].size(), 1U);
  EXPECT_EQ(document["results"][0]["task"], "forward/p5q4-A-c32-g8-f32-last");
}

TEST_F(FleetTest, WrongListsAreToldBeforeAnythingIsTuned) {
  const auto message = [&](const Words& words, int exit_code) {
    Words all = {"tune", "--effort", "instant"};
    all.insert(all.end(), words.begin(), words.end());
    return run(Command(folder_), all, exit_code).err;
  };
  const auto expect = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  const std::string list = list_;
  expect(message({"p5q4-A-c32-g8-f32-last", "--problems", list}, 2),
         "--problems " + list + " and p5q4-A-c32-g8-f32-last both say what to tune");
  expect(message({"--direction", "forward", "--problems", list}, 2), "leave one out");
  expect(message({"--problems", list, "--rows", "0"}, 2), "rows 0 can't be tuned at");
  expect(message({"--problems", folder_ / "none"}, 1), "none can't be read (No such file");
  expect(message({"--problems", folder_}, 1), "can't be read to its end");
  expect(message({"--problems", "-"}, 2), "standard input lists no task");
  std::ofstream(list_, std::ios::app) << "{\"task\": 7}\n";
  expect(message({"--problems", list}, 2), "list.jsonl, line 4: task must be a text, not 7");
  EXPECT_FALSE(fs::exists(folder_ / "cache" / "winners"));
}

}  // namespace
}  // namespace grkan
