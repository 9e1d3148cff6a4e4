// Statistics of timings, against values worked out by hand and against their promises.
#include "tuner/search/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace grkan {
namespace {

TEST(Statistics, QuantilesAreLinearBetweenOrderStatistics) {
  const std::vector<double> sample = {4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(median(sample), 2.5);
  EXPECT_DOUBLE_EQ(quantile(sample, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(sample, 1), 4);
  EXPECT_DOUBLE_EQ(quantile(sample, 0.1), 1.3);
  EXPECT_DOUBLE_EQ(median(std::vector<double>{7}), 7);
  EXPECT_TRUE(std::isnan(median({})));
}

TEST(Statistics, SummaryHasSpreadAndCount) {
  const std::vector<double> sample = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const Summary s = summarize(sample);
  EXPECT_DOUBLE_EQ(s.median, 6);
  EXPECT_DOUBLE_EQ(s.p10, 2);
  EXPECT_DOUBLE_EQ(s.p90, 10);
  EXPECT_EQ(s.samples, 11U);
  EXPECT_DOUBLE_EQ(s.spread(), 8.0 / 6);
}

TEST(Statistics, TooFewRoundsBoundNothing) {
  const std::vector<double> a(7, 1.0);
  const std::vector<double> b(7, 2.0);
  const Comparison c = compare(a, b, 0.99);  // 2 * 0.5^7 = 1.6 % > 1 %
  EXPECT_DOUBLE_EQ(c.ratio, 0.5);
  EXPECT_EQ(c.low, 0);
  EXPECT_TRUE(std::isinf(c.high));
  EXPECT_EQ(compare({}, {}).rounds, 0U);
}

TEST(Statistics, EightRoundsAreBoundByTheirExtremes) {
  std::vector<double> a;
  for (int i = 1; i <= 8; ++i) a.push_back(i);
  const std::vector<double> b(8, 1.0);
  const Comparison c = compare(a, b, 0.99);  // 2 * 0.5^8 = 0.8 %
  EXPECT_DOUBLE_EQ(c.low, 1);
  EXPECT_DOUBLE_EQ(c.high, 8);
  EXPECT_DOUBLE_EQ(c.ratio, 4.5);
}

TEST(Statistics, WhatSlowsARoundSlowsBoth) {
  std::vector<double> a;
  std::vector<double> b;
  for (int i = 0; i < 20; ++i) {
    const double machine = i % 3 == 0 ? 3 : 1;  // noise far above the difference
    a.push_back(0.97 * machine);
    b.push_back(machine);
  }
  const Comparison c = compare(a, b);
  EXPECT_NEAR(c.ratio, 0.97, 1e-12);
  EXPECT_LT(c.high, 1);
}

// Equal candidates under heavy-tailed noise: called different in at most 1 - confidence of trials.
TEST(Statistics, IntervalKeepsItsConfidence) {
  constexpr int kTrials = 2000;
  for (const std::size_t rounds : {8U, 21U, 50U}) {
    std::mt19937_64 random(rounds);
    std::lognormal_distribution<double> noise(0, 0.3);
    int wrong = 0;
    for (int t = 0; t < kTrials; ++t) {
      std::vector<double> a(rounds);
      std::vector<double> b(rounds);
      for (std::size_t i = 0; i < rounds; ++i) {
        a[i] = noise(random);
        b[i] = noise(random);
      }
      const Comparison c = compare(a, b, 0.99);
      wrong += c.high < 1 || c.low > 1 ? 1 : 0;
    }
    EXPECT_LE(wrong, kTrials / 100 + 15) << rounds << " rounds";
  }
}

TEST(Statistics, ManyRoundsDoNotUnderflow) {
  const std::vector<double> a(5000, 1.0);
  const std::vector<double> b(5000, 1.25);
  const Comparison c = compare(a, b);
  EXPECT_DOUBLE_EQ(c.low, 0.8);
  EXPECT_DOUBLE_EQ(c.high, 0.8);
}

TEST(Statistics, QuietMachine) {
  std::vector<double> times;
  for (int i = 0; i < 30; ++i) times.push_back(1e-3 * (1 + 0.01 * (i % 3)));
  EXPECT_FALSE(find_disturbance(times).disturbed);
}

TEST(Statistics, ThrottledMachineDrifts) {
  std::vector<double> times;
  for (int i = 0; i < 30; ++i) times.push_back(1e-3 * (1 + 0.01 * i));
  const Disturbance d = find_disturbance(times);
  EXPECT_TRUE(d.disturbed);
  EXPECT_EQ(d.why, "the default's time went from 1045 to 1245 us while tuning");
}

TEST(Statistics, BusyMachineSpreads) {
  std::vector<double> times;
  for (int i = 0; i < 30; ++i) times.push_back(i % 4 == 0 ? 2e-3 : 1e-3);
  const Disturbance d = find_disturbance(times);
  EXPECT_TRUE(d.disturbed);
  EXPECT_NE(d.why.find("spread from 1000 to 2000 us"), std::string::npos) << d.why;
}

TEST(Statistics, FewSamplesAreNotJudged) {
  EXPECT_FALSE(find_disturbance(std::vector<double>{1, 5, 1, 5, 1, 5, 1, 5}).disturbed);
}

TEST(RankCorrelation, AlikeOppositeAndTied) {
  const std::vector<double> rising = {1, 2, 30, 400};
  EXPECT_NEAR(rank_correlation(rising, std::vector<double>{5, 6, 7, 8}), 1, 1e-12);
  EXPECT_NEAR(rank_correlation(rising, std::vector<double>{8, 7, 6, 5}), -1, 1e-12);
  // 1 - 6 (1 + 1) / (4 (16 - 1)): two neighbours swapped.
  EXPECT_NEAR(rank_correlation(rising, std::vector<double>{1, 3, 2, 4}), 0.8, 1e-12);
  // Places 0.5, 0.5, 2, 3.
  EXPECT_NEAR(rank_correlation(rising, std::vector<double>{1, 1, 2, 3}), 4.5 / std::sqrt(22.5),
              1e-12);
  EXPECT_EQ(rank_correlation(rising, std::vector<double>{1, 1, 1, 1}), 1);
}

}  // namespace
}  // namespace grkan
