// Merging caches: any order, twice, with damaged, foreign, read-only and missing folders.
#include "cache/merge.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>

#include "cache/cache.h"
#include "core/error.h"

namespace grkan {
namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

constexpr const char* kOne = "v8_u1_r4_bcast_cached@slice256";
constexpr const char* kOther = "v8_u1_r2_bcast_cached@slice256";
constexpr const char* kSlower = "v8_u1_r1_bcast_cached@slice256";

Winner winner(const char* schedule = kOne, Evidence evidence = Evidence::measured,
              const char* date = "2026-11-23T10:00:00Z") {
  Winner w;
  w.task = parse_task("forward/p5q4-A-c768-g8-f32-last");
  w.device = {.kind = "cpu",
              .architecture = "x86-64-v3",
              .name = "EPYC",
              .features = "",
              .units = 2,
              .memory_bytes = std::int64_t{8} << 30,
              .cache_bytes = std::int64_t{32} << 20};
  w.rows = {1, 1000};
  w.schedule = schedule;
  w.evidence = evidence;
  if (evidence != Evidence::default_schedule)
    w.time = TimeNs{.median = 1234.5, .p10 = {}, .p90 = {}, .samples = 21};
  w.default_schedule = schedule;
  w.date = date;
  w.grkan_version = "0.1.0";
  return w;
}

std::string key_of(const std::string& compiler) {
  return to_text(BinaryKey{.task = winner().task,
                           .compiled_schedule = "v8_u1_r4_bcast_cached",
                           .target = {"x86-64-v3"},
                           .compiler = compiler,
                           .generator = "0.1.0",
                           .source_hash = ""});
}

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

class MergeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "grkan_merge_test_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override {
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      if (entry.is_directory()) fs::permissions(entry.path(), fs::perms::owner_all);
    }
    fs::remove_all(root_);
  }

  [[nodiscard]] std::string at(const std::string& name) const { return (root_ / name).string(); }
  Cache cache(const std::string& name) const {
    return Cache({.folder = at(name), .prebuilt = {}, .warn = {}});
  }
  void store(const std::string& name, const Winner& w) const {
    ASSERT_TRUE(cache(name).store_winner(w));
  }
  CacheMerge merge(const std::string& into, const std::vector<std::string>& names) const {
    std::vector<std::string> sources;
    for (const std::string& name : names) sources.push_back(at(name));
    return merge_caches(at(into), sources);
  }
  // Every file below a folder with its bytes; `times`: and when it was changed.
  [[nodiscard]] std::map<std::string, std::string> snapshot(const std::string& name,
                                                            bool times = false) const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(at(name))) {
      std::string& text = files[fs::relative(entry.path(), at(name)).string()];
      if (entry.is_regular_file()) text = read(entry.path());
      if (times) {
        text += std::to_string(fs::last_write_time(entry.path()).time_since_epoch().count());
      }
    }
    return files;
  }
  [[nodiscard]] fs::path path_of(const std::string& name, const Winner& w) const {
    return root_ / name / winner_path(w);
  }

  fs::path root_;
};

TEST_F(MergeTest, BringsWinnersTheirBinariesAndMeasurements) {
  Winner w = winner();
  w.binary = content_hash(key_of("named"));
  Cache from = cache("from");
  from.store_binary(key_of("named"), "code");
  from.store_binary(key_of("unnamed"), "code");
  from.store_winner(w);
  for (int i = 0; i < 3; ++i) from.record(R"({"task": "forward/x"})", w.device);
  const auto before = snapshot("from", true);
  const CacheMerge merged = merge("into", {"from"});
  EXPECT_EQ(merged.winners, 1);
  EXPECT_EQ(merged.binaries, 1);
  EXPECT_EQ(merged.measurements, 3);
  EXPECT_EQ(merged.present, 0);
  EXPECT_TRUE(merged.conflicts.empty());
  EXPECT_TRUE(merged.defects.empty());
  EXPECT_EQ(snapshot("from", true), before) << "a source is only read";
  EXPECT_EQ(cache("into").load_binary(key_of("named")), "code");
  EXPECT_EQ(cache("into").load_binary(key_of("unnamed")), std::nullopt);
  EXPECT_EQ(cache("into").winners(w.task, "x86-64-v3").at(0).winner, w);
  const CacheVerification v = verify_cache(at("into"));
  EXPECT_EQ(v.measurements, 3);
  EXPECT_TRUE(v.defects.empty());

  const auto first = snapshot("into", true);
  const CacheMerge again = merge("into", {"from", "from"});
  EXPECT_EQ(again.winners + again.binaries + again.measurements, 0);
  EXPECT_EQ(again.present, 2) << "of the source, twice";
  EXPECT_EQ(snapshot("into", true), first) << "merging again changes nothing";
}

