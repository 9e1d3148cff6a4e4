// The CPU's cost model: one call worked out by hand on an invented CPU, laws that every prediction
// keeps, and counts beside the compiler's code.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <regex>
#include <string>
#include <vector>

#include "codegen/compiler.h"
#include "core/error.h"
#include "core/random_task.h"
#include "cpu/cost_model.h"
#include "cpu/schedule.h"
#include "tuner/space.h"

namespace grkan {
namespace {

// 1 GHz, and round figures.
CpuModel invented_cpu() {
  CpuModel cpu = cpu_model("avx2");
  cpu.name = "invented";
  const auto set = [&](Figure CpuModel::* figure, double value) {
    cpu.*figure = published(value, "invented");
  };
  for (const auto& field : cpu_figure_fields()) {
    (cpu.*field.figure).kind = FigureKind::published;
  }
  set(&CpuModel::clock_mhz, 1000);
  set(&CpuModel::instructions, 4);
  set(&CpuModel::window, 256);
  set(&CpuModel::pass_bytes, 16);
  set(&CpuModel::multiply_pipes, 2);
  set(&CpuModel::vector_pipes, 4);
  set(&CpuModel::division_clocks, 5);
  set(&CpuModel::division_multiplies, 2);
  set(&CpuModel::multiply_latency, 4);
  set(&CpuModel::division_latency, 12);
  set(&CpuModel::lines_in_flight, 16);
  set(&CpuModel::lines_to_learn, 32);
  set(&CpuModel::memory_latency_ns, 120);
  set(&CpuModel::read_gbs, 8);
  set(&CpuModel::write_gbs, 16);
  set(&CpuModel::launch_us, 3);
  set(&CpuModel::slice_us, 1);
  return cpu;
}

CpuWork work_of(const std::string& task, const std::string& schedule, const std::string& target,
                std::int64_t rows, const CpuModel& cpu, int threads = 1, std::int64_t inner = 1) {
  const Target t = parse_target(target);
  const Task parsed = parse_task(task);
  const Schedule s = parse_schedule(schedule, t);
  EXPECT_EQ(why_illegal(parsed, s, t), "") << task << " " << schedule;
  return {.task = parsed,
          .schedule = CpuSchedule(s),
          .target = t,
          .cpu = cpu,
          .rows = rows,
          .inner = inner,
          .threads = threads};
}

double ns_of(const std::string& task, const std::string& schedule, std::int64_t rows = 4096,
             int threads = 2) {
  return predict(work_of(task, schedule, "x86-64-v4", rows, cpu_model("zen4"), threads)).ns;
}

TEST(CpuCostModel, EachPartByHand) {
  // 64 rows of 64 columns: 8 vectors of 8 columns a row, 512 steps; each vector is 2 passes.
  const CpuWork work = work_of("forward/p2q1-N-c64-g1-f32-last", "v8_u1_r1_bcast_cached@slice256",
                               "x86-64-v3", 64, invented_cpu());
  const CpuFacts f = cpu_facts(work);
  // Two multiplications for P, one for Q, a division, a load, a store and the loop's 3.
  EXPECT_EQ(f.first.instructions, 512 * (3 + 1 + 1 + 1 + 3));
  EXPECT_EQ(f.first.multiplies, 512 * 3 * 2);
  EXPECT_EQ(f.first.divisions, 512 * 2);
  EXPECT_EQ(f.first.others, 0);
  EXPECT_EQ(f.first.conversions, 0);
  EXPECT_EQ(f.first.loads, 512 * 2);
  EXPECT_EQ(f.first.stores, 512 * 2);
  // 2 multiplications and a division one after another, 256 / 9 of them at once; the sum of an
  // element is none.
  EXPECT_NEAR(f.first.dependent_clocks, 512 * (2 * 4 + 12) * 9 / 256.0, 1e-9);
  EXPECT_EQ(f.second, CoreCounts{});
  // Each row is a block and reads 4 coefficients into vectors.
  EXPECT_EQ(f.between.instructions, 64 * (10 + 4) + 64 * 3 + 64 * 12);
  EXPECT_EQ(f.between.loads, 64 * 4);
  EXPECT_EQ(f.between.others, 64 * 4 * 2);
  // 16384 bytes are 256 lines; the first 32 are waited for. Stores read their lines as well.
  EXPECT_EQ(f.exposed_lines, 2 * 32);
  EXPECT_EQ(f.overwritten_lines, 32);
  EXPECT_EQ(f.streamed_lines, 2 * 224);
  EXPECT_EQ(f.written_lines, 256);
  EXPECT_EQ(f.stored_lines, 0);
  // Half a line a step, 256 / 9 steps at once.
  EXPECT_NEAR(f.lines_ahead, 256 / 9.0 / 2, 1e-9);
  EXPECT_EQ(f.slices, 1);
  EXPECT_EQ(f.busiest, 1);
  EXPECT_EQ(f.reduced, 0);

  const Prediction p = predict(work);
  EXPECT_NEAR(p.part_ns(Resource::issue), (4608 + 1856) / 4.0, 1e-6);
  EXPECT_NEAR(p.part_ns(Resource::fp32), (3072 + 2 * 1024) / 2.0, 1e-6);
  EXPECT_NEAR(p.part_ns(Resource::special), 5 * 1024, 1e-6);
  EXPECT_NEAR(p.part_ns(Resource::integer), (3072 + 2 * 1024 + 512) / 4.0, 1e-6);
  EXPECT_NEAR(p.part_ns(Resource::shared), (1024 + 128), 1e-6);  // stores; loads between
  EXPECT_NEAR(p.part_ns(Resource::dependencies), 360, 1e-6);
  EXPECT_NEAR(p.part_ns(Resource::dram), 448 * 64 / 8.0, 1e-6);
  EXPECT_NEAR(p.part_ns(Resource::latency), (32 / (256 / 18.0) + 32 / 16.0) * 120, 1e-6);
  EXPECT_NEAR(p.part_ns(Resource::launch), 4e3, 1e-6);
  EXPECT_EQ(p.part_ns(Resource::fp64), 0);
  EXPECT_EQ(p.part_ns(Resource::convert), 0);
  EXPECT_EQ(p.bound(), Resource::special);
  EXPECT_EQ(p.tail_ns, 0);
  EXPECT_NEAR(p.floor_ns, (16384 / 8.0 + 16384 / 16.0), 1e-6);
  EXPECT_TRUE(p.assumed.empty());

  // The loop's parts overlap, then those between loops, both add up; a stream beside them counts
  // by the cube, waiting by the ninth power.
  const auto root = [](std::vector<double> parts, double power) {
    double sum = 0;
    for (const double part : parts) sum += std::pow(part, power);
    return std::pow(sum, 1 / power);
  };
  const double loop = root({4608 / 4.0, 2560, 5120, 5120 / 4.0, 1024, 360}, 9);
  const double between = root({1856 / 4.0, 128, 128}, 9);
  const double streamed = root({3584, loop + between}, 3);
  const double waited = 3584 + (32 / (256 / 18.0) + 2) * 120;
  EXPECT_NEAR(p.ns, root({streamed, waited}, 9) + 4e3, 1e-3);
}

TEST(CpuCostModel, CountsAreThoseOfTheCode) {
  // Each of these kernels has one innermost loop, or one for each part of split; all vector
  // multiplications and divisions of the code are in them.
  const Target target = parse_target("x86-64-v4");
  const std::regex multiply(R"(\tv(mul|fn?m(add|sub)\d+)ps\t.*zmm)");
  const std::regex divide(R"(\tvdivps\t.*zmm)");
  const auto count = [](const std::string& text, const std::regex& what) {
    return double(std::distance(std::sregex_iterator(text.begin(), text.end(), what),
                                std::sregex_iterator()));
  };
  for (const Denominator& row : denominators()) {
    for (const std::string degrees : {"p5q4", "p3q2", "p2q6", "p7q1", "p4q0"}) {
      for (const std::string direction :
           {"forward", "backward.dx", "backward.da", "backward.db", "backward.dx.da.db"}) {
        const std::string text =
            fmt::format("{}/{}-{}-c64-g1-f32-last", direction, degrees, row.letter);
        const Task task = parse_task(text);
        for (const std::string sums : {"_run64_split", "_run64_fused"}) {
          const CpuWork work =
              work_of(text, "v16_u1_r1_bcast" + (task.sums() ? sums : "") + "_cached", "x86-64-v4",
                      1, cpu_model("zen4"));
          const CpuFacts f = cpu_facts(work);
          const std::string code = emit_cpu(task, work.schedule, target, "asm");
          // Four steps of two passes.
          const std::string where = text + (task.sums() ? sums : "");
          EXPECT_EQ((f.first.multiplies + f.second.multiplies) / 8, count(code, multiply)) << where;
          // A Q that is the same for every x may be inverted once, before the loop.
          const bool constant = row.first_power == 0 && degrees == "p4q0";
          EXPECT_EQ(f.first.divisions / 8, constant ? 1 : count(code, divide)) << where;
          if (!task.sums()) break;
        }
      }
    }
  }
}

CpuWork random_work(RandomGenerator& generator, std::int64_t rows) {
  const std::vector<std::string> targets = {"x86-64-v3", "x86-64-v4", "znver4", "aarch64"};
  CpuWork work;
  work.task = random_task(generator);
  work.target = parse_target(targets[generator() % targets.size()]);
  work.schedule = CpuSchedule(random_schedule(generator, work.task, work.target));
  work.cpu = cpu_models()[generator() % cpu_models().size()];
  work.rows = rows;
  const bool first = work.task.problem.layout == Layout::channels_first;
  work.inner = first ? std::int64_t(1 + generator() % 300) : 1;
  work.threads = int(1 + generator() % 64);
  return work;
}

TEST(CpuCostModel, EveryPredictionIsFiniteAndPositive) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  RandomGenerator generator(seed);
  for (int i = 0; i < 3000; ++i) {
    const CpuWork work = random_work(generator, std::int64_t(1 + generator() % 5000));
    const Prediction p = predict(work);
    const std::string where = to_string(work.task) + " " + to_string(Schedule(work.schedule)) +
                              fmt::format(" {} rows, {}", work.rows, work.target.name);
    ASSERT_TRUE(std::isfinite(p.ns) && p.ns > 0) << where;
    ASSERT_TRUE(std::isfinite(p.floor_ns) && p.floor_ns > 0) << where;
    ASSERT_GE(p.tail_ns, 0) << where;
    for (std::size_t r = 0; r < kResources; ++r) {
      ASSERT_TRUE(std::isfinite(p.parts_ns.at(r)) && p.parts_ns.at(r) >= 0)
          << where << " " << to_string(Resource(r));
      // No part takes longer than the whole, but for what the busiest thread has less of.
      ASSERT_LE(p.parts_ns.at(r), p.ns * (1 + 1e-9)) << where << " " << to_string(Resource(r));
    }
  }
}

TEST(CpuCostModel, TheWholeSpaceOfATask) {
  for (const std::string text :
       {"forward/p5q4-A-c768-g8-bf16-last", "backward.dx.da.db/p5q4-A-c96-g96-f32-last"}) {
    const Task task = parse_task(text);
    const Target target = parse_target("x86-64-v4");
    for (const Schedule& s :
         enumerate_space(task, target, Determinism::run_to_run, 1000).schedules) {
      const Prediction p = predict({.task = task,
                                    .schedule = CpuSchedule(s),
                                    .target = target,
                                    .cpu = cpu_model("zen4"),
                                    .rows = 1000,
                                    .inner = 1,
                                    .threads = 2});
      ASSERT_TRUE(std::isfinite(p.ns) && p.ns > p.floor_ns / 2) << to_string(s);
    }
  }
}

TEST(CpuCostModel, TwiceTheRowsTakeTwiceAsLong) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  RandomGenerator generator(seed);
  for (int i = 0; i < 500; ++i) {
    CpuWork work = random_work(generator, 1);
    work.threads = 1;
    // So many that calls and the ends of slices don't matter.
    work.rows = (std::int64_t{1} << 26) / (work.task.problem.channels * work.inner);
    const double once = predict(work).ns;
    work.rows *= 2;
    const double twice = predict(work).ns;
    const std::string where = to_string(work.task) + " " + to_string(Schedule(work.schedule));
    EXPECT_LE(twice / once, 2.1) << where;
    // In channels-first slices have few rows, and twice as many fill blocks better.
    const bool last = work.task.problem.layout == Layout::channels_last;
    EXPECT_GE(twice / once, last ? 1.9 : 1) << where;
  }
}

