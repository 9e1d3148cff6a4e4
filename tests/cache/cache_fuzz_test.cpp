// Random garbage in the place of every kind of cache file: never a crash, never an answer. The seed
// is printed; GRKAN_FUZZ_SEED and GRKAN_FUZZ_ROUNDS choose others.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "cache/binary_file.h"
#include "cache/files.h"
#include "cache/measurements.h"
#include "cache/winner.h"
#include "core/error.h"

namespace grkan {
namespace {

std::uint64_t environment(const char* name, std::uint64_t standard) {
  const char* value = std::getenv(name);
  return value == nullptr ? standard : std::strtoull(value, nullptr, 10);
}

class CacheFuzz : public ::testing::Test {
 protected:
  void SetUp() override {
    std::printf("GRKAN_FUZZ_SEED=%llu GRKAN_FUZZ_ROUNDS=%llu\n", (unsigned long long)seed_,
                (unsigned long long)rounds_);
  }

  std::size_t below(std::size_t limit) { return random_() % limit; }

  // One to four changes: a byte, a bit, a cut, a repeat, garbage put in.
  std::string mutate(std::string text) {
    for (std::size_t n = 1 + below(4); n > 0 && !text.empty(); --n) {
      const std::size_t at = below(text.size());
      switch (below(6)) {
        case 0:
          text[at] = char(random_());
          break;
        case 1:
          text[at] = char(text[at] ^ (1 << below(8)));
          break;
        case 2:
          text.resize(at);
          break;
        case 3:
          text.erase(at, below(16));
          break;
        case 4:
          text.insert(at, text.substr(below(text.size()), below(64)));
          break;
        default:
          text.insert(at, std::string(below(8), char(random_())));
      }
    }
    return text;
  }

  const std::uint64_t seed_ = environment("GRKAN_FUZZ_SEED", std::random_device{}());
  const std::uint64_t rounds_ = environment("GRKAN_FUZZ_ROUNDS", 5000);
  std::mt19937_64 random_{seed_};
};

Winner sample_winner() {
  Winner w;
  w.task = parse_task("backward.dx.da.db/p5q4-A-c768-g8-f32-last");
  w.device = {.kind = "cpu",
              .architecture = "x86-64-v3",
              .name = "EPYC",
              .features = "",
              .units = 2,
              .memory_bytes = 1,
              .cache_bytes = 1};
  w.schedule = "v8_u1_r4_bcast_run64_split_nt@slice256";
  w.time = TimeNs{.median = 5, .p10 = 4, .p90 = 6, .samples = 9};
  w.date = "2026-11-23T10:00:00Z";
  w.candidates = {{.schedule = w.schedule, .status = "ok", .time = w.time, .error_scaled = 0.5}};
  w.prediction = Prediction{
      .ns = 5, .parts_ns = {4, 2}, .floor_ns = 4, .executed = false, .assumed = {"clock"}};
  return w;
}

TEST_F(CacheFuzz, BinaryFiles) {
  const BinaryFile whole{.key = "{\"task\": \"t\"}", .payload = std::string(300, 'p')};
  const std::string bytes = to_bytes(whole);
  for (std::uint64_t i = 0; i < rounds_; ++i) {
    std::string damaged = mutate(bytes);
    // Half of them with a right checksum, so that what lies behind it is reached.
    if (i % 2 == 0 && damaged.size() > 32) {
      damaged.resize(damaged.size() - 32);
      damaged += content_hash(damaged);
    }
    BinaryFile file;
    const std::string defect = parse_binary_file(damaged, file);
    if (i % 2 == 1 && damaged != bytes) {
      ASSERT_NE(defect, "") << "seed " << seed_ << " round " << i;
    }
    if (defect.empty()) {
      ASSERT_EQ(to_bytes(file).size(), damaged.size());
    }
  }
}

TEST_F(CacheFuzz, WinnerTexts) {
  const std::string text = to_text(sample_winner());
  for (std::uint64_t i = 0; i < rounds_; ++i) {
    const std::string damaged = mutate(text);
    try {
      // What parses is a winner that prints and parses back.
      const Winner w = parse_winner(damaged);
      ASSERT_EQ(parse_winner(to_text(w)), w) << "seed " << seed_ << " round " << i;
    } catch (const Error& e) {
      ASSERT_EQ(e.status(), Status::invalid_argument) << "seed " << seed_ << " round " << i;
    }
    Winner w;
    if (damaged != text) {
      const std::string path = winner_path(sample_winner());
      ASSERT_NE(parse_winner_file(damaged, path, w), "") << "seed " << seed_ << " round " << i;
    }
  }
}

// JSON that is well formed but means nothing: any value in any place.
TEST_F(CacheFuzz, WinnerValues) {
  const nlohmann::json whole = nlohmann::json::parse(to_text(sample_winner())).flatten();
  const std::vector<nlohmann::json> values = {nullptr,
                                              true,
                                              -1,
                                              0,
                                              1,
                                              1e308,
                                              -1e308,
                                              UINT64_MAX,
                                              INT64_MIN,
                                              "",
                                              "x",
                                              "sm_90",
                                              "p5q4",
                                              0.5,
                                              nlohmann::json::array(),
                                              nlohmann::json::object(),
                                              std::string(3000, '7'),
                                              "forward/p5q4-A-c768-g8-f32-last"};
  for (std::uint64_t i = 0; i < rounds_; ++i) {
    nlohmann::json json = whole;
    for (std::size_t n = 1 + below(3); n > 0; --n) {
      auto at = json.begin();
      std::advance(at, std::ptrdiff_t(below(json.size())));
      if (below(8) == 0 && json.size() > 1) {
        json.erase(at);
      } else {
        *at = values[below(values.size())];
      }
    }
    std::string text;
    try {
      text = json.unflatten().dump();
    } catch (const nlohmann::json::exception&) {
      continue;  // the flattened form can't hold every document
    }
    try {
      const Winner w = parse_winner(text);
      ASSERT_EQ(parse_winner(to_text(w)), w) << "seed " << seed_ << " round " << i << text;
    } catch (const Error& e) {
      ASSERT_EQ(e.status(), Status::invalid_argument) << "seed " << seed_ << " round " << i;
    }
  }
}

TEST_F(CacheFuzz, MeasurementLogs) {
  const Winner w = sample_winner();
  std::string log;
  for (int i = 0; i < 5; ++i) {
    log += stamp_measurement("{\"task\": \"" + to_string(w.task) + "\"}", w.device) + "\n";
  }
  ASSERT_EQ(select_measurements(log, w.task, w.device).size(), 5U);
  for (std::uint64_t i = 0; i < rounds_; ++i) {
    for (const std::string& line : select_measurements(mutate(log), w.task, w.device)) {
      ASSERT_TRUE(nlohmann::json::accept(line)) << "seed " << seed_ << " round " << i;
    }
  }
}

}  // namespace
}  // namespace grkan