// The pairs stand in the order of a lookup: the first wins, and says why.
TEST_F(MergeTest, ConflictsAreToldAndALookupTakesTheSameSide) {
  Winner disturbed = winner(kOther);
  disturbed.disturbed = true;
  const struct {
    Winner won, lost;
    const char* why;
  } cases[] = {
      {winner(kOne), disturbed, "measured before measured_disturbed"},
      {disturbed, winner(kOne, Evidence::predicted_executed, "2027-01-01T00:00:00Z"),
       "measured_disturbed before predicted"},
      {winner(kOne, Evidence::predicted_executed), winner(kOther, Evidence::predicted_static),
       "executed counts before static ones"},
      {winner(kOne, Evidence::predicted_static), winner(kOther, Evidence::default_schedule),
       "predicted before default_schedule"},
      {winner(kOne, Evidence::measured, "2026-11-23T10:00:01Z"), winner(kOther),
       "the later date, 2026-11-23T10:00:01Z after 2026-11-23T10:00:00Z"},
  };
  int n = 0;
  for (const auto& [won, lost, why] : cases) {
    const std::string name = std::to_string(n++);
    store(name + "a", won);
    store(name + "b", lost);
    for (const auto& order : {std::vector{name + "a", name + "b"}, {name + "b", name + "a"}}) {
      const std::string into = name + "of" + order[0];
      // The second time the folder has both.
      for (int round = 0; round < 2; ++round) {
        const CacheMerge merged = merge(into, order);
        ASSERT_EQ(merged.conflicts.size(), 1U) << why;
        EXPECT_EQ(merged.conflicts[0].won.winner, won) << why;
        EXPECT_EQ(merged.conflicts[0].lost.winner, lost) << why;
        EXPECT_EQ(merged.conflicts[0].why, why);
      }
      const auto found = cache(into).find_winner({.task = won.task,
                                                  .device = won.device,
                                                  .determinism = won.determinism,
                                                  .rows = 500,
                                                  .inner = 1});
      ASSERT_TRUE(found);
      EXPECT_EQ(found->stored.winner, won) << why;
    }
  }
  // Equal dates: the hash decides, whichever comes first.
  store("x", winner(kOne));
  store("y", winner(kOther));
  const CacheMerge xy = merge("xy", {"x", "y"});
  const CacheMerge yx = merge("yx", {"y", "x"});
  ASSERT_EQ(xy.conflicts.size(), 1U);
  EXPECT_EQ(xy.conflicts[0].why, "equal dates; the smaller hash");
  EXPECT_LT(xy.conflicts[0].won.hash, xy.conflicts[0].lost.hash);
  EXPECT_EQ(xy.conflicts[0].won.hash, yx.conflicts.at(0).won.hash);
}