TEST(CpuCostModel, AFasterCpuIsNeverSlower) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  RandomGenerator generator(seed);
  // Figures of which more is better, and the others.
  const std::vector<Figure CpuModel::*> more = {
      &CpuModel::clock_mhz,     &CpuModel::instructions,    &CpuModel::window,
      &CpuModel::pass_bytes,    &CpuModel::multiply_pipes,  &CpuModel::vector_pipes,
      &CpuModel::convert_pipes, &CpuModel::load_pipes,      &CpuModel::store_pipes,
      &CpuModel::l1_bytes,      &CpuModel::lines_in_flight, &CpuModel::read_gbs,
      &CpuModel::write_gbs,     &CpuModel::bandwidth_gbs};
  const std::vector<Figure CpuModel::*> less = {
      &CpuModel::division_clocks,     &CpuModel::division_clocks_f64,
      &CpuModel::division_multiplies, &CpuModel::division_multiplies_f64,
      &CpuModel::multiply_latency,    &CpuModel::division_latency,
      &CpuModel::l2_line_clocks,      &CpuModel::memory_latency_ns,
      &CpuModel::launch_us,           &CpuModel::slice_us};
  for (int i = 0; i < 500; ++i) {
    const CpuWork work = random_work(generator, std::int64_t(1 + generator() % 5000));
    const double before = predict(work).ns;
    const auto scaled = [&](Figure CpuModel::* figure, double factor) {
      CpuWork other = work;
      (other.cpu.*figure).value *= factor;
      return predict(other).ns;
    };
    const std::string where = to_string(work.task) + " " + to_string(Schedule(work.schedule));
    for (const auto figure : more) {
      EXPECT_LE(scaled(figure, 2), before * (1 + 1e-9)) << where;
    }
    for (const auto figure : less) {
      EXPECT_LE(scaled(figure, 0.5), before * (1 + 1e-9)) << where;
    }
  }
}

