// The page of grkan report: what is read of a cache, what the page's data say, and that no text of
// a file becomes markup. Also writes the page that report_browser_test.py opens.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "cache/measurements.h"
#include "cli/report_page/page.h"
#include "core/schedule.h"

namespace grkan::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kForward = "forward/p5q4-A-c768-g8-f32-last";
constexpr const char* kDefault = "v8_u1_r4_bcast_cached@slice256";
constexpr const char* kBetter = "v8_u2_r4_bcast_nt@slice256";
constexpr const char* kOther = "v8_u1_r8_bcast_nt_pf1@slice64";
constexpr const char* kHostile =
    "</script><script>document.title='owned'</script><!-- \"x\" 'y' & <img src=x "
    "onerror=\"document.title='owned'\"> {{page.js}}";

DeviceDescription cpu(const std::string& name = "EPYC") {
  return {.kind = "cpu",
          .architecture = "x86-64-v3",
          .name = name,
          .features = "",
          .units = 2,
          .memory_bytes = std::int64_t{8} << 30,
          .cache_bytes = std::int64_t{32} << 20};
}

DeviceDescription gpu() {
  return {.kind = "cuda",
          .architecture = "sm_90",
          .name = "H200",
          .features = "",
          .units = 132,
          .memory_bytes = std::int64_t{141} << 30,
          .cache_bytes = std::int64_t{50} << 20};
}

struct LineOf {
  std::string schedule = kDefault;
  std::vector<double> microseconds = {};
  double reference = 100;  // microseconds
  std::int64_t rows = 2000;
  std::string status = "ok";
  std::string why = {};
  std::string compiler = "llvm 22.1.8";
  std::string task = kForward;
};

std::string line(const LineOf& of) {
  Json json = {{"schema", 1},
               {"task", of.task},
               {"target", "x86-64-v3"},
               {"compiler", of.compiler},
               {"generator", "g"},
               {"default", kDefault},
               {"schedule", of.schedule},
               {"rows", of.rows},
               {"inner", 1},
               {"status", of.status},
               {"why", of.why},
               {"error_scaled", 0.25},
               {"seconds", Json::array()},
               {"reference_seconds", Json::array()}};
  for (const double time : of.microseconds) {
    json["seconds"].push_back(time * 1e-6);
    json["reference_seconds"].push_back(of.reference * 1e-6);
  }
  return json.dump();
}

TimeNs time_of(double nanoseconds) {
  return {
      .median = nanoseconds, .p10 = 0.95 * nanoseconds, .p90 = 1.2 * nanoseconds, .samples = 21};
}

TimeNs predicted_time(double nanoseconds) {
  TimeNs time;
  time.median = nanoseconds;
  return time;
}

Winner winner(const char* schedule, Range rows, const char* date,
              const DeviceDescription& device = cpu()) {
  Winner w;
  w.task = parse_task(kForward);
  w.device = device;
  w.rows = rows;
  w.tuned_rows = rows.high;
  w.schedule = schedule;
  w.time = time_of(80'000);
  w.default_schedule = kDefault;
  w.default_time = time_of(100'000);
  w.bound_kind = "nt_copy";
  w.bound_ns = 60'000;
  w.error_scaled = 0.25;
  w.date = date;
  w.grkan_version = "0.1.0";
  w.compiler = "llvm 22.1.8";
  return w;
}

class ReportPageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "grkan_report_page_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    cache_.emplace(CacheOptions{.folder = folder(), .prebuilt = {}, .warn = {}});
  }
  void TearDown() override {
    cache_.reset();
    fs::remove_all(root_);
  }

  [[nodiscard]] std::string folder() const { return (root_ / "cache").string(); }
  void record(const LineOf& of, const DeviceDescription& device = cpu()) {
    cache_->record(line(of), device);
  }
  void store(const Winner& w) { ASSERT_TRUE(cache_->store_winner(w)); }
  [[nodiscard]] CacheTunings read(const TuningFilter& filter = {}) const {
    return read_tunings(folder(), filter);
  }
  [[nodiscard]] Json data(const PageOptions& options = {}) const {
    return page_data(read(), options);
  }

  fs::path root_;
  std::optional<Cache> cache_;
};