TEST_F(MergeTest, WhatDoesNotContradictIsNoConflict) {
  Winner rows = winner(kOther);
  rows.rows = {1001, 2000};
  Winner device = winner(kOther);
  device.device.units = 4;
  Winner determinism = winner(kOther);
  determinism.determinism = Determinism::not_guaranteed;
  Winner task = winner(kOther);
  task.task = parse_task("forward/p5q4-A-c384-g8-f32-last");
  const Winner same_schedule = winner(kOne, Evidence::predicted_static);
  for (const Winner& w : {winner(), rows, device, determinism, task, same_schedule}) {
    store("from", w);
  }
  const CacheMerge merged = merge("into", {"from"});
  EXPECT_EQ(merged.winners, 6);
  EXPECT_TRUE(merged.conflicts.empty());
  // A conflict between winners that the folder alone has is not the sources'.
  store("into", winner(kSlower, Evidence::predicted_executed));
  store("small", rows);
  EXPECT_TRUE(merge("into", {"small"}).conflicts.empty());
  EXPECT_EQ(merge("into", {"from"}).conflicts.size(), 1U);
}

TEST_F(MergeTest, AnyOrderEndsInTheSameFiles) {
  const std::uint64_t seed = std::random_device{}();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const char* const schedules[] = {kOne, kOther, kSlower};
  std::vector<std::string> names;
  for (int n = 0; n < 5; ++n) {
    names.push_back("node" + std::to_string(n));
    Cache from = cache(names.back());
    for (int i = 0; i < 6; ++i) {
      const std::string date = "2026-11-23T10:00:0" + std::to_string(random() % 3) + "Z";
      Winner w = winner(schedules[random() % 3], Evidence(random() % 4), date.c_str());
      w.rows = {1, 1000 * std::int64_t(1 + random() % 2)};
      const std::string key = key_of(std::to_string(random() % 4));
      from.store_binary(key, "code");
      w.binary = content_hash(key);
      from.store_winner(w);
      from.record(R"({"task": "forward/x"})", w.device);
    }
  }
  merge("reference", names);
  // Another order, in two steps, with a repetition.
  std::shuffle(names.begin(), names.end(), random);
  merge("half", {names[0], names[1]});
  merge("other", {names[2], names[3], "half", names[4], names[2]});
  EXPECT_EQ(snapshot("other"), snapshot("reference")) << "seed " << seed;
  EXPECT_TRUE(verify_cache(at("other")).defects.empty());
}

TEST_F(MergeTest, DamagedAndForeignFilesAreLeftOut) {
  Winner w = winner();
  w.binary = content_hash(key_of("damaged"));
  const Winner damaged = winner(kOther);
  Cache from = cache("from");
  from.store_binary(key_of("damaged"), "code");
  from.store_winner(w);
  from.store_winner(damaged);
  const auto spoil = [](const fs::path& path) {
    std::string bytes = read(path);
    bytes[bytes.size() / 2] = char(bytes[bytes.size() / 2] ^ 0x20);
    std::ofstream(path, std::ios::binary) << bytes;
  };
  spoil(path_of("from", damaged));
  spoil(root_ / "from" / binary_path(w.binary));
  const fs::path foreign = path_of("from", w).parent_path() / "notes.txt";
  std::ofstream(foreign) << "mine";
  fs::permissions(foreign, fs::perms::owner_read);
  const fs::path link = path_of("from", w).parent_path() / "link.json";
  fs::create_symlink("/etc/passwd", link);
  const auto before = snapshot("from", true);
  const CacheMerge merged = merge("into", {"from"});
  EXPECT_EQ(merged.winners, 1) << "a winner is useful without its binary";
  EXPECT_EQ(merged.binaries, 0);
  Names told;
  for (const CacheDefect& defect : merged.defects) {
    EXPECT_FALSE(defect.why.empty());
    told.insert(defect.path);
  }
  EXPECT_EQ(told, (Names{path_of("from", damaged), at("from") + "/" + binary_path(w.binary),
                         foreign, link}));
  EXPECT_EQ(snapshot("from", true), before);
  EXPECT_TRUE(verify_cache(at("into")).defects.empty());
  // What was damaged here is replaced.
  spoil(path_of("into", w));
  EXPECT_EQ(merge("into", {"from"}).winners, 1);
  EXPECT_TRUE(verify_cache(at("into")).defects.empty());
}