TEST(CpuCostModel, MoreWorkIsNeverFaster) {
  const std::string s = "v8_u1_r1_bcast_run64_fused_cached@slice256";
  const double all = ns_of("backward.dx.da.db/p5q4-A-c768-g8-f32-last", s);
  EXPECT_GT(all, ns_of("backward.da/p5q4-A-c768-g8-f32-last", s));
  EXPECT_GT(all, ns_of("backward.dx.da.db/p4q3-A-c768-g8-f32-last", s));
  EXPECT_GT(all, ns_of("backward.dx.da.db/p5q4-A-c384-g4-f32-last", s));
  EXPECT_GT(all, ns_of("backward.dx/p5q4-A-c768-g8-f32-last", "v8_u1_r1_bcast_cached"));
  // Twice the bytes.
  EXPECT_LT(all, ns_of("backward.dx.da.db/p5q4-A-c768-g8-f64-last", s));
}

TEST(CpuCostModel, MoreThreadsShareTheWork) {
  constexpr std::int64_t kManyRows = 1 << 16;
  const std::string task = "backward.dx.da.db/p5q4-A-c768-g8-f32-last";
  const std::string s = "v16_u1_r4_bcast_run64_fused_nt_pf2@slice64";
  double before = ns_of(task, s, kManyRows, 1);
  for (const int threads : {2, 3, 4, 8, 16}) {
    const double now = ns_of(task, s, kManyRows, threads);
    EXPECT_LT(now, before);
    EXPECT_GT(now, ns_of(task, s, kManyRows, 1) / threads);
    before = now;
  }
  // 128 rows are cut into 16 slices at most: 3 threads have 6, 5 and 5.
  const CpuWork work = work_of(task, s, "x86-64-v4", 1024, cpu_model("zen4"), 3);
  const CpuFacts f = cpu_facts(work);
  EXPECT_EQ(f.slices, 16);
  EXPECT_NEAR(f.busiest, 6 / 16.0, 1e-12);
  EXPECT_GT(predict(work).tail_ns, 0);
  // 17 slices of 60 rows at most, the last of 4: two threads differ by that.
  EXPECT_NEAR(cpu_facts(work_of(task, s, "x86-64-v4", 964, cpu_model("zen4"), 2)).busiest, 0.5,
              0.04);
}

