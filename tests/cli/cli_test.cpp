// The command as its users meet it: each verb's JSON document against docs/json.md, exit codes,
// messages, and what a damaged cache or Ctrl-C does.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "cache/binary_file.h"
#include "core/binary.h"
#include "tests/cli/cli_command.h"
#include "tests/cli/json_doc.h"

namespace grkan {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kProblem = "p5q4-A-c32-g8-f32-last";

void flip_byte_in_the_middle(const fs::path& path) {
  std::string bytes = read_file(path);
  ASSERT_FALSE(bytes.empty()) << path;
  bytes[bytes.size() / 2] = char(bytes[bytes.size() / 2] ^ 0x20);
  std::ofstream(path, std::ios::binary) << bytes;
}

// Each null of a result has its reason.
void expect_reasons(const Json& document) {
  for (const Json& entry : document.at("results")) {
    const Json why = entry.value("why", Json::object());
    for (const auto& [name, value] : entry.items()) {
      EXPECT_TRUE(!value.is_null() || why.contains(name)) << name << " is null without a why";
    }
  }
}

// One temporary folder; a cache with both directions of kProblem tuned at 200 rows is made once.
class CliTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string name = ::testing::TempDir() + "grkan_cli_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder() = name;
    // No driver, on every machine; and no settings of who runs the test.
    setenv("GRKAN_CUDA_DRIVER", "/nowhere/libcuda.so.1", 1);
    unsetenv("GRKAN_LOG");
    unsetenv("GRKAN_THREADS");
    devices() = Command(folder() / "first").run({"devices", "--json"}).json();
    if (!native()) return;
    tune() = Command(folder() / "tuned")
                 .run({"tune", kProblem, "--rows", "200", "--budget", "1s", "--json"});
  }
  static void TearDownTestSuite() { fs::remove_all(folder()); }

  static fs::path& folder() {
    static fs::path path;
    return path;
  }
  static Json& devices() {
    static Json document;
    return document;
  }
  static Result& tune() {
    static Result result;
    return result;
  }
  // False on a processor below every target: it has the portable kernels alone.
  static bool native() {
    return !devices()["devices"][0]["architecture"].get<std::string>().empty();
  }
  static bool nvrtc() {
    for (const Json& compiler : devices()["compilers"]) {
      if (compiler["targets"] == "cuda") return !compiler["compiler"].is_null();
    }
    return false;
  }
  // A command with a cache of its own, empty or a copy of the tuned one.
  static Command fresh() {
    const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    return Command(folder() / name);
  }
  static Command tuned() {
    Command command = fresh();
    fs::copy(folder() / "tuned" / "cache", command.cache(), fs::copy_options::recursive);
    return command;
  }
  // The paths of a kind of entry, whole.
  static std::vector<fs::path> entries(Command& command, const std::string& kind) {
    std::vector<fs::path> paths;
    const Json document = command.run({"cache", "list", "--json"}).json();
    for (const Json& entry : document["entries"]) {
      if (entry["kind"] == kind) paths.push_back(command.cache() / entry["path"]);
    }
    return paths;
  }
};

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

TEST_F(CliTest, DevicesDocument) {
  Documented documented("devices");
  documented.hold(devices());
  documented.finish();
  EXPECT_EQ(devices()["devices"][0]["name"], "cpu");
}

