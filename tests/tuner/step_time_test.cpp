// The step time of a model: sums of calls by their counts and weights.
#include "tuner/step_time.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace grkan {
namespace {

StepCall call(const char* task, std::int64_t rows, std::int64_t count, double ns, double default_ns,
              bool measured = true) {
  return {.listed = {.task = parse_task(task), .rows = {1, rows}, .inner = 1, .count = count},
          .measured = measured,
          .ns = ns,
          .default_ns = default_ns};
}

constexpr const char* kForward = "forward/p5q4-A-c64-g8-f32-last";
constexpr const char* kBackward = "backward.dx.da.db/p5q4-A-c64-g8-f32-last";
constexpr const char* kOther = "forward/p5q4-A-c32-g8-f32-last";

TEST(StepTime, SumsByCountAndWeight) {
  const Step step = step_of({call(kForward, 100, 12, 10, 20), call(kBackward, 100, 12, 30, 40),
                             call(kOther, 100, 1, 700, 700, false)},
                            {.forward = 2, .backward = 1});
  EXPECT_EQ(step.ns, 2 * 12 * 10 + 12 * 30 + 2 * 700);
  EXPECT_EQ(step.default_ns, 2 * 12 * 20 + 12 * 40 + 2 * 700);
  EXPECT_EQ(step.calls, 2 * 12 + 12 + 2);
  EXPECT_FALSE(step.measured);
  EXPECT_EQ(step.weights.forward, 2);
  ASSERT_EQ(step.layers.size(), 2U);
  EXPECT_EQ(step.layers[0].problem, "p5q4-A-c32-g8-f32-last");
  EXPECT_EQ(step.layers[0].ns, 1400);
  EXPECT_EQ(step.layers[1].ns, 600);
  EXPECT_EQ(step.layers[1].default_ns, 960);
}

TEST(StepTime, SizesAreLayersOfTheirOwn) {
  const Step step = step_of({call(kForward, 100, 1, 10, 20), call(kForward, 200, 1, 15, 25)}, {});
  ASSERT_EQ(step.layers.size(), 2U);
  EXPECT_EQ(step.layers[0].rows, 200);
  EXPECT_TRUE(step.measured);
  EXPECT_EQ(step.ns, 25);
  EXPECT_EQ(step.default_ns, 45);
}

TEST(StepTime, CallsThatAStepDoesNotMakeTakeNothing) {
  EXPECT_TRUE(step_of({}, {}).layers.empty());
  const Step nothing = step_of({call(kForward, 1, 1, 5, 6)}, {.forward = 0, .backward = 1});
  EXPECT_EQ(nothing.layers.size(), 1U);
  EXPECT_EQ(nothing.ns, 0);
  EXPECT_EQ(nothing.calls, 0);
}

TEST(StepTime, Weights) {
  EXPECT_EQ(parse_weights("2:1").forward, 2);
  EXPECT_EQ(parse_weights("1:0.5").backward, 0.5);
  EXPECT_EQ(parse_weights("1:0").backward, 0);
  for (const char* wrong : {"", "1", ":", "1:", "1:x", "-1:1", "0:0", "1:2:3", "nan:1", "1e9:1"}) {
    EXPECT_THROW(parse_weights(wrong), Error) << wrong;
  }
}

}  // namespace
}  // namespace grkan