// What the microbenchmarks behind the figures say (docs/prediction.md).
TEST(CpuCostModel, RowsSideBySideAreLearntAnew) {
  const std::string task = "backward.dx.da.db/p5q4-A-c384-g8-f32-last";  // rows of 24 lines
  const auto facts = [&](const std::string& schedule) {
    return cpu_facts(work_of(task, schedule, "x86-64-v4", 4096, cpu_model("zen4"), 2));
  };
  // Read one after another, only a slice's first lines are waited for; side by side, all.
  const CpuFacts one = facts("v16_u1_r1_bcast_run64_fused_nt@slice256");
  const CpuFacts four = facts("v16_u1_r4_bcast_run64_fused_nt@slice256");
  EXPECT_EQ(one.exposed_lines, 2 * 32 * one.slices);
  EXPECT_EQ(four.exposed_lines, 2 * 24 * 4096);
  EXPECT_EQ(one.exposed_lines + one.streamed_lines, four.exposed_lines + four.streamed_lines);
  // What the schedule asks for ahead is not waited for; but for the first rows of a slice.
  const CpuFacts ahead = facts("v16_u1_r4_bcast_run64_fused_nt_pf1@slice256");
  EXPECT_NEAR(ahead.requested_lines, (1 - 4 / 256.0) * ahead.exposed_lines, 1e-6);
  EXPECT_EQ(four.requested_lines, 0);
  // 16 rows ahead, 4 blocks: 196 KB are past the first cache, 64 rows of 12 KB past half of L2.
  EXPECT_EQ(ahead.evicted_lines, 0);
  EXPECT_GT(facts("v16_u1_r16_bcast_run64_fused_nt_pf4@slice256").evicted_lines, 0);
  EXPECT_EQ(cpu_facts(work_of("backward.dx.da.db/p5q4-A-c3072-g8-f32-last",
                              "v16_u1_r16_bcast_run64_fused_nt_pf4@slice256", "x86-64-v4", 4096,
                              cpu_model("zen4"), 2))
                .requested_lines,
            0);
}