// A log that grew since the last merge, one with a torn and a damaged line, and two of one name.
TEST_F(MergeTest, LogsOnlyGrow) {
  const auto write = [&](const std::string& folder, const std::string& bytes) {
    fs::create_directories(root_ / folder / "measurements");
    const fs::path path = root_ / folder / "measurements" / "2026-11-23-1-a.jsonl";
    std::ofstream(path, std::ios::binary) << bytes;
    for (const fs::path& each : {root_ / folder, path.parent_path(), path}) {
      fs::permissions(each, fs::perms::owner_all);
    }
    return path;
  };
  const fs::path target = root_ / "into" / "measurements" / "2026-11-23-1-a.jsonl";
  write("from", "{\"a\":1}\n{\"b\":");
  EXPECT_EQ(merge("into", {"from"}).measurements, 1);
  EXPECT_EQ(read(target), "{\"a\":1}\n");
  write("from", "{\"a\":1}\n{\"b\":2}\nspoiled\n{\"c\":3}\n");
  const CacheMerge grown = merge("into", {"from"});
  EXPECT_EQ(grown.measurements, 2);
  EXPECT_EQ(read(target), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
  ASSERT_EQ(grown.defects.size(), 1U);
  EXPECT_EQ(grown.defects[0].why, "line 3 is not a JSON object");
  write("from", "{\"a\":1}\n");  // an older copy
  EXPECT_EQ(merge("into", {"from"}).measurements, 0);
  EXPECT_EQ(read(target), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
  write("from", "{\"another\":1}\n");
  const CacheMerge another = merge("into", {"from"});
  EXPECT_EQ(another.measurements, 0);
  ASSERT_EQ(another.defects.size(), 1U);
  EXPECT_NE(another.defects[0].why.find("another log of this name"), std::string::npos);
  EXPECT_EQ(read(target), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
}

TEST_F(MergeTest, ReadOnlySource) {
  store("from", winner());
  for (const auto& entry : fs::recursive_directory_iterator(at("from"))) {
    fs::permissions(
        entry.path(),
        fs::perms::owner_read | (entry.is_directory() ? fs::perms::owner_exec : fs::perms::none));
  }
  fs::permissions(at("from"), fs::perms::owner_read | fs::perms::owner_exec);
  const auto before = snapshot("from", true);
  EXPECT_EQ(merge("into", {"from"}).winners, 1);
  EXPECT_EQ(snapshot("from", true), before);
}

TEST_F(MergeTest, WrongFoldersAreErrorsBeforeAnythingIsWritten) {
  store("good", winner());
  store("open", winner());
  fs::permissions(at("open"), fs::perms::others_write, fs::perm_options::add);
  std::ofstream(at("file")) << "no folder";
  fs::create_directory_symlink("good", at("alias"));
  const struct {
    std::string into;
    const char* source;
    Status status;
    const char* part;
  } cases[] = {
      {"into", "missing", Status::io_error, "there is no such folder"},
      {"into", "file", Status::io_error, "there is no such folder"},
      {"into", "open", Status::io_error, "can be written by others"},
      {"good", "good", Status::invalid_argument, "is the cache that it would be merged into"},
      {"good", "alias", Status::invalid_argument, "is the cache that it would be merged into"},
      {"file/into", "good", Status::io_error, "can't"},
  };
  const auto before = snapshot("good", true);
  for (const auto& [into, source, status, part] : cases) {
    try {
      merge(into, {"good", source});
      ADD_FAILURE() << "taken: " << source << " into " << into;
    } catch (const Error& error) {
      // Where `into` is the first source, that one is told.
      EXPECT_EQ(error.status(), status) << error.what();
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
    EXPECT_FALSE(fs::exists(at("into")));
  }
  EXPECT_EQ(snapshot("good", true), before);
}

}  // namespace
}  // namespace grkan
