// Transfer: terms that were put in come out, for problems that were not seen.
#include "tuner/transfer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace grkan {
namespace {

Schedule schedule(int first, int second) {
  Schedule s;
  s.values[0] = first;
  s.values[1] = second;
  return s;
}

// A value of 4 of the first parameter costs 20 % more than was thought, 2 of the second 10 % less.
double truth(const Schedule& s) {
  return (s.values[0] == 4 ? std::log(1.2) : 0) + (s.values[1] == 2 ? std::log(0.9) : 0);
}

TEST(Transfer, FindsWhatParametersCost) {
  const unsigned seed = 3;
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  std::normal_distribution<double> noise(0, 0.02);
  std::vector<TransferSample> samples;
  for (std::size_t problem = 0; problem < 10; ++problem) {
    // All of a problem are off by a constant: a ratio beside the logarithm of nanoseconds.
    const double constant = 0.3 * double(problem) - 12;
    for (int i = 0; i < 40; ++i) {
      const Schedule s = schedule(1 << (random() % 4), int(random() % 4));
      samples.push_back({problem, s, constant + truth(s) + noise(random)});
    }
  }
  const Transfer transfer(samples);
  const auto between = [&](const Schedule& a, const Schedule& b) {
    return transfer.correction(a) - transfer.correction(b);
  };
  EXPECT_NEAR(between(schedule(4, 0), schedule(1, 0)), std::log(1.2), 0.03);
  EXPECT_NEAR(between(schedule(1, 2), schedule(1, 1)), std::log(0.9), 0.03);
  EXPECT_NEAR(between(schedule(4, 2), schedule(8, 3)), std::log(1.2 * 0.9), 0.04);
  // A value that was never met adds nothing.
  EXPECT_NEAR(between(schedule(1, 77), schedule(1, 0)), 0, 0.04);
}

TEST(Transfer, FewSamplesSayLittle) {
  EXPECT_EQ(Transfer().correction(schedule(4, 2)), 0);
  const std::vector<TransferSample> one = {{0, schedule(4, 2), 0.5}, {0, schedule(1, 1), 0}};
  const Transfer transfer(one);
  const double said = transfer.correction(schedule(4, 2)) - transfer.correction(schedule(1, 1));
  EXPECT_GT(said, 0);
  EXPECT_LT(said, 0.25);
}

}  // namespace
}  // namespace grkan