TEST(CpuCostModel, StoresPastTheCaches) {
  const auto facts = [](const std::string& problem, const std::string& schedule) {
    return cpu_facts(work_of("forward/" + problem, schedule, "x86-64-v4", 1024, cpu_model("zen4")));
  };
  const double lines = 1024 * 768 * 4 / 64.0;
  const CpuFacts past = facts("p5q4-A-c768-g8-f32-last", "v16_u1_r1_bcast_nt");
  EXPECT_EQ(past.stored_lines, lines);
  EXPECT_EQ(past.written_lines, 0);
  const CpuFacts cached = facts("p5q4-A-c768-g8-f32-last", "v16_u1_r1_bcast_cached");
  EXPECT_EQ(cached.stored_lines, 0);
  EXPECT_EQ(cached.written_lines, lines);
  // Segments of 24 columns don't begin at whole vectors of 16: the kernel stores as usual.
  EXPECT_EQ(facts("p5q4-A-c768-g32-f32-last", "v16_u1_r1_bcast_nt").stored_lines, 0);
  EXPECT_EQ(facts("p5q4-A-c768-g32-f32-last", "v4_u1_r1_bcast_nt").stored_lines, lines);
  // Vectors of half a line, left for another row before the line is done.
  EXPECT_EQ(facts("p5q4-A-c768-g8-bf16-last", "v16_u1_r4_expand_nt").stored_lines, lines / 2 * 2);
  EXPECT_EQ(facts("p5q4-A-c768-g8-bf16-last", "v16_u1_r1_expand_nt").stored_lines, lines / 2);
}

TEST(CpuCostModel, WhatIsKnownOfACpu) {
  EXPECT_EQ(cpu_model_for(parse_target("x86-64-v4"), "AMD EPYC 9B14").name, "zen4");
  EXPECT_EQ(cpu_model_for(parse_target("znver4"), "").name, "zen4");
  EXPECT_EQ(cpu_model_for(parse_target("x86-64-v4"), "Intel(R) Xeon(R) 8481C").name, "avx512");
  EXPECT_EQ(cpu_model_for(parse_target("x86-64-v3"), "AMD EPYC 7B13").name, "avx2");
  EXPECT_EQ(cpu_model_for(parse_target("aarch64"), "aarch64").name, "neon");
  EXPECT_THROW(cpu_model_for(parse_target("sm_90"), "AMD EPYC"), Error);
  try {
    cpu_model("z80");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "unknown CPU model 'z80'; use one of zen4, avx512, avx2, neon");
  }
  // A figure has a source, and one that is not known of the CPU itself is assumed; predictions
  // say which of them they rest on.
  for (const CpuModel& cpu : cpu_models()) {
    for (const auto& field : cpu_figure_fields()) {
      EXPECT_GT((cpu.*field.figure).value, 0) << cpu.name << " " << field.name;
      EXPECT_FALSE((cpu.*field.figure).source.empty()) << cpu.name << " " << field.name;
      if (cpu.name != "zen4") {
        EXPECT_EQ((cpu.*field.figure).kind, FigureKind::assumed) << cpu.name << " " << field.name;
      }
    }
  }
  const CpuWork work = work_of("forward/p5q4-A-c768-g8-f32-last", "v8_u1_r1_bcast_cached",
                               "x86-64-v3", 1024, cpu_model("avx2"));
  const std::vector<std::string> assumed = predict(work).assumed;
  EXPECT_NE(std::find(assumed.begin(), assumed.end(), "clock_mhz: typical of cores with AVX2"),
            assumed.end());
}

}  // namespace
}  // namespace grkan