TEST_F(ReportPageTest, LinesOfAScheduleBecomeOneCandidate) {
  record({.microseconds = {100}});
  record({.schedule = kBetter, .microseconds = {80}, .reference = 100});
  record({.schedule = kBetter, .microseconds = {70}, .reference = 140});
  record({.schedule = kBetter, .microseconds = {90}, .reference = 100});
  record({.schedule = kOther, .microseconds = {300}});
  record({.schedule = kOther, .status = "too_slow", .why = "3.00 times the best"});
  record({.schedule = "v16_u1_r4_bcast_cached@slice256",
          .status = "wrong_answer",
          .why = "error 7 over its bound"});
  const CacheTunings found = read();
  EXPECT_EQ(found.lines, 7);
  ASSERT_EQ(found.tasks.size(), 1U);
  ASSERT_EQ(found.tasks[0].tunings.size(), 1U);
  const Tuning& tuning = found.tasks[0].tunings[0];
  EXPECT_EQ(tuning.rows, 2000);
  EXPECT_EQ(tuning.default_schedule, kDefault);
  EXPECT_EQ(tuning.timings, 5);
  ASSERT_EQ(tuning.candidates.size(), 4U);  // the fastest first
  const TunedCandidate& best = tuning.candidates[0];
  EXPECT_EQ(best.schedule, kBetter);
  EXPECT_NEAR(best.time->median, 80'000, 1);
  EXPECT_NEAR(*best.time->p10, 72'000, 1);  // a tenth of the way: 70 + 0.2 * 10
  EXPECT_NEAR(*best.time->p90, 88'000, 1);
  EXPECT_EQ(best.time->samples, 3);
  EXPECT_NEAR(*best.ratio_to_default, 0.8, 1e-9);  // of 0.8, 0.5 and 0.9
  EXPECT_EQ(tuning.candidates[1].schedule, kDefault);
  EXPECT_EQ(tuning.candidates[2].status, "too_slow");
  EXPECT_TRUE(tuning.candidates[2].time);
  EXPECT_EQ(tuning.candidates[3].why, "error 7 over its bound");
  EXPECT_FALSE(tuning.candidates[3].time);
}

TEST_F(ReportPageTest, AnotherCompilersMeasurementsAreCountedOnly) {
  record({.microseconds = {100}});
  Json old =
      Json::parse(stamp_measurement(line({.microseconds = {500}, .compiler = "llvm 21"}), cpu()));
  old["date"] = "2020-01-01T00:00:00Z";
  const fs::path log = fs::path(folder()) / "measurements" / "older.jsonl";
  std::ofstream(log) << old.dump() << "\n";
  fs::permissions(log, fs::perms::owner_read);
  const Tuning tuning = read().tasks.at(0).tunings.at(0);
  EXPECT_EQ(tuning.compiler, "llvm 22.1.8");
  EXPECT_EQ(tuning.older_lines, 1);
  EXPECT_NEAR(tuning.candidates.at(0).time->median, 100'000, 1);
  EXPECT_NE(data()["left_out"].dump().find("1 measurements by another compiler"),
            std::string::npos);
}

// Ranges that overlap, nest and leave a gap: at every number of rows the part's winner is the
// lookup's.
TEST_F(ReportPageTest, RangesAreThoseOfTheLookup) {
  store(winner(kDefault, {1, 40}, "2026-01-01T00:00:00Z"));
  store(winner(kBetter, {30, 60}, "2026-01-02T00:00:00Z"));
  store(winner(kOther, {10, 12}, "2026-01-03T00:00:00Z"));
  store(winner(kOther, {70, 80}, "2026-01-01T00:00:00Z"));
  Winner disturbed = winner(kBetter, {75, 90}, "2026-01-09T00:00:00Z");
  disturbed.disturbed = true;
  store(disturbed);
  const TunedTask tuned = read().tasks.at(0);
  ASSERT_EQ(tuned.strips.size(), 1U);
  const std::vector<AnsweredRows>& parts = tuned.strips[0].parts;
  for (std::int64_t rows = 1; rows <= 100; ++rows) {
    const auto expected =
        choose_winner(tuned.winners, {.task = tuned.task, .device = tuned.device, .rows = rows});
    const bool held = expected->range_distance == 0;
    int holding = 0;
    for (const AnsweredRows& part : parts) {
      if (!part.rows.holds(rows)) continue;
      ++holding;
      EXPECT_EQ(tuned.winners[part.winner].path, expected->stored.path) << rows;
    }
    EXPECT_EQ(holding, held ? 1 : 0) << rows;
  }
  EXPECT_EQ(parts.size(), 6U);  // 1..9, 10..12, 13..29, 30..60, 70..80, 81..90
}

TEST_F(ReportPageTest, AWinnersEntryFillsInWhatTheLogsLack) {
  Winner w = winner(kBetter, {1, 2000}, "2026-01-01T00:00:00Z");
  w.evidence = Evidence::predicted_static;
  w.time = predicted_time(50'000);
  w.candidates.push_back(
      {.schedule = kOther, .status = "ok", .time = predicted_time(60'000), .error_scaled = 0.5});
  store(w);
  record({.schedule = kOther, .microseconds = {90}});
  record({.schedule = kBetter});  // counted, not timed
  const Tuning tuning = read().tasks.at(0).tunings.at(0);
  ASSERT_EQ(tuning.candidates.size(), 3U);
  EXPECT_TRUE(tuning.candidates[0].predicted);
  EXPECT_NEAR(*tuning.candidates[0].ratio_to_default, 0.5, 1e-9);
  EXPECT_EQ(tuning.candidates[1].schedule, kOther);  // measured: the log's time stands
  EXPECT_FALSE(tuning.candidates[1].predicted);
  EXPECT_NEAR(tuning.candidates[1].time->median, 90'000, 1);
  const Json shown = data()["tasks"][0]["winners"][0];
  EXPECT_EQ(shown["evidence"], "predicted, from static counts");
}

TEST_F(ReportPageTest, FiltersTakeWhatWasAskedFor) {
  record({.microseconds = {100}});
  record({.microseconds = {100}, .rows = 9000});
  record({.microseconds = {100}, .task = "backward.dx/p5q4-A-c768-g8-f32-last"});
  Winner w = winner(kBetter, {4000, 8000}, "2026-01-01T00:00:00Z");
  w.determinism = Determinism::not_guaranteed;
  store(w);
  EXPECT_EQ(read().lines, 3);
  EXPECT_EQ(read({.tasks = {parse_task(kForward)}}).lines, 2);
  const CacheTunings of_rows = read({.rows = Range{7000, 10'000}});
  EXPECT_EQ(of_rows.lines, 1);
  EXPECT_EQ(of_rows.winners, 1);
  EXPECT_EQ(read({.rows = Range{5000, 6000}}).winners, 1);  // holds for these, tuned at 8000
  EXPECT_EQ(read({.rows = Range{100, 3999}}).winners, 0);
  EXPECT_EQ(read({.inner = 7}).tasks.size(), 0U);
  EXPECT_EQ(read({.determinism = Determinism::run_to_run}).winners, 0);
}

TEST_F(ReportPageTest, DevicesAreKeptApart) {
  record({.microseconds = {100}}, cpu("EPYC"));
  record({.microseconds = {200}}, cpu("Xeon"));
  EXPECT_EQ(read().tasks.size(), 2U);
}

TEST_F(ReportPageTest, WhatCannotBeReadIsTold) {
  record({.microseconds = {100}});
  record({.microseconds = {100}, .rows = -1});
  record({.microseconds = {100}, .task = "forward/nothing"});
  record({.microseconds = {-3}});  // no time, and a reference
  const fs::path stray = fs::path(folder()) / "winners" / "stray";
  fs::create_directories(stray.parent_path());
  fs::permissions(stray.parent_path(), fs::perms::owner_all);
  std::ofstream(stray) << "?";
  fs::permissions(stray, fs::perms::owner_read);
  const CacheTunings found = read();
  EXPECT_EQ(found.lines, 1);
  EXPECT_EQ(found.unreadable_lines, 3);
  ASSERT_EQ(found.defects.size(), 1U);
  const Json shown = data();
  EXPECT_NE(shown["left_out"].dump().find("3 lines of the logs"), std::string::npos);
  EXPECT_EQ(shown["defects"][0]["path"], "winners/stray");
}

TEST_F(ReportPageTest, ALargeCacheMakesASmallPageThatSaysSo) {
  constexpr int kCandidates = 3000;
  for (int i = 1; i <= kCandidates; ++i) {
    const std::string schedule = "v8_u1_r4_bcast_run" + std::to_string(i) + "_cached@slice256";
    record({.schedule = schedule, .microseconds = {100.0 + i}});
    record({.schedule = "failed" + std::to_string(i), .status = "compile_failed", .why = kHostile});
  }
  record({.microseconds = {9999}});  // the default, slowest of all
  const PageOptions options;
  const Json shown = data(options);
  const Json& tuning = shown["tasks"][0]["tunings"][0];
  const std::size_t kept = options.most_candidates + options.most_candidates / 4 + 1;
  EXPECT_EQ(tuning["candidates"].size(), kept);
  EXPECT_EQ(tuning["left_out"], 2 * kCandidates + 1 - kept);
  EXPECT_EQ(tuning["statuses"]["compile_failed"], kCandidates);
  bool default_kept = false;
  for (const Json& c : tuning["candidates"]) default_kept |= c["schedule"] == kDefault;
  EXPECT_TRUE(default_kept);
  EXPECT_NE(shown["left_out"].dump().find("--candidates N"), std::string::npos);
  EXPECT_LT(page_html(shown).size(), 300'000U);
}

TEST_F(ReportPageTest, OfManyTuningsTheLatestAreShown) {
  for (int i = 1; i <= 30; ++i) {
    const std::string date = "2026-01-" + std::string(i < 10 ? "0" : "") + std::to_string(i);
    store(winner(kBetter, {i, i}, (date + "T00:00:00Z").c_str()));
  }
  PageOptions options;
  options.most_tunings = 20;
  const Json shown = data(options);
  const Json& tunings = shown["tasks"][0]["tunings"];
  ASSERT_EQ(tunings.size(), 20U);
  EXPECT_EQ(tunings[0]["rows"], 11);
  EXPECT_NE(shown["left_out"].dump().find("10 tunings older"), std::string::npos);
}

TEST_F(ReportPageTest, ParametersThatVaryHaveTheirValues) {
  record({.microseconds = {100}});                     // v8_u1_r4_bcast_cached@slice256
  record({.schedule = kOther, .microseconds = {90}});  // v8_u1_r8_bcast_nt_pf1@slice64
  record({.schedule = "of tomorrow", .microseconds = {95}});
  const Json parameters = data()["tasks"][0]["tunings"][0]["parameters"];
  std::map<std::string, Json> by_name;
  for (const Json& parameter : parameters) by_name[parameter["name"]] = parameter;
  EXPECT_EQ(by_name.size(), 4U) << parameters;
  EXPECT_EQ(by_name["rows"]["values"], Json({"4", "8"}));
  EXPECT_EQ(by_name["stores"]["values"], Json({"cached", "nt"}));
  EXPECT_EQ(by_name["prefetch"]["values"], Json({"none", "1"}));
  EXPECT_EQ(by_name["stores"]["says"], "cached: y or dx is stored as usual; nt: past the caches");
  // Candidates by time: kOther, what is not understood, the default.
  EXPECT_EQ(by_name["slice_rows"]["of"], Json({0, nullptr, 1}));
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

TEST_F(ReportPageTest, NoTextOfAFileIsMarkup) {
  record({.schedule = kHostile, .status = kHostile, .why = kHostile, .compiler = kHostile},
         cpu(kHostile));
  Winner w = winner(kBetter, {1, 2000}, "2026-01-01T00:00:00Z", cpu(kHostile));
  w.bound_kind = w.compiler = w.driver = w.grkan_version = kHostile;
  store(w);
  const std::string html = page_html(data({.folder = kHostile, .date = "2026-01-01T00:00:00Z"}));
  const std::string open = R"(<script type="application/json" id="data">)";
  const std::size_t begin = html.find(open) + open.size();
  const std::string inside = html.substr(begin, html.find("</script>", begin) - begin);
  for (const char c : inside) {
    EXPECT_TRUE(c >= ' ' && c <= '~' && c != '<' && c != '>' && c != '&') << int(c);
  }
  EXPECT_EQ(count(html, "<script"), 2U);  // the page's own
  EXPECT_EQ(count(html, "</script"), 2U);
  EXPECT_EQ(count(html, "<!--"), 0U);
  const Json back = Json::parse(inside);
  EXPECT_EQ(back["folder"], kHostile);
  EXPECT_EQ(back["tasks"][0]["device"]["name"], kHostile);
  EXPECT_EQ(back["tasks"][0]["tunings"][0]["candidates"][2]["why"], kHostile);
  // Bytes that are no UTF-8 become U+FFFD.
  EXPECT_NE(page_html(data({.folder = "\xff", .date = ""})).find("\\ufffd"), std::string::npos);
}

TEST_F(ReportPageTest, ThePageNeedsNothingBesideIt) {
  record({.microseconds = {100}});
  const std::string html = page_html(data());
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(count(html, "http://") + count(html, "https://"), 1U);  // the name of SVG
  EXPECT_EQ(count(html, "src="), 0U);
  EXPECT_EQ(count(html, "url("), 0U);
  EXPECT_EQ(count(html, "@import"), 0U);
  EXPECT_EQ(count(html, "innerHTML"), 0U);
}

// Everything a page can show, for the browser: a hostile device and reason, failures, ranges with
// crossovers, a disturbed and a predicted winner, a second determinism.
TEST_F(ReportPageTest, WritesThePageForTheBrowser) {
  const DeviceDescription hostile = cpu(kHostile);
  int k = 0;
  for (const char* vector : {"v4", "v8"}) {
    for (const char* rows : {"r1", "r2", "r4", "r8", "r16"}) {
      for (const char* rest : {"cached", "nt", "nt_pf1", "nt_pf4"}) {
        const std::string schedule =
            std::string(vector) + "_u1_" + rows + "_bcast_" + rest + "@slice256";
        const double time = 80 + (k * 37) % 101 * (vector[1] == '4' ? 4.0 : 1.5);
        record({.schedule = schedule, .microseconds = {time, 1.1 * time, 0.97 * time}}, hostile);
        ++k;
      }
    }
  }
  record({.schedule = kOther, .status = "wrong_answer", .why = kHostile}, hostile);
  record({.schedule = "v8_u4_r4_bcast_nt@slice256", .status = "compile_failed", .why = "no room"},
         hostile);
  record({.schedule = "v1_u1_r1_bcast_cached@slice256", .microseconds = {5000}}, hostile);
  store(winner(kBetter, {1000, 2000}, "2026-01-01T00:00:00Z", hostile));
  store(winner(kDefault, {2001, 40'000}, "2026-01-02T00:00:00Z", hostile));
  store(winner(kDefault, {40'001, 80'000}, "2026-01-02T00:00:00Z", hostile));
  Winner disturbed = winner(kOther, {1, 999}, "2026-01-03T00:00:00Z", hostile);
  disturbed.disturbed = true;
  store(disturbed);
  Winner same = winner(kBetter, {1000, 2000}, "2026-01-01T00:00:00Z", hostile);
  same.determinism = Determinism::not_guaranteed;
  store(same);
  Winner predicted =
      winner("v4_r2_x48_y4_newton@blocks4", {1, 4096}, "2026-01-04T00:00:00Z", gpu());
  predicted.evidence = Evidence::predicted_executed;
  predicted.default_schedule = "v4_r4_x48_y4_newton@blocks4";
  predicted.time = predicted_time(8000);
  predicted.default_time = predicted_time(9000);
  predicted.bound_kind = "dram";
  predicted.bound_ns = 7000;
  predicted.compiler = "nvrtc 13.0.88";
  predicted.driver = "580.65";
  Prediction& prediction = predicted.prediction.emplace();
  prediction.ns = 8000;
  prediction.floor_ns = 6000;
  prediction.tail_ns = 300;
  prediction.basis = Basis::far;
  prediction.basis_why = kHostile;
  prediction.low_ns = 7100;
  prediction.high_ns = 9600;
  prediction.executed = true;
  prediction.assumed = {"clock_mhz: commonly reported", kHostile};
  for (const auto& [resource, ns] :
       {std::pair{Resource::dram, 7000.0}, std::pair{Resource::latency, 2500.0},
        std::pair{Resource::l2, 3100.0}, std::pair{Resource::issue, 1200.0},
        std::pair{Resource::launch, 900.0}}) {
    at(prediction.parts_ns, resource) = ns;
  }
  store(predicted);
  std::ofstream(GRKAN_TEST_PAGE, std::ios::binary)
      << page_html(data({.folder = folder(), .date = "2026-01-05T00:00:00Z"}));
  EXPECT_GT(fs::file_size(GRKAN_TEST_PAGE), 10'000U);
}

}  // namespace
}  // namespace grkan::cli
