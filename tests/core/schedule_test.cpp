// Schedules: printed forms, legality with its reasons, and defaults that are always legal.
#include "core/schedule.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/random_task.h"
#include "cpu/schedule.h"
#include "cuda/schedule.h"

namespace grkan {
namespace {

const Target kCpu = parse_target("x86-64-v3");
const Target kGpu = parse_target("sm_90");

std::string message_of(std::string_view text, const Target& target) {
  try {
    parse_schedule(text, target);
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::invalid_argument);
    return e.what();
  }
  return "no error";
}

TEST(Schedule, PrintsAndParsesBack) {
  for (const char* text :
       {"v8_u1_r4_bcast_run64_split_nt@slice256", "v16_u2_r32_expand_cached@slice64"}) {
    EXPECT_EQ(to_string(parse_schedule(text, kCpu)), text);
  }
  for (const char* text :
       {"v4_r2_x24_y10_newton_run16_twopass@blocks4", "v1_r1_x32_y8_mb2_div@blocks16"}) {
    EXPECT_EQ(to_string(parse_schedule(text, kGpu)), text);
  }
}

TEST(Schedule, TheCompiledPartStandsAloneAndTheLaunchPartHasDefaults) {
  const Schedule s = parse_schedule("v8_u1_r4_bcast_run64_split_nt", kCpu);
  EXPECT_EQ(compiled_text(s), "v8_u1_r4_bcast_run64_split_nt");
  EXPECT_EQ(CpuSchedule(s).slice_rows, CpuSchedule{}.slice_rows);
  EXPECT_EQ(CpuSchedule(parse_schedule("v8_u1_r4_bcast_cached", kCpu)).run, 0);
}

TEST(Schedule, AnyLegalOneParsesBackAndSurvivesItsText) {
  RandomGenerator generator(12);
  for (int i = 0; i < 2000; ++i) {
    const Task task = random_task(generator);
    for (const Target& target : {kCpu, kGpu}) {
      const Schedule s = random_schedule(generator, task, target);
      ASSERT_EQ(why_illegal(task, s, target), "") << to_string(task) << " " << to_string(s);
      ASSERT_EQ(parse_schedule(to_string(s), target), s) << to_string(s);
    }
  }
}

TEST(Schedule, OtherTextsAreErrors) {
  EXPECT_EQ(message_of("v8_q3", kCpu),
            "schedule 'v8_q3' has an unknown or misplaced part 'q3'; the form is "
            "v8_u1_r4_bcast_run64_split_nt@slice256");
  for (const char* text : {"u1_v8", "v8_v8", "v0", "v08", "v-1", "v", "v8__u1", "v8@v4",
                           "v8_slice64", "v99999999999", "bcast_expand", "@@", "v8 _u1"}) {
    EXPECT_NE(message_of(text, kCpu), "no error") << text;
  }
  EXPECT_NE(message_of("v8_u1_r4_bcast_run64_split_nt", kGpu), "no error");
}

TEST(Schedule, DefaultsAreAlwaysLegal) {
  RandomGenerator generator(13);
  for (int i = 0; i < 3000; ++i) {
    Task task = random_task(generator);
    if (i % 2 == 1) {  // channels that random_task's table does not have
      task.problem.numerator_groups = task.problem.denominator_groups = 1 + i % 9;
      task.problem.channels = (1 + i % 9) * (1 + std::int64_t(generator() % 5000));
    }
    for (const char* name : {"x86-64-v3", "x86-64-v4", "znver4", "aarch64", "sm_75", "sm_80",
                             "sm_90", "sm_100", "sm_121"}) {
      const Target target = parse_target(name);
      for (const std::int64_t rows : {0, 1, 33, 1000000}) {
        const Schedule s = default_schedule(task, target, rows, 1 + i % 3);
        if (target.cuda()) {
          const CudaSchedule narrow = narrow_schedule(task, CudaSchedule(s));
          EXPECT_EQ(why_illegal(task, narrow, target), "") << to_string(task);
        }
        ASSERT_EQ(why_illegal(task, s, target), "")
            << to_string(task) << " " << name << " " << to_string(s);
        if (target.cuda()) continue;
        const Schedule fixed = default_schedule(task, target, rows, 1, Determinism::gpu_to_gpu);
        ASSERT_EQ(why_illegal(task, fixed, target, Determinism::gpu_to_gpu), "");
      }
    }
  }
}

TEST(Schedule, WhyIllegalNamesTheValues) {
  const Task forward = parse_task("forward/p5q4-A-c96-g8-f32-last");
  const Task backward = parse_task("backward.dx.da.db/p5q4-A-c96-g8-f32-last");
  const auto cpu = [](const Task& task, const char* text) {
    return why_illegal(task, parse_schedule(text, kCpu), kCpu);
  };
  const auto gpu = [](const Task& task, const char* text) {
    return why_illegal(task, parse_schedule(text, kGpu), kGpu);
  };
  EXPECT_EQ(cpu(forward, "v8_u1_r4_bcast_cached"), "");
  EXPECT_EQ(cpu(forward, "v3_u1_r4_bcast_cached"), "vector 3 is not 1, 2, 4, 8 or 16");
  EXPECT_EQ(cpu(forward, "v8_u9_r4_bcast_cached"), "unroll 9 is not in 1 to 8");
  EXPECT_EQ(cpu(forward, "v8_u1_r65_bcast_cached"), "rows 65 is not in 1 to 64");
  EXPECT_EQ(cpu(forward, "v8_u1_r4_cached"), "coefficients must be bcast or expand");
  EXPECT_EQ(cpu(forward, "v8_u1_r4_bcast"), "stores must be cached or nt");
  EXPECT_EQ(cpu(forward, "v8_u2_r4_expand_cached"),
            "expand takes one vector of columns: unroll must be 1");
  EXPECT_EQ(cpu(forward, "v8_u1_r4_bcast_run64_cached"), "run does not apply to forward");
  EXPECT_EQ(cpu(backward, "v8_u1_r4_bcast_split_cached"), "run is needed for backward of dx,da,db");
  EXPECT_EQ(cpu(backward, "v8_u1_r64_bcast_run32_split_cached"),
            "rows 64 of a block are more than a run of 32");
  EXPECT_EQ(cpu(parse_task("backward.da/p5q4-A-c96-g8-f32-last"), "v8_u1_r4_bcast_run64_split_nt"),
            "nt stores do not apply where no tensor is written");
  EXPECT_EQ(gpu(forward, "v4_r2_x3_y64_newton"), "");
  EXPECT_EQ(gpu(forward, "v3_r2_x24_y10_newton"), "columns 3 is not 1, 2, 4 or 8");
  EXPECT_EQ(gpu(forward, "v8_r2_x24_y10_newton"),
            "8 columns are 32 bytes, more than one access of 16");
  EXPECT_EQ(gpu(forward, "v4_r2_x64_y32_newton"),
            "tile 64 x 32 is 2048 threads; 1 to 1024 can be launched");
  EXPECT_EQ(gpu(forward, "v4_r2_x3_y64"), "division must be div, newton or approx");
  EXPECT_EQ(gpu(forward, "v4_r2_x2_y64_newton"),
            "tile_columns 2 neither divides nor is a multiple of a group's 3 threads");
  EXPECT_EQ(gpu(parse_task("forward/p5q4-A-c10-g1-f32-last"), "v4_r2_x1_y64_newton"),
            "4 columns do not divide the group width 10");
  EXPECT_EQ(gpu(backward, "v4_r4_x3_y64_newton_run18_twopass"),
            "run 18 is not a multiple of rows_in_flight 4");
  EXPECT_EQ(gpu(parse_task("forward/p5q4-A-c96-g8-f64-last"), "v2_r2_x6_y40_newton"),
            "f64 divides by div");
  EXPECT_EQ(gpu(forward, "v4_r2_x3_y64_packed_newton"),
            "packed needs sm_100 or later; the target is sm_90");
  const Target newest{"sm_100"};
  const auto on_newest = [&](const Task& task, std::string_view text) {
    return why_illegal(task, parse_schedule(text, newest), newest);
  };
  EXPECT_EQ(on_newest(forward, "v4_r2_x3_y64_packed_newton"), "");
  EXPECT_EQ(on_newest(forward, "v1_r2_x12_y16_packed_newton"),
            "packed needs pairs of columns, not 1");
  EXPECT_EQ(on_newest(parse_task("forward/p5q4-A-c768-g8-f32-last"), "v8_r2_x12_y16_newton"), "");
  EXPECT_EQ(on_newest(parse_task("forward/p5q4-A-c768-g8-f32-last"), "v8_r2_x12_y16_newton_ldcs"),
            "8 columns are 32 bytes, more than one access of 16");
  EXPECT_EQ(gpu(forward, "v4_r2_x3_y64_newton_f64acc"),
            "f64acc does not apply where nothing is summed");
  EXPECT_EQ(gpu(backward, "v4_r4_x3_y8_newton_run16_lastblock"),
            "lastblock adds by whole warps; the block has 24 threads");
  EXPECT_EQ(gpu(backward, "v4_r4_x3_y64_newton_run16_blockatomics"),
            "blockatomics adds in any order; it needs determinism not_guaranteed");
  EXPECT_EQ(why_illegal(backward, parse_schedule("v4_r4_x3_y64_newton_run16_programmatic", kGpu),
                        Target{"sm_80"}),
            "programmatic needs sm_90 or later; the target is sm_80");
  EXPECT_EQ(gpu(parse_task("backward.da/p5q4-A-c96-g8-f32-last"),
                "v4_r4_x3_y64_newton_run16_twopass_stcs"),
            "stcs does not apply where no tensor is written");
  EXPECT_EQ(why_illegal(forward, CpuSchedule{}, kGpu),
            "the schedule is for another kind of device");
}

TEST(Schedule, EveryParameterPrintsDifferently) {
  // Two schedules that differ in one field have different texts: winners and files depend on it.
  for (const Target& target : {kCpu, kGpu}) {
    const std::span<const Parameter> parameters = backend_of(target).parameters();
    Schedule one{.backend = &backend_of(target)};
    for (std::size_t i = 0; i < parameters.size(); ++i) one.values[i] = 1;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      Schedule two = one;
      two.values[i] = parameters[i].words.size() == 1 ? 0 : 2;
      EXPECT_NE(to_string(one), to_string(two)) << parameters[i].name;
    }
  }
}

