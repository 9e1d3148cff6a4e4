// Winners to install: which of a cache's are written, and that a cache below which they lie uses
// them.
#include "cache/layer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "cache/cache.h"
#include "core/error.h"

namespace grkan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefault = "v8_u1_r4_bcast_cached@slice256";
constexpr const char* kFaster = "v8_u1_r2_bcast_cached@slice256";
constexpr const char* kOther = "v8_u1_r1_bcast_cached@slice256";

Winner winner(const char* schedule = kFaster, Evidence evidence = Evidence::measured,
              Range rows = {500, 2000}) {
  Winner w;
  w.task = parse_task("forward/p5q4-A-c768-g8-f32-last");
  w.device = {.kind = "cpu",
              .architecture = "x86-64-v3",
              .name = "EPYC",
              .features = "",
              .units = 2,
              .memory_bytes = std::int64_t{8} << 30,
              .cache_bytes = std::int64_t{32} << 20};
  w.rows = rows;
  w.tuned_rows = rows.low * 2;
  w.schedule = schedule;
  w.evidence = evidence;
  w.time = TimeNs{.median = 1234.5, .p10 = {}, .p90 = {}, .samples = 21};
  w.default_schedule = kDefault;
  w.binary = std::string(32, 'a');
  w.date = "2026-11-23T10:00:00Z";
  w.grkan_version = "0.1.0";
  return w;
}

// Path -> bytes of all files.
std::map<std::string, std::string> files(const fs::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) continue;
    std::ifstream stream(entry.path(), std::ios::binary);
    all[fs::relative(entry.path(), folder).string()] = {std::istreambuf_iterator<char>(stream), {}};
  }
  return all;
}

class LayerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "grkan_layer_test_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  [[nodiscard]] std::string at(const char* name) const { return (root_ / name).string(); }
  void store(const std::vector<Winner>& winners) const {
    Cache cache({.folder = at("cache"), .prebuilt = {}, .warn = {}});
    for (const Winner& w : winners) ASSERT_TRUE(cache.store_winner(w));
  }

  fs::path root_;
};

TEST_F(LayerTest, HoldsWhatAnswersAndIsNoDefault) {
  store({winner(kOther, Evidence::predicted_static), winner(kFaster),
         winner(kDefault, Evidence::measured, {5000, 20000})});
  const LayerExport exported = export_layer(at("cache"), at("layer"));
  EXPECT_EQ(exported.winners, 1);
  EXPECT_EQ(exported.defaults, 1);
  EXPECT_EQ(exported.outranked, 1);
  EXPECT_TRUE(exported.defects.empty());
  Winner expected = winner(kFaster);
  expected.binary.clear();
  const std::map<std::string, std::string> layer = files(at("layer"));
  ASSERT_EQ(layer.size(), 1U);
  EXPECT_EQ(layer.begin()->first, winner_path(expected));
  EXPECT_EQ(layer.begin()->second, to_text(expected));
  // Once more, the same bytes.
  export_layer(at("cache"), at("again"));
  EXPECT_EQ(files(at("again")), layer);

  Cache cache({.folder = at("user"), .prebuilt = {{.folder = at("layer")}}, .warn = {}});
  const WinnerQuery query{.task = expected.task, .device = expected.device, .rows = 1000};
  const auto found = cache.find_winner(query);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->stored.prebuilt);
  EXPECT_EQ(found->stored.winner, expected);
}

TEST_F(LayerTest, LeavesOutWhatIsDamaged) {
  store({winner(kFaster)});
  const Winner w = winner(kOther, Evidence::measured, {5000, 20000});
  store({w});
  std::ofstream(at("cache") + "/" + winner_path(w), std::ios::app) << "?";
  const LayerExport exported = export_layer(at("cache"), at("layer"));
  EXPECT_EQ(exported.winners, 1);
  ASSERT_EQ(exported.defects.size(), 1U);
  EXPECT_NE(exported.defects[0].path.find(winner_path(w)), std::string::npos);
}

TEST_F(LayerTest, GoesIntoAnEmptyFolder) {
  store({winner(kFaster)});
  fs::create_directory(at("layer"));
  std::ofstream(at("layer") + "/something") << "?";
  EXPECT_THROW(export_layer(at("cache"), at("layer")), Error);
  EXPECT_EQ(files(at("layer")).size(), 1U);
  fs::remove(at("layer") + "/something");
  EXPECT_EQ(export_layer(at("cache"), at("layer")).winners, 1);
  std::ofstream(at("a file")) << "?";
  EXPECT_THROW(export_layer(at("cache"), at("a file") + "/layer"), Error);
}

}  // namespace
}  // namespace grkan
