// Which predicted schedule takes the default's place.
#include "tuner/safe_choice.h"

#include <gtest/gtest.h>

#include <vector>

namespace grkan {
namespace {

constexpr double kLeast = 0.01;
constexpr double kEqual = 0.005;

PredictedCandidate candidate(std::size_t index, double ratio, double high) {
  return {index, {.ratio = ratio, .low = ratio * 0.9, .high = high}};
}

SafeChoice choose(std::vector<PredictedCandidate> candidates) {
  candidates.push_back(candidate(0, 1, 1.2));
  return safe_choice(candidates, kLeast, kEqual);
}

TEST(SafeChoice, TheFastestThatIsFasterWhateverTheErrors) {
  // The fastest of all may be slower than the default.
  const SafeChoice c = choose({candidate(3, 0.7, 1.01), candidate(5, 0.8, 0.9),
                               candidate(4, 0.803, 0.95), candidate(2, 0.85, 0.99)});
  EXPECT_EQ(c.winner, 4U);  // as fast as 5, and before it
  EXPECT_EQ(c.near_ties, (std::vector<std::size_t>{4, 5}));
  EXPECT_FALSE(c.passed_over);
}

TEST(SafeChoice, ElseTheDefaultStaysAndTheFastestIsTold) {
  const SafeChoice c = choose({candidate(3, 0.7, 1.01), candidate(2, 0.9, 1.3)});
  EXPECT_EQ(c.winner, 0U);
  EXPECT_EQ(c.passed_over, 3U);
  EXPECT_EQ(c.near_ties, (std::vector<std::size_t>{3}));
}

TEST(SafeChoice, AHairsBreadthIsNoGain) {
  const SafeChoice c = choose({candidate(3, 0.995, 0.999)});
  EXPECT_EQ(c.winner, 0U);
  EXPECT_FALSE(c.passed_over);
  EXPECT_EQ(choose({}).near_ties, (std::vector<std::size_t>{0}));
}

}  // namespace
}  // namespace grkan
