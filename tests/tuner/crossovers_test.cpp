// Crossovers, with invented schedules whose times are functions of the rows.
#include "tuner/crossovers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

namespace grkan {
namespace {

// Seconds of each schedule at a number of rows; tuning takes the fastest.
struct Machine {
  std::vector<std::function<double(double)>> schedules;
  int most_calls = 1000;
  std::set<std::int64_t> tuned;
  int compared = 0;
  bool silent = false;  // comparing tells nothing

  [[nodiscard]] double seconds(std::size_t schedule, std::int64_t rows) const {
    return schedules[schedule](double(rows));
  }
  std::vector<Stretch> find(Range rows) {
    const auto calls = [this] { return int(tuned.size()) + compared; };
    const CrossoverFunctions functions{
        .tune =
            [this](std::int64_t size) {
              EXPECT_TRUE(tuned.insert(size).second) << size << " is tuned twice";
              std::size_t best = 0;
              for (std::size_t i = 1; i < schedules.size(); ++i) {
                if (seconds(i, size) < seconds(best, size)) best = i;
              }
              return best;
            },
        .compare =
            [this](std::int64_t size, std::size_t a, std::size_t b) {
              ++compared;
              if (silent) return std::numeric_limits<double>::quiet_NaN();
              return seconds(b, size) / seconds(a, size);
            },
        .stopped = [this, calls] { return calls() >= most_calls; },
    };
    return find_stretches(rows, functions);
  }
};

// Side by side, and each tuned within.
void expect_whole(const std::vector<Stretch>& stretches, Range rows) {
  ASSERT_FALSE(stretches.empty());
  EXPECT_EQ(stretches.front().rows.low, rows.low);
  EXPECT_EQ(stretches.back().rows.high, rows.high);
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    EXPECT_TRUE(stretches[i].rows.holds(stretches[i].tuned)) << i;
    if (i > 0) {
      EXPECT_EQ(stretches[i].rows.low, stretches[i - 1].rows.high + 1);
    }
  }
}

TEST(Crossovers, OneWinnerIsOneStretch) {
  Machine m;
  m.schedules = {[](double r) { return r; }, [](double r) { return 2 * r; }};
  EXPECT_EQ(m.find({1, 100000}), (std::vector<Stretch>{{.rows = {1, 100000}, .tuned = 100000}}));
  EXPECT_EQ(m.compared, 0);
  EXPECT_LE(m.tuned.size(), 6U);
}

TEST(Crossovers, OneSize) {
  Machine m;
  m.schedules = {[](double r) { return r; }};
  EXPECT_EQ(m.find({7, 7}), (std::vector<Stretch>{{.rows = {7, 7}, .tuned = 7}}));
  EXPECT_EQ(m.find({8, 9}), (std::vector<Stretch>{{.rows = {8, 9}, .tuned = 9}}));
}

// Not at a power of two, and not where anything was tuned.
TEST(Crossovers, TheCrossoverIsFoundWithinATenth) {
  for (const double at : {3.0, 37.0, 777.0, 1500.0, 60000.0}) {
    Machine m;
    m.schedules = {[](double r) { return r; }, [at](double r) { return 0.5 * at + 0.5 * r; }};
    const std::vector<Stretch> found = m.find({1, 100000});
    expect_whole(found, {1, 100000});
    ASSERT_EQ(found.size(), 2U) << at;
    EXPECT_LE(double(found[1].rows.low), 1.1 * at + 1) << at;
    EXPECT_GE(double(found[1].rows.low), at / 1.1 - 1) << at;
    EXPECT_LE(m.compared, 8) << at;
  }
}

TEST(Crossovers, ThreeWinnersTwoCrossovers) {
  Machine m;
  m.schedules = {[](double r) { return r; }, [](double r) { return 50 + 0.5 * r; },  // from 100
                 [](double r) { return 1000 + 0.25 * r; }};                          // from 3800
  const std::vector<Stretch> found = m.find({1, 1000000});
  expect_whole(found, {1, 1000000});
  ASSERT_EQ(found.size(), 3U);
  EXPECT_NEAR(double(found[1].rows.low), 100, 11);
  EXPECT_NEAR(double(found[2].rows.low), 3800, 380);
}

// Noise that decides between equals makes no kernels.
TEST(Crossovers, AsFastAsItsNeighbourIsNoWinnerOfItsOwn) {
  Machine m;
  m.schedules = {[](double r) { return r * (r < 50 ? 1 : 1.005); },
                 [](double r) { return r * (r < 50 ? 1.3 : 1); }};
  EXPECT_EQ(m.find({10, 160}), (std::vector<Stretch>{{.rows = {10, 160}, .tuned = 10}}));
  m = {};
  m.schedules = {[](double r) { return r * (r < 50 ? 1 : 1.3); },
                 [](double r) { return r * (r < 50 ? 1.005 : 1); }};
  EXPECT_EQ(m.find({10, 160}), (std::vector<Stretch>{{.rows = {10, 160}, .tuned = 160}}));
}

TEST(Crossovers, WhatCannotBeComparedKeepsEachToItsSize) {
  Machine m;
  m.silent = true;
  m.schedules = {[](double r) { return r; }, [](double r) { return 20 + 0.5 * r; }};
  const std::vector<Stretch> found = m.find({10, 160});
  expect_whole(found, {10, 160});
  EXPECT_EQ(found.size(), 2U);
}

TEST(Crossovers, AStopKeepsWhatWasFound) {
  Machine whole;
  whole.schedules = {[](double r) { return r; }, [](double r) { return 2000 + 0.5 * r; }};
  const std::size_t all = whole.find({1, 100000}).size();
  for (int calls = 1; calls < 12; ++calls) {
    Machine m;
    m.schedules = whole.schedules;
    m.most_calls = calls;
    const std::vector<Stretch> found = m.find({1, 100000});
    EXPECT_LE(found.size(), all);
    if (!found.empty()) expect_whole(found, {1, found.back().rows.high});
  }
}

}  // namespace
}  // namespace grkan
