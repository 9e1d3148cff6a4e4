// Lists of problems on the command line.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/cli_command.h"
#include "tests/json_doc.h"

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

// Too many channels for any memory: that entry fails, and it alone.
TEST_F(FleetTest, AFailedEntryIsToldAndTheOthersAreTuned) {
  std::ofstream(list_) << R"({"task": "forward/p5q4-A-c32-g8-f32-first", "inner": 4000000000000}
{"task": "forward/p5q4-A-c32-g8-f32-last", "rows": 100})";
  const Result result =
      run(Command(folder_), {"tune", "--problems", list_, "--effort", "instant", "--json"}, 1);
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