// Class gpu_to_gpu: one schedule for a task, whatever the GPU, but for what moves memory.
TEST(Schedule, GpuToGpuIsTheSameOnEveryGpu) {
  const Task task = parse_task("backward.dx.da.db/p5q4-A-c96-g8-f32-last");
  constexpr Determinism kClass = Determinism::gpu_to_gpu;
  const Schedule fixed = default_schedule(task, Target{"sm_80"}, 1000, 1, kClass);
  for (const char* target : {"sm_75", "sm_90", "sm_100", "sm_121"}) {
    EXPECT_EQ(default_schedule(task, Target{target}, 5, 1, kClass), fixed) << target;
    EXPECT_EQ(why_illegal(task, fixed, Target{target}, kClass), "") << target;
  }
  CudaSchedule other = CudaSchedule(fixed);
  other.loads = 1;
  other.min_blocks = 2;
  EXPECT_EQ(why_illegal(task, other, kGpu, kClass), "");
  other.run *= 2;
  EXPECT_EQ(why_illegal(task, other, kGpu, kClass),
            "gpu_to_gpu fixes the schedule to " + to_string(Schedule([&] {
              CudaSchedule same = other;
              same.run /= 2;
              return same;
            }())));
}

TEST(Determinism, ByName) {
  EXPECT_EQ(parse_determinism("gpu_to_gpu"), Determinism::gpu_to_gpu);
  EXPECT_EQ(to_string(Determinism::run_to_run), "run_to_run");
  EXPECT_THROW(parse_determinism("exact"), Error);
}