TEST_F(CliTest, EmitDocument) {
  if (!native()) GTEST_SKIP() << "this processor has only portable kernels";
  Command command = fresh();
  Documented documented("emit");
  for (const Words& more : {Words{}, Words{"-o", (folder() / "emitted").string()}}) {
    Words words = {"emit", kProblem, "--stage", "asm", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Result result = command.run(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    documented.hold(result.json());
    EXPECT_EQ(result.json()["results"].size(), 2U);
  }
  documented.finish();
}

TEST_F(CliTest, EmitCudaStages) {
  Command command = fresh();
  const Result cuda = command.run({"emit", kProblem, "--arch", "sm_90"});
  EXPECT_EQ(cuda.exit_code, 0) << cuda.err;
  EXPECT_NE(cuda.out.find("__global__"), std::string::npos);
  const Result launch =
      command.run({"emit", "backward.da/p5q4-A-c32-g8x2-f32-last", "--arch", "sm_90", "--schedule",
                   "v4_r2_x8_y4_div_run16_lastblock@blocks2", "--stage", "launch"});
  EXPECT_EQ(launch.exit_code, 0) << launch.err;
  EXPECT_EQ(launch.json()["tile_segments"], 8);
  EXPECT_EQ(launch.json()["sums"], "lastblock");
  EXPECT_EQ(launch.json()["sum_terms"], 6);
  EXPECT_EQ(launch.json()["second_pass_blocks"], 0);
  if (!nvrtc()) GTEST_SKIP() << "devices finds no NVRTC";
  const Result ptx = command.run({"emit", kProblem, "--arch", "sm_90", "--stage", "ptx"});
  EXPECT_EQ(ptx.exit_code, 0) << ptx.err;
  EXPECT_NE(ptx.out.find(".visible .entry"), std::string::npos);
}

TEST_F(CliTest, CompileDocument) {
  Command command = fresh();
  Documented documented("compile", true);
  const Result result = command.run({"compile", kProblem, "--arch", "x86-64-v3", "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  documented.hold(result.json());
  documented.finish();
  expect_reasons(result.json());
  if (!nvrtc()) GTEST_SKIP() << "devices finds no NVRTC";
  const Result both =
      command.run({"compile", kProblem, "--arch", "sm_75,sm_90", "--rows", "1000", "--json"});
  EXPECT_EQ(both.exit_code, 0) << both.err;
  documented.hold(both.json());
  expect_reasons(both.json());
  EXPECT_EQ(both.json()["results"].size(), 4U);
  const Json document = both.json();
  for (const Json& entry : document["results"]) EXPECT_TRUE(entry["registers"].is_number());
}

TEST_F(CliTest, CheckDocument) {
  Command command = fresh();
  Documented documented("check", true);
  for (const char* problem : {kProblem, "p3q2-N-c12-g3-f32-first"}) {
    const Result result = command.run({"check", problem, "--rows", "100", "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    documented.hold(result.json());
    expect_reasons(result.json());
    EXPECT_EQ(result.json()["failed"], 0);
  }
  documented.finish();
}

TEST_F(CliTest, CheckRandom) {
  const Words words = {"check", "--random", "20", "--seed", "3", "--json"};
  const Result first = fresh().run(words);
  EXPECT_EQ(first.exit_code, 0) << first.out;
  const Json document = first.json();
  Documented("check", true).hold(document);
  EXPECT_EQ(document["seed"], 3);
  EXPECT_EQ(document["passed"], 20);
  EXPECT_EQ(document["results"].size(), 20U);
  // The seed says it all.
  EXPECT_EQ(fresh().run(words).out, first.out);
}

TEST_F(CliTest, TuneDocument) {
  if (!native()) GTEST_SKIP() << "this processor has only portable kernels";
  EXPECT_EQ(tune().exit_code, 0) << tune().err;
  Documented documented("tune", true);
  documented.hold(tune().json());
  expect_reasons(tune().json());
  const Json document = tune().json();
  for (const Json& entry : document["results"]) {
    EXPECT_EQ(entry["evidence"], "measured");
    EXPECT_TRUE(fs::exists(entry["cache_entry"].get<std::string>())) << entry["cache_entry"];
    EXPECT_LE(entry["error"]["scaled"].get<double>(), 1);
    EXPECT_EQ(entry["candidates"].size(), entry["search"]["looked_at"]);
  }
  Command command = fresh();
  const Result instant =
      command.run({"tune", kProblem, "--rows", "50..200", "--effort", "instant", "--json"});
  EXPECT_EQ(instant.exit_code, 0) << instant.err;
  documented.hold(instant.json());
  expect_reasons(instant.json());
  EXPECT_EQ(instant.json()["results"][0]["winner_rows"], Json({50, 200}));
  const Result explained = command.run({"tune", kProblem, "--explain-space", "--json"});
  EXPECT_EQ(explained.exit_code, 0) << explained.err;
  documented.hold(explained.json());
  documented.finish();
  const Json space = explained.json()["spaces"][1]["space"];
  std::int64_t all = space["candidates"].get<std::int64_t>();
  for (const Json& count : space["left_out"]) all += count.get<std::int64_t>();
  EXPECT_EQ(all, space["tried"]);
  EXPECT_TRUE(explained.json()["results"].empty());
}

TEST_F(CliTest, TuneTellsTheTimeOfAStep) {
  if (!native()) GTEST_SKIP() << "this processor has only portable kernels";
  const Json document = tune().json();
  const Json& step = document["step"];
  ASSERT_TRUE(step.is_object()) << document;
  double time_ns = 0;
  double default_ns = 0;
  for (const Json& entry : document["results"]) {
    time_ns += entry["time_ns"]["median"].get<double>();
    default_ns += entry["default"]["time_ns"]["median"].get<double>();
  }
  EXPECT_EQ(step["calls"], 2);
  EXPECT_EQ(step["evidence"], "measured");
  EXPECT_DOUBLE_EQ(step["time_ns"].get<double>(), time_ns);
  EXPECT_DOUBLE_EQ(step["default_time_ns"].get<double>(), default_ns);
  EXPECT_DOUBLE_EQ(step["gain"].get<double>(), default_ns / time_ns);
  ASSERT_EQ(step["layers"].size(), 1U);
  EXPECT_EQ(step["layers"][0]["problem"], kProblem);
  EXPECT_EQ(step["layers"][0]["share"], 1);
  Command command = tuned();
  const Words words = {"tune", kProblem, "--rows", "200", "--budget", "1s", "--weights", "2:1"};
  const Result text = command.run(words);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_NE(text.out.find("a step of 3 calls: "), std::string::npos) << text.out;
  EXPECT_NE(text.out.find(" 100 %\n"), std::string::npos) << text.out;
  const Json instant =
      command.run({"tune", kProblem, "--rows", "9", "--effort", "instant", "--json"}).json();
  EXPECT_EQ(instant["step"]["evidence"], "predicted");
}

TEST_F(CliTest, ExplainDocument) {
  Command command = fresh();
  Documented documented("explain", true);
  for (const char* problem : {kProblem, "p3q2-N-c12-g3-f32-first"}) {
    const Result result = command.run({"explain", problem, "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    documented.hold(result.json());
    expect_reasons(result.json());
  }
  documented.finish();
}

TEST_F(CliTest, TheNextRunFindsTheWinner) {
  if (!native()) GTEST_SKIP() << "this processor has only portable kernels";
  Command command = tuned();
  const Result result = command.run({"explain", kProblem, "--rows", "200", "--json"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  const Json document = result.json();
  Documented("explain", true).hold(document);
  expect_reasons(document);
  ASSERT_EQ(document["results"].size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const Json& entry = document["results"][i];
    EXPECT_EQ(entry["evidence"], "measured");
    EXPECT_EQ(entry["cached"], true);
    EXPECT_EQ(entry["schedule"], tune().json()["results"][i]["schedule"]);
  }
  // A second tuning begins with what the first has measured.
  const Result again =
      command.run({"tune", kProblem, "--rows", "200", "--budget", "0.2s", "--json"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_GT(again.json()["results"][0]["search"]["resumed"], 0);
}

TEST_F(CliTest, BenchDocument) {
  if (!native()) GTEST_SKIP() << "this processor has only portable kernels";
  Command command = tuned();
  Documented documented("bench", true);
  const std::string schedule = tune().json()["results"][0]["default"]["schedule"];
  const Result result = command.run({"bench", std::string("forward/") + kProblem, "--rows", "200",
                                     "--rounds", "3", "--schedule", schedule, "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  documented.hold(result.json());
  expect_reasons(result.json());
  EXPECT_EQ(result.json()["results"][0]["candidates"].size(), 1U);
  const Result both = command.run({"bench", kProblem, "--rows", "200", "--rounds", "3", "--json"});
  EXPECT_EQ(both.exit_code, 0) << both.err;
  documented.hold(both.json());
  expect_reasons(both.json());
  documented.finish();
}

TEST_F(CliTest, CacheDocuments) {
  Command empty = fresh();
  Documented list_fields("cache list");
  EXPECT_EQ(empty.run({"cache", "list", "--json"}).exit_code, 0);
  list_fields.hold(empty.run({"cache", "list", "--json"}).json());
  if (!native()) GTEST_SKIP() << "this processor has only portable kernels";
  Command command = tuned();
  const Json list = command.run({"cache", "list", "--json"}).json();
  list_fields.hold(list);
  list_fields.finish();
  Documented show_fields("cache show");
  std::map<std::string, int> kinds;
  for (const Json& entry : list["entries"]) {
    ++kinds[entry["kind"]];
    const Result shown = command.run({"cache", "show", entry["name"].get<std::string>(), "--json"});
    EXPECT_EQ(shown.exit_code, 0) << shown.err;
    show_fields.hold(shown.json());
    EXPECT_EQ(shown.json()["entry"]["path"], entry["path"]);
  }
  show_fields.finish();
  EXPECT_EQ(kinds["winner"], 2);
  EXPECT_GE(kinds["binary"], 2);
  EXPECT_GE(kinds["measurements"], 1);
  const Result verified = command.run({"cache", "verify", "--json"});
  EXPECT_EQ(verified.exit_code, 0);
  Documented verify_fields("cache verify");
  verify_fields.hold(verified.json());
  EXPECT_EQ(verified.json()["winners"], 2);
}

TEST_F(CliTest, MeasurementsAreExported) {
  if (!native()) GTEST_SKIP() << "this processor has only portable kernels";
  Command command = tuned();
  const fs::path file = folder() / "sent.jsonl";
  const Result exported =
      command.run({"cache", "export", "--measurements", file.string(), "--json"});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  Documented fields("cache export");
  fields.hold(exported.json());
  fields.finish();
  std::ifstream lines(file);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const Json json = Json::parse(line);
    EXPECT_TRUE(json.contains("task") && json.contains("seconds") && json.contains("device"));
  }
  EXPECT_EQ(exported.json()["measurements"], count);
  EXPECT_GT(count, 10U);
  const Result nowhere =
      command.run({"cache", "export", "--measurements", (folder() / "no" / "where").string()});
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_NE(nowhere.err.find("can't be written"), std::string::npos) << nowhere.err;
  EXPECT_EQ(command.run({"cache", "export"}).exit_code, 2);
}

TEST_F(CliTest, WinnersAreExported) {
  if (!native()) GTEST_SKIP() << "this processor has only portable kernels";
  Command command = tuned();
  const fs::path layer = folder() / "layer";
  const std::vector<std::string> words = {"cache", "export", "--winners", layer.string(), "--json"};
  const Result exported = command.run(words);
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  Documented fields("cache export");
  fields.hold(exported.json());
  const Json document = exported.json();
  EXPECT_EQ(document["winners"].get<int>() + document["defaults"].get<int>(), 2);
  EXPECT_EQ(document["outranked"], 0);
  EXPECT_FALSE(fs::exists(layer / "tmp"));
  std::ofstream(folder() / "taken") << "?";
  const Result taken = command.run({"cache", "export", "--winners", (folder() / "taken").string()});
  EXPECT_EQ(taken.exit_code, 1) << taken.err;
}

TEST_F(CliTest, ReportDocument) {
  if (!native()) GTEST_SKIP() << "this processor has only portable kernels";
  Command command = tuned();
  const fs::path page = folder() / "page.html";
  Documented documented("report");
  const Result result = command.run({"report", kProblem, "-o", page.string(), "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const Json document = result.json();
  documented.hold(document);
  expect_reasons(document);
  EXPECT_EQ(document["results"].size(), 2U);
  EXPECT_EQ(document["winners"], 2);
  EXPECT_EQ(document["bytes"], fs::file_size(page));
  EXPECT_TRUE(document["left_out"].empty()) << document["left_out"];
  // With less than everything, and a file that is not of grkan.
  std::ofstream(command.cache() / "winners" / "stray") << "?";
  const Json less =
      command.run({"report", "-o", page.string(), "--candidates", "1", "--json"}).json();
  documented.hold(less);
  documented.finish();
  EXPECT_EQ(less["defects"].size(), 1U);
  EXPECT_GT(less["results"][0]["candidates_left_out"], 0);
  // Filters: other rows, and a direction.
  const Words words = {"report", kProblem, "-o", page.string()};
  const auto with = [&](const Words& more) {
    Words all = words;
    all.insert(all.end(), more.begin(), more.end());
    return command.run(all);
  };
  const Result forward = with({"--rows", "200", "--direction", "forward"});
  EXPECT_NE(forward.out.find(": 1 tunings, 1 winners"), std::string::npos) << forward.out;
  const Result none = with({"--rows", "70000"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_NE(none.err.find("holds no tuning of what was asked for"), std::string::npos) << none.err;
  EXPECT_EQ(command.run({"report", "-o", "/dev/null/page.html"}).exit_code, 1);
}

TEST_F(CliTest, ADamagedCacheCostsAWarning) {
  if (!native()) GTEST_SKIP() << "this processor has only portable kernels";
  Command command = tuned();
  const std::string forward = std::string("forward/") + kProblem;
  const Words explain = {"explain", forward, "--rows", "200", "--json"};
  const fs::path winner = command.run(explain).json()["results"][0]["cache_entry"];
  flip_byte_in_the_middle(winner);
  const Result without = command.run(explain);
  EXPECT_EQ(without.exit_code, 0) << without.err;
  EXPECT_EQ(count(without.err, "warn"), 1U) << without.err;
  EXPECT_EQ(without.json()["results"][0]["evidence"], "default");

  for (const fs::path& path : entries(command, "binary")) flip_byte_in_the_middle(path);
  const Result verified = command.run({"cache", "verify", "--json"});
  EXPECT_EQ(verified.exit_code, 1);
  Documented fields("cache verify");
  fields.hold(verified.json());
  fields.finish();
  EXPECT_GE(verified.json()["defects"].size(), 3U);
  EXPECT_EQ(verified.json()["failure"]["status"], "io_error");

  const std::string schedule = tune().json()["results"][0]["schedule"];
  const Words check = {"check", forward, "--rows", "10", "--schedule", schedule, "--json"};
  const Result checked = command.run(check);
  EXPECT_EQ(checked.exit_code, 0) << checked.err;
  EXPECT_EQ(count(checked.err, "warn"), 1U) << checked.err;
  EXPECT_EQ(checked.json()["failed"], 0);
  // The store after the miss has replaced the binary.
  EXPECT_EQ(command.run(check).err, "");
}

TEST_F(CliTest, InterruptedTuningKeepsWhatItMeasured) {
  if (!native()) GTEST_SKIP() << "this processor has only portable kernels";
  Command command = fresh();
  const std::string forward = std::string("forward/") + kProblem;
  command.start(
      {"tune", forward, "--rows", "200", "--effort", "exhaustive", "--budget", "60s", "--json"});
  const auto measured = [&] {
    const fs::path logs = command.cache() / "measurements";
    if (!fs::exists(logs)) return false;
    for (const auto& file : fs::directory_iterator(logs)) {
      if (file.file_size() > 0) return true;
    }
    return false;
  };
  const auto begin = Clock::now();
  while (!measured() && Clock::now() - begin < std::chrono::seconds(20)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ASSERT_TRUE(measured());
  const auto pressed = Clock::now();
  command.interrupt();
  const Result result = command.wait();
  EXPECT_LT(Clock::now() - pressed, std::chrono::seconds(5));
  EXPECT_EQ(result.exit_code, 1) << result.err;
  Documented("tune", true).hold(result.json());
  EXPECT_EQ(result.json()["failure"]["status"], "interrupted");
  ASSERT_EQ(result.json()["results"].size(), 1U);
  EXPECT_EQ(result.json()["results"][0]["search"]["cancelled"], true);
  const std::int64_t looked_at = result.json()["results"][0]["search"]["looked_at"];
  EXPECT_GT(looked_at, 0);
  EXPECT_EQ(command.run({"cache", "verify"}).exit_code, 0);
  const Result next = command.run({"tune", forward, "--rows", "200", "--budget", "0.2s", "--json"});
  EXPECT_EQ(next.exit_code, 0) << next.err;
  EXPECT_EQ(next.json()["results"][0]["search"]["resumed"], looked_at);
}

TEST_F(CliTest, VirtualGpusAreDevicesOfEveryVerb) {
  Command command = fresh();
  EXPECT_TRUE(devices()["virtual_driver"].is_string()) << devices()["why"];
  const Result explain = command.run({"explain", kProblem, "--device", "virtual:b200", "--json"});
  EXPECT_EQ(explain.exit_code, 0) << explain.err;
  Documented("explain", true).hold(explain.json());
  EXPECT_EQ(explain.json()["results"][0]["device"], "virtual:b200");
  EXPECT_EQ(explain.json()["results"][0]["target"], "sm_100");
  const Words emit = {"emit", kProblem, "--device", "virtual:t4", "--stage", "schedule", "--json"};
  EXPECT_EQ(command.run(emit).json()["results"][0]["target"], "sm_75");
  EXPECT_EQ(command.run({"emit", kProblem, "--device", "virtual:t4", "--arch", "sm_90"}).exit_code,
            2);
  if (!nvrtc()) GTEST_SKIP() << "devices finds no NVRTC";
  const Result compile = command.run({"compile", kProblem, "--device", "virtual:t4", "--json"});
  EXPECT_EQ(compile.exit_code, 0) << compile.err;
  Documented("compile", true).hold(compile.json());
  EXPECT_EQ(compile.json()["results"][0]["device"], "virtual:t4");
  EXPECT_EQ(compile.json()["results"][0]["target"], "sm_75");
  const Result check =
      command.run({"check", kProblem, "--rows", "50", "--device", "virtual:h200", "--json"});
  EXPECT_EQ(check.exit_code, 0) << check.out;
  Documented("check", true).hold(check.json());
  EXPECT_EQ(check.json()["device"], "virtual:h200");
  EXPECT_EQ(check.json()["failed"], 0);
}

// A narrow problem has a small space.
TEST_F(CliTest, TunesForAGpuThatIsNotHere) {
  if (!nvrtc()) GTEST_SKIP() << "SKIP: no NVRTC on this machine";
  Command command(folder() / "offline");
  const Words words = {"tune",     "forward/p1q1-A-c2-g1-f32-last",
                       "--gpu",    "t4",
                       "--rows",   "4096",
                       "--effort", "instant",
                       "--json"};
  const auto check = [&](const Json& document) {
    Documented("tune", true).hold(document);
    const Json& entry = document["results"][0];
    EXPECT_EQ(entry["device"], "virtual:t4");
    EXPECT_EQ(entry["evidence"], "predicted");
    EXPECT_GT(entry["time_ns"]["median"], 1000);
    EXPECT_TRUE(entry["time_ns"]["p10"].is_null());
    EXPECT_TRUE(entry["fraction_of_bound"].is_null());
    EXPECT_GT(entry["prediction"]["parts_ns"]["dram"], 0);
    return entry;
  };
  const Result first = command.run(words);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const Json entry = check(first.json());
  EXPECT_EQ(entry["search"]["resumed"], 0);
  const Result second = command.run(words);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  const Json again = check(second.json());
  EXPECT_EQ(again["schedule"], entry["schedule"]);
  EXPECT_EQ(again["time_ns"], entry["time_ns"]);
  EXPECT_EQ(again["search"]["resumed"], again["search"]["looked_at"]);
  const Result explain = command.run({"explain", "forward/p1q1-A-c2-g1-f32-last", "--device",
                                      "virtual:t4", "--rows", "4096", "--json"});
  EXPECT_EQ(explain.json()["results"][0]["evidence"], "predicted");
  EXPECT_EQ(explain.json()["results"][0]["schedule"], entry["schedule"]);
  EXPECT_EQ(command.run({"tune", kProblem, "--gpu", "h999"}).exit_code, 2);
  EXPECT_EQ(command.run({"tune", kProblem, "--gpu", "t4", "--device", "cpu"}).exit_code, 2);
}

// Of one entry of a result: the counts hold together.
void expect_whole(const Json& counts, double floor, std::size_t launches) {
  double sum = 0;
  for (const auto& [name, count] : counts["classes_per_element"].items()) sum += double(count);
  EXPECT_NEAR(sum, counts["instructions_per_element"], 1e-9 * sum);
  EXPECT_EQ(counts["floor_bytes_per_element"], floor);
  const double moved =
      double(counts["loads"]["bytes_per_element"]) + double(counts["stores"]["bytes_per_element"]);
  EXPECT_GE(moved, floor);
  EXPECT_GT(counts["lane_efficiency"], 0.5);
  EXPECT_LE(counts["lane_efficiency"], 1);
  EXPECT_EQ(counts["atomics"], 0);
  EXPECT_EQ(counts["launches"].size(), launches);
}

TEST_F(CliTest, BenchCountsOnAVirtualGpu) {
  if (!nvrtc()) GTEST_SKIP() << "devices finds no NVRTC";
  Command command = fresh();
  const Words words = {"bench", kProblem, "--rows", "1000", "--device", "virtual:h200"};
  Words with_json = words;
  with_json.emplace_back("--json");
  const Result result = command.run(with_json);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const Json document = result.json();
  Documented("bench", true).hold(document);
  expect_reasons(document);
  ASSERT_EQ(document["results"].size(), 2U);
  const Json& forward = document["results"][0];
  const Json& backward = document["results"][1];
  expect_whole(forward["counts"], 8, 1);
  expect_whole(backward["counts"], 12, 2);
  EXPECT_EQ(forward["counts"]["stores"]["bytes_per_element"], 4.0) << "y alone";
  EXPECT_GT(backward["counts"]["barriers"], 0);
  EXPECT_GT(backward["counts"]["shared_requests"], 0);
  const Json compiled =
      command.run({"compile", kProblem, "--rows", "1000", "--device", "virtual:h200", "--json"})
          .json();
  for (std::size_t i = 0; i < 2; ++i) {
    const Json& entry = document["results"][i];
    EXPECT_TRUE(entry["time_ns"].is_null());
    EXPECT_TRUE(entry["bound_ns"].is_null());
    EXPECT_TRUE(entry["findings"].empty());
    EXPECT_EQ(entry["evidence"], "default");
    EXPECT_EQ(entry["default"]["counts"], entry["counts"]);
    EXPECT_LE(entry["error"].begin()->at("scaled"), 1);
    for (const char* field : {"schedule", "registers", "shared_bytes"}) {
      EXPECT_EQ(entry[field], compiled["results"][i][field]) << "as ptxas reported";
    }
  }
  const Result text = command.run(words);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  for (const char* part : {"counted, not timed", "instructions/element", "  fma", "occupancy"}) {
    EXPECT_EQ(count(text.out, part), 2U) << text.out;
  }
  // Another schedule beside the default.
  const Result other =
      command.run({"bench", std::string("forward/") + kProblem, "--rows", "100", "--device",
                   "virtual:h200", "--schedule", "v1_r1_x32_y4_div@blocks2", "--json"});
  EXPECT_EQ(other.exit_code, 0) << other.err;
  Documented("bench", true).hold(other.json());
  const Json candidates = other.json()["results"][0]["candidates"];
  ASSERT_EQ(candidates.size(), 1U);
  expect_whole(candidates[0]["counts"], 8, 1);
}

// Puts other PTX into every GPU binary of a cache.
void change_ptx(const std::vector<fs::path>& paths, const std::regex& what,
                const std::string& with) {
  for (const fs::path& path : paths) {
    BinaryFile file;
    ASSERT_EQ(parse_binary_file(read_file(path), file), "");
    Binary binary = parse_binary(file.payload);
    const std::string changed = std::regex_replace(binary.ptx, what, with);
    ASSERT_NE(changed, binary.ptx) << binary.ptx;
    binary.ptx = changed;
    file.payload = serialize(binary);
    std::ofstream(path, std::ios::binary) << to_bytes(file);
  }
}

TEST_F(CliTest, FindingsOfAVirtualGpuFail) {
  if (!nvrtc()) GTEST_SKIP() << "devices finds no NVRTC";
  struct Mistake {
    const char* direction;
    std::regex what;
    const char* with;
    const char* check;
    std::vector<const char*> verbs;  // that meet it
  };
  const std::vector<Mistake> mistakes = {
      {"backward", std::regex("bar\\.sync[^;]*;"), "", "shared_race", {"check", "bench"}},
      {"forward",
       std::regex("(st\\.global[^;]*\\[%rd[0-9]+)"),
       "$1+1073741824",
       "out_of_bounds",
       {"check", "bench"}},
      // The answers are right; in place it would not be sure on a GPU.
      {"forward", std::regex("ld\\.global(?!\\.nc)"), "ld.global.nc", "read_only", {"check"}}};
  for (const Mistake& mistake : mistakes) {
    SCOPED_TRACE(mistake.check);
    Command command(folder() / mistake.check);
    const auto run = [&](const char* verb) {
      return command.run({verb, kProblem, "--direction", mistake.direction, "--rows", "500",
                          "--device", "virtual:h200", "--json"});
    };
    EXPECT_EQ(run("compile").exit_code, 0);
    change_ptx(entries(command, "binary"), mistake.what, mistake.with);
    for (const char* verb : mistake.verbs) {
      const Result result = run(verb);
      EXPECT_EQ(result.exit_code, 1) << verb << result.err;
      const Json document = result.json();
      Documented(verb, true).hold(document);
      EXPECT_EQ(document["failure"]["status"], "wrong_answer");
      Json findings = Json::array();
      for (const Json& entry : document["results"]) {
        for (const Json& finding : entry.value("findings", Json::array())) {
          findings.push_back(finding);
        }
      }
      ASSERT_FALSE(findings.empty()) << verb;
      EXPECT_EQ(findings[0]["check"], mistake.check);
      EXPECT_NE(result.err.find(mistake.check), std::string::npos) << result.err;
    }
  }
  // What one call did wrong does not stand in the way of the others; a finding alone is a failure.
  Command command(folder() / "read_only");
  const Json document = command
                            .run({"check", std::string("forward/") + kProblem, "--rows", "500",
                                  "--device", "virtual:h200", "--json"})
                            .json();
  EXPECT_EQ(document["failed"], 1);
  EXPECT_GT(document["passed"], 8);
  for (const Json& entry : document["results"]) {
    EXPECT_EQ(entry["passed"], !entry.contains("findings"));
    EXPECT_TRUE(entry["error"]["y"].is_object() && entry["error"]["y"]["scaled"] <= 1);
    if (entry["passed"]) continue;
    EXPECT_NE(entry["circumstances"].get<std::string>().find("in place"), std::string::npos);
    EXPECT_NE(entry["failed"].get<std::string>().find("read_only"), std::string::npos);
  }
}

TEST_F(CliTest, AMissingVirtualDriverIsNamedWithItsPlaces) {
  const fs::path copy = folder() / "alone" / "grkan";
  fs::create_directories(copy.parent_path());
  fs::copy_file(GRKAN_COMMAND, copy);
  Command command(folder() / "alone", copy);
  const Result check = command.run({"check", kProblem, "--device", "virtual:h200", "--json"});
  EXPECT_EQ(check.exit_code, 1);
  EXPECT_EQ(check.json()["failure"]["status"], "no_device");
  const std::string beside = (copy.parent_path() / "libgrkan_virtual_cuda.so").string();
  EXPECT_NE(check.err.find(beside), std::string::npos) << check.err;
  const Json told = command.run({"devices", "--json"}).json();
  Documented("devices").hold(told);
  EXPECT_TRUE(told["virtual_driver"].is_null());
  EXPECT_NE(told["why"]["virtual_driver"].get<std::string>().find(beside), std::string::npos);
  EXPECT_NE(command.run({"devices"}).out.find("no virtual GPU: "), std::string::npos);
}

struct Call {
  Words words;
  int exit_code;
  Words parts;  // of the message
};

TEST_F(CliTest, WrongCallsSayWhatIsWrong) {
  const std::string p = kProblem;
  const std::vector<Call> calls = {
      {{}, 2, {"no verb was named", "devices, emit, compile"}},
      {{"frobnicate"}, 2, {"unknown verb 'frobnicate'", "devices, emit, compile"}},
      {{"check", p, "--frob"}, 2, {"--frob", "grkan check --help"}},
      {{"check", "--channels", "abc"}, 2, {"--channels", "abc"}},
      {{"check"}, 2, {"no problem was named", "--channels"}},
      {{"check", "--channels", "255", "--groups", "8"},
       2,
       {"channels 255 is not a multiple", "groups 8", "248 or 256", "5 groups"}},
      {{"check", "--channels", "-8"}, 2, {"channels -8 is out of range", "1 to"}},
      {{"check", "p5q4-A-c32"}, 2, {"p5q4-A-c32"}},
      {{"check", p, "--schedule", "zzz"}, 2, {"schedule 'zzz'", "v8_u1_r4"}},
      {{"check", p, "--rows", "-5"}, 2, {"rows '-5'", "expected a number"}},
      {{"check", p, "--rows", "99999999999999999"}, 1, {"rows"}},
      {{"check", p, "--rows", "1..5"}, 2, {"rows 1..5 is a range", "one number"}},
      {{"bench", p, "--rows", "1..5"}, 2, {"rows 1..5 is a range", "one number"}},
      {{"explain", p, "--rows", "1..5"}, 2, {"rows 1..5 is a range", "one number"}},
      {{"check", p, "--threads", "-3"}, 2, {"threads -3 is out of range"}},
      {{"check", "--random", "-4"}, 2, {"random -4 is negative"}},
      {{"check", "--random", "99999999999999999999"}, 2, {"--random", "whole number"}},
      {{"check", "--random", "999999999999"}, 2, {"would never end", "at most"}},
      {{"check", p, "--random", "2"}, 2, {"--random draws", "leave the named ones out"}},
      {{"check", "--random", "2", "--seed", "-1"}, 2, {"--seed", "-1", "from 0"}},
      {{"explain", p, "--channels", "8"}, 2, {p, "--channels", "leave one out"}},
      {{"explain", "forward/" + p, "--direction", "backward"}, 2, {"--direction", "leave one out"}},
      {{"check", p, "--device", "gpu"}, 2, {"unknown device 'gpu'", "cpu, cuda:0"}},
      {{"check", p, "--device", "cuda:0"},
       1,
       {"/nowhere/libcuda.so.1", "can't be opened", "GRKAN_CUDA_DRIVER"}},
      {{"check", p, "--device", "virtual:riva128"}, 2, {"riva128", "h200"}},
      {{"bench", p, "--device", "virtual:"}, 2, {"unknown device 'virtual:'", "virtual:h200"}},
      {{"compile", p, "--device", "gpu"}, 2, {"unknown device 'gpu'"}},
      {{"check", p, "--direction", "up"}, 2, {"unknown direction 'up'", "forward, backward"}},
      {{"explain", p, "--inner", "0"}, 2, {"inner 0 is not positive"}},
      {{"explain", p, "--determinism", "some"}, 2, {"unknown determinism 'some'", "run_to_run"}},
      {{"bench", p, "--rounds", "-1"}, 2, {"rounds -1 are too few", "3 or more"}},
      {{"tune", p, "--rows", "0"}, 2, {"rows 0 can't be tuned at", "1 or more"}},
      {{"tune", p, "--budget", "-3s"}, 2, {"budget '-3s' is no time", "60s or 2m"}},
      {{"tune", p, "--effort", "much"}, 2, {"unknown effort 'much'", "quick"}},
      {{"emit", p, "--arch", "sm_1x"}, 2, {"unknown target 'sm_1x'", "sm_90"}},
      {{"emit", p, "--arch", "sm_80,sm_90"}, 2, {"one target", "--arch names 2"}},
      {{"emit", p, "--arch", "x86-64-v3", "--stage", "ptx"}, 2, {"unknown stage 'ptx'", "asm"}},
      {{"emit", p, "--arch", "x86-64-v3", "-o", "/dev/null/x"}, 1, {"can't write", "-o"}},
      {{"compile", p, "--arch", ","}, 2, {"empty part"}},
      {{"cache"}, 2, {"grkan cache --help"}},
      {{"report"}, 2, {"holds no tuning", "grkan tune", "--cache"}},
      {{"report", p, "--candidates", "0"}, 2, {"--candidates", "whole number from 1"}},
      {{"report", p, "--rows", "9..1"}, 2, {"rows 9..1 is an empty range"}},
      {{"cache", "show", "ffff"}, 2, {"no entry 'ffff'", "grkan cache list"}},
  };
  Command command = fresh();
  for (const Call& call : calls) {
    SCOPED_TRACE(::testing::PrintToString(call.words));
    const Result text = command.run(call.words);
    EXPECT_EQ(text.exit_code, call.exit_code);
    EXPECT_EQ(text.out, "");
    EXPECT_TRUE(text.err.starts_with("grkan: ")) << text.err;
    for (const std::string& part : call.parts) {
      EXPECT_NE(text.err.find(part), std::string::npos) << text.err;
    }
    Words words = call.words;
    words.emplace_back("--json");
    if (words.size() == 1) continue;  // an option alone names no verb
    const Result json = command.run(words);
    EXPECT_EQ(json.exit_code, call.exit_code);
    const Json document = json.json();
    ASSERT_TRUE(document.contains("failure")) << json.out;
    EXPECT_EQ(document.size(), 3U) << json.out;
    EXPECT_EQ(document["schema"], 1);
    EXPECT_EQ(document["failure"]["status"] == "invalid_argument", call.exit_code == 2);
    EXPECT_EQ("grkan: " + document["failure"]["message"].get<std::string>() + "\n", json.err);
  }
}

TEST_F(CliTest, HelpAndVersionAreNoFailures) {
  Command command = fresh();
  EXPECT_EQ(command.run({"--version"}).exit_code, 0);
  EXPECT_TRUE(command.run({"--version"}).out.starts_with("grkan "));
  for (const char* verb :
       {"devices", "emit", "compile", "check", "tune", "bench", "explain", "cache", "report"}) {
    const Result help = command.run({verb, "--help"});
    EXPECT_EQ(help.exit_code, 0) << verb;
    EXPECT_NE(help.out.find("--json"), std::string::npos) << verb;
  }
}

}  // namespace
}  // namespace grkan
