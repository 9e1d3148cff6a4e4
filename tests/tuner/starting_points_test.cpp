// Starting points and the candidates of a space that stand for them.
#include "tuner/starting_points.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "cpu/schedule.h"
#include "tuner/space.h"

namespace grkan {
namespace {

TEST(StartingPoints, AreCandidatesOfEverySpaceAndNoneTwice) {
  for (const char* target : {"x86-64-v3", "x86-64-v4", "aarch64"}) {
    for (const char* problem : {"p5q4-A-c768-g8-f32-last", "p3q3-B-c160-g40-f64-last",
                                "p2q2-C-c64-g1-bf16-first", "p5q4-A-c8-g1-f32-last"}) {
      for (const char* direction : {"forward/", "backward.dx/", "backward.dx.da.db/"}) {
        const Task task = parse_task(std::string(direction) + problem);
        const Space space =
            enumerate_space(task, parse_target(target), Determinism::run_to_run, 1024);
        const auto points = starting_points(task, parse_target(target));
        EXPECT_FALSE(points.empty());
        std::vector<std::size_t> chosen = starting_candidates(space, points);
        EXPECT_FALSE(chosen.empty()) << target << ' ' << to_string(task);
        EXPECT_LE(chosen.size(), points.size());
        std::sort(chosen.begin(), chosen.end());
        EXPECT_EQ(std::adjacent_find(chosen.begin(), chosen.end()), chosen.end());
        EXPECT_GT(chosen.front(), 0U);  // the default is timed anyway
        EXPECT_LT(chosen.back(), space.schedules.size());
      }
    }
  }
}

TEST(StartingPoints, TheNearestCandidateStandsForAPoint) {
  const Target target = parse_target("x86-64-v4");
  const auto cpu = [&](const char* text) { return parse_schedule(text, target); };
  Space space;
  for (const char* text : {"v16_u1_r1_bcast_cached@slice256", "v16_u2_r1_bcast_nt@slice64",
                           "v16_u2_r8_bcast_nt_pf1@slice64"}) {
    space.schedules.push_back(parse_schedule(text, target));
  }
  const std::vector<Schedule> points = {
      cpu("v8_u2_r8_bcast_nt_pf1@slice256"),  // as the last but for the slice; another vector
      cpu("v8_u1_r1_bcast_cached@slice64"),   // the default's: left out
      cpu("v8_u2_r4_bcast_nt_pf1@slice64"),   // the last one again
      cpu("v8_u2_r1_bcast_nt@slice64")};
  EXPECT_EQ(starting_candidates(space, points), (std::vector<std::size_t>{2, 1}));
}

TEST(StartingPoints, LargeOutputsAreStoredAsTheDefaultStoresThem) {
  const Target target = parse_target("x86-64-v4");
  const Task task = parse_task("forward/p5q4-A-c768-g8-f32-last");
  const Space space = enumerate_space(task, target, Determinism::run_to_run, 25216);
  for (const std::size_t i : starting_candidates(space, starting_points(task, target))) {
    EXPECT_EQ(CpuSchedule(space.schedules[i]).stores, CpuSchedule::nontemporal);
  }
}

TEST(StartingPoints, NoneForGpus) {
  const Task task = parse_task("forward/p5q4-A-c768-g8-f32-last");
  EXPECT_TRUE(starting_points(task, parse_target("sm_90")).empty());
}

}  // namespace
}  // namespace grkan
