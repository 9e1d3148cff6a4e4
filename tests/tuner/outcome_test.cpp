// Outcomes: what of a space was refused, and times as winners keep them.
#include "tuner/outcome.h"

#include <gtest/gtest.h>

#include <limits>

namespace grkan {
namespace {

TEST(SpaceOutcome, CountsWhatWasRefusedByReason) {
  const Space space{
      .schedules = std::vector<Schedule>(5), .tried = 9, .left_out = {{"too wide", 5}}};
  std::vector<CandidateOutcome> candidates(5);
  candidates[0].status = CandidateStatus::ok;
  candidates[1].status = CandidateStatus::pruned;
  candidates[1].why = "spills 44 bytes a thread";
  candidates[2].status = CandidateStatus::pruned;
  candidates[2].why = "spills 144 bytes a thread";
  candidates[3].status = CandidateStatus::exceeds_device;
  candidates[3].why = "no";
  candidates[4].status = CandidateStatus::wrong_answer;
  candidates[4].why = "wrong";
  const SpaceOutcome expected{.tried = 10,
                              .candidates = 5,
                              .left_out = {{"too wide", 5}},
                              .refused = {{"spills N bytes a thread", 2}, {"no", 1}}};
  EXPECT_EQ(space_outcome(space, candidates), expected);
}

TEST(Time, OfSecondsAndOfPredictions) {
  EXPECT_FALSE(time_of(std::vector<double>{}));
  const auto time = time_of(std::vector<double>{3e-6, 1e-6, 2e-6});
  ASSERT_TRUE(time);
  EXPECT_NEAR(time->median, 2000, 1e-9);
  EXPECT_NEAR(*time->p10, 1200, 1e-9);
  EXPECT_EQ(time->samples, 3);
  Prediction prediction;
  prediction.ns = 5e3;
  EXPECT_NEAR(time_of(prediction).median, 5000, 1e-9);
  EXPECT_FALSE(time_of(prediction).p10);
  EXPECT_FALSE(finite(std::numeric_limits<double>::infinity()));
  EXPECT_EQ(finite(0.5), 0.5);
}

}  // namespace
}  // namespace grkan