// What bench/RESULTS.md found best by the width of a segment, with AVX-512.
TEST(Schedule, BackwardDefaultsTakeANarrowSegmentInAStep) {
  struct Case {
    const char* problem;
    std::int64_t rows;
    std::int64_t inner;
    const char* schedule;
  };
  const Case cases[] = {
      {"p5q4-A-c128-g8-f32-last", 1000, 1, "v16_u1_r16_bcast_run64_fused_cached_pf1@slice256"},
      {"p5q4-A-c256-g8-f32-last", 1000, 1, "v16_u2_r16_bcast_run64_fused_cached@slice256"},
      {"p5q4-A-c384-g8-f32-last", 1000, 1, "v16_u2_r16_bcast_run64_fused_cached@slice256"},
      {"p5q4-A-c512-g8-f32-last", 1000, 1, "v16_u4_r16_bcast_run64_fused_cached@slice256"},
      {"p5q4-A-c512-g8-f64-last", 1000, 1, "v8_u1_r8_bcast_run64_fused_cached_pf1@slice256"},
      {"p5q4-A-c768-g8-f32-last", 25216, 1, "v16_u1_r4_bcast_run64_fused_nt_pf2@slice256"},
      {"p5q4-A-c768-g8-f32-first", 8, 196, "v16_u4_r1_bcast_run64_fused_cached@slice256"},
      {"p5q4-A-c40-g1-f32-last", 1000, 1, "v16_u1_r16_expand_run64_fused_cached@slice256"},
  };
  const Target target = parse_target("x86-64-v4");
  for (const Case& c : cases) {
    const Task task = parse_task(std::string("backward.dx.da.db/") + c.problem);
    EXPECT_EQ(to_string(default_schedule(task, target, c.rows, c.inner)), c.schedule) << c.problem;
  }
}

}  // namespace
}  // namespace grkan
