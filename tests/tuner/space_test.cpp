// The spaces of tasks: legal, complete, without doubles, the default first.
#include "tuner/space.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "core/error.h"
#include "cpu/schedule.h"
#include "cuda/schedule.h"

namespace grkan {
namespace {

constexpr std::int64_t kRows = 25216;

Space space_of(const char* task, const char* target, std::int64_t rows = kRows,
               std::int64_t inner = 1, Determinism determinism = Determinism::run_to_run) {
  return enumerate_space(parse_task(task), parse_target(target), determinism, rows, inner);
}

TEST(Space, EveryCandidateIsLegalAndTheDefaultIsFirst) {
  for (const char* task :
       {"forward/p5q4-A-c768-g8-f32-last", "backward.dx.da.db/p5q4-A-c768-g8-f32-last",
        "backward.dx/p3q3-B-c24-g24-f64-last", "backward.da/p5q4-C-c255-g5-bf16-last",
        "forward/p5q4-A-c64-g4-f16:f32-first", "backward.dx.da.db/p5q4-N-c7-g1-f32-first"}) {
    for (const char* target : {"x86-64-v3", "x86-64-v4", "aarch64", "sm_75", "sm_100"}) {
      for (const std::int64_t rows : {std::int64_t{1}, kRows}) {
        const Space space = space_of(task, target, rows, 49);
        const Task parsed = parse_task(task);
        const Target machine = parse_target(target);
        ASSERT_FALSE(space.schedules.empty());
        EXPECT_EQ(to_string(space.schedules.front()),
                  to_string(default_schedule(parsed, machine, rows, 49)));
        std::set<std::string> seen;
        for (const Schedule& schedule : space.schedules) {
          EXPECT_EQ(why_illegal(parsed, schedule, machine), "") << to_string(schedule);
          EXPECT_TRUE(seen.insert(to_string(schedule)).second) << to_string(schedule);
        }
      }
    }
  }
}

TEST(Space, HasTensToAFewHundredForTheCpu) {
  for (const char* target : {"x86-64-v3", "x86-64-v4"}) {
    const Space forward = space_of("forward/p5q4-A-c768-g8-f32-last", target);
    EXPECT_GE(forward.schedules.size(), 50U) << target;
    EXPECT_LE(forward.schedules.size(), 999U) << target;
    const Space backward = space_of("backward.dx.da.db/p5q4-A-c768-g8-f32-last", target);
    EXPECT_GT(backward.schedules.size(), forward.schedules.size()) << target;
  }
}

TEST(Space, CountsWhatItLeftOutByReason) {
  const Space space = space_of("backward.dx.da.db/p5q4-A-c768-g8-f32-last", "sm_90");
  std::int64_t sum = std::int64_t(space.schedules.size());
  for (const auto& [reason, count] : space.left_out) {
    EXPECT_GT(count, 0);
    EXPECT_EQ(reason.find("17"), std::string::npos) << reason;
    sum += count;
  }
  EXPECT_EQ(sum, space.tried + 1);  // and the default
  EXPECT_LT(space.left_out.size(), 24U);
}

// Those that don't took at best 1.2 times the best one's time on an H200.
TEST(Space, RowsOfATileFillASector) {
  for (const char* task :
       {"forward/p5q4-A-c768-g8-f32-last", "backward.dx.da.db/p5q4-A-c768-g8-bf16-last",
        "forward/p5q4-A-c768-g8-f32:bf16-last"}) {
    const Problem p = parse_task(task).problem;
    const int size = int(std::min(size_of(p.x_type), size_of(p.y_type)));
    for (const Schedule& schedule : space_of(task, "sm_90").schedules) {
      const auto& s = CudaSchedule(schedule);
      EXPECT_GE(s.columns * s.tile_columns * size, 32) << task << " " << to_string(schedule);
    }
  }
  // Where the default's don't (a row of 12 bytes; segments of a prime width), others need not.
  for (const char* task :
       {"forward/p5q4-A-c3-g1-f32-last", "forward/p5q4-A-c1031-g1-f32-last",
        "backward.dx.da.db/p5q4-A-c2018-g2-bf16-last", "forward/p5q4-A-c515-g103-f32-last"}) {
    EXPECT_GT(space_of(task, "sm_90").schedules.size(), 100U) << task;
  }
}

TEST(Space, FewRowsNeedFewSlices) {
  const Space space = space_of("forward/p5q4-A-c768-g8-f32-last", "x86-64-v3", 1);
  EXPECT_LT(space.schedules.size(),
            space_of("forward/p5q4-A-c768-g8-f32-last", "x86-64-v3").schedules.size() / 4);
}

TEST(Space, GpuToGpuLeavesTheFixedSchedule) {
  const Space space = space_of("backward.dx.da.db/p5q4-A-c768-g8-f32-last", "x86-64-v3", kRows, 1,
                               Determinism::gpu_to_gpu);
  // What moves memory is free, what rounds is not.
  EXPECT_GT(space.schedules.size(), 1U);
  for (const Schedule& schedule : space.schedules) {
    CpuSchedule same = CpuSchedule(schedule);
    const CpuSchedule& first = CpuSchedule(space.schedules.front());
    same.stores = first.stores;
    same.prefetch = first.prefetch;
    EXPECT_EQ(same, first) << to_string(schedule);
  }
}

TEST(Space, IsOrderedByTheDistanceFromTheDefault) {
  for (const char* target : {"x86-64-v3", "sm_90"}) {
    const Space space = space_of("backward.dx.da.db/p5q4-A-c768-g8-f32-last", target);
    const std::vector<std::vector<int>> places = coordinates(space);
    ASSERT_EQ(places.size(), space.schedules.size());
    std::set<std::vector<int>> different(places.begin(), places.end());
    EXPECT_EQ(different.size(), places.size());
    std::size_t before = 0;
    for (const std::vector<int>& place : places) {
      ASSERT_EQ(place.size(), places[0].size());
      std::size_t differ = 0;
      for (std::size_t p = 0; p < place.size(); ++p) differ += place[p] != places[0][p] ? 1 : 0;
      EXPECT_GE(differ, before);
      before = differ;
    }
    EXPECT_GT(before, 1U);
  }
}

// The next layer finds a small output in the last-level cache.
TEST(Space, StoresPastTheCachesAreForLargeOutputs) {
  const Target target = parse_target("x86-64-v4");
  const auto past_caches = [&](const char* text, std::int64_t rows) {
    const Space space = enumerate_space(parse_task(text), target, Determinism::run_to_run, rows);
    return std::count_if(space.schedules.begin(), space.schedules.end(), [](const Schedule& s) {
      return CpuSchedule(s).stores == CpuSchedule::nontemporal;
    });
  };
  // 16 MiB are 4096 rows of 1024 channels in f32.
  EXPECT_EQ(past_caches("forward/p5q4-A-c1024-g8-f32-last", 4096), 0);
  EXPECT_GT(past_caches("forward/p5q4-A-c1024-g8-f32-last", 4097), 0);
  EXPECT_EQ(past_caches("forward/p5q4-A-c1024-g8-bf16-last", 8192), 0);
  EXPECT_EQ(past_caches("backward.dx.da.db/p5q4-A-c1024-g8-f32-last", 4096), 0);
  EXPECT_GT(past_caches("backward.dx.da.db/p5q4-A-c1024-g8-f32-last", 4097), 0);
  EXPECT_EQ(past_caches("backward.da/p5q4-A-c1024-g8-f32-last", 5000), 0) << "nothing is stored";
  EXPECT_FALSE(output_stays_cached(parse_task("backward.da/p5q4-A-c1024-g8-f32-last"), 1, 1));
}

}  // namespace
}  // namespace grkan
