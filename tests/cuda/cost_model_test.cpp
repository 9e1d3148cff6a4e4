// The cost model: cases worked out by hand on an invented GPU, laws that every prediction keeps,
// and bandwidths that others measured.
#include "cuda/cost_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/error.h"
#include "cuda/launch.h"

namespace grkan {
namespace {

using nlohmann::json;

// Ten multiprocessors at 1 GHz, 100 GB/s, 100 ns.
GpuModel invented_gpu() {
  GpuModel gpu = gpu_model("h200");
  gpu.name = "invented";
  const auto set = [&](Figure GpuModel::* figure, double value) {
    gpu.*figure = {value, FigureKind::published, "invented"};
  };
  for (const FigureField& field : figure_fields()) {
    (gpu.*field.figure).kind = FigureKind::published;
  }
  set(&GpuModel::multiprocessors, 10);
  set(&GpuModel::clock_mhz, 1000);
  set(&GpuModel::bandwidth_gbs, 100);
  set(&GpuModel::bandwidth_reached, 0.8);
  set(&GpuModel::l2_bandwidth_gbs, 1000);
  set(&GpuModel::memory_latency_ns, 100);
  set(&GpuModel::launch_us, 2);
  set(&GpuModel::atomic_clocks, 4);
  return gpu;
}

// Eight resident blocks of 128 threads on each multiprocessor, one wave, nothing to do.
LaunchFacts one_wave() {
  LaunchFacts f;
  f.kernel = "k";
  f.executed = true;
  f.blocks = 80;
  f.threads = 128;
  f.resident_blocks = 8;
  return f;
}

Prediction predict_one(const LaunchFacts& f, const GpuModel& gpu = invented_gpu()) {
  return predict(std::vector{f}, gpu);
}

constexpr double kLaunch = 2e3 + 0.9e3;  // and its blocks start and end
constexpr double kMemset = 2e3;
constexpr double kEarly = 1.6e3;  // launched while the one before ends

TEST(CostModel, MemoryBound) {
  LaunchFacts f = one_wave();
  f.dram_bytes = 80e6;  // 1 ms at 80 GB/s
  const Prediction p = predict_one(f);
  EXPECT_NEAR(p.ns, 1e6 + kLaunch, 1e-3);
  EXPECT_EQ(p.bound(), Resource::dram);
  EXPECT_NEAR(p.floor_ns, 0.8e6, 1e-3);
  EXPECT_NEAR(p.fraction_of_floor(), 0.8 / 1.0029, 1e-9);
  EXPECT_NEAR(p.tail_ns, 0, 1e-3);
  EXPECT_TRUE(p.executed);
  EXPECT_TRUE(p.assumed.empty());
}

TEST(CostModel, PartsOfSectorsTakeWholeOnes) {
  LaunchFacts f = one_wave();
  f.dram_bytes = 80e6;
  f.sectors = 5e6;  // of 32 bytes: twice as many
  EXPECT_NEAR(predict_one(f).part_ns(Resource::dram), 2e6, 1e-3);
  f.sectors = 1e6;  // the rest was counted elsewhere
  EXPECT_NEAR(predict_one(f).part_ns(Resource::dram), 1e6, 1e-3);
  f.dram_bytes = 0;  // all in L2
  EXPECT_EQ(predict_one(f).part_ns(Resource::dram), 0);
}

TEST(CostModel, TooFewBytesAhead) {
  // 10240 threads ask for 16 bytes at a time: 80e6 bytes take 488.28 latencies, and 1 ms of DRAM.
  LaunchFacts f = one_wave();
  f.dram_bytes = f.streamed_bytes = 80e6;
  f.bytes_ahead = 16;
  const double latency = 80e6 / (10240 * 16) * 100;
  const Prediction p = predict_one(f);
  EXPECT_NEAR(p.part_ns(Resource::latency), latency, 1e-3);
  EXPECT_NEAR(p.ns, std::hypot(1e6, latency) + kLaunch, 1e-3);
  // A round trip to L2 in each block, and five at the end.
  f.round_trips = 1;
  f.last_round_trips = 5;
  EXPECT_NEAR(predict_one(f).ns, std::hypot(1e6, latency + 50) + kLaunch + 250, 1e-3);
}

TEST(CostModel, IssueBound) {
  LaunchFacts f = one_wave();
  f.instructions.other = 40e6;  // 4e6 on each multiprocessor, 4 a clock
  f.independent = 1e9;
  const Prediction p = predict_one(f);
  // 125e3 of each warp, one in two clocks.
  EXPECT_NEAR(p.part_ns(Resource::dependencies), 250e3, 1e-3);
  EXPECT_NEAR(p.ns, std::hypot(1e6, 250e3) + kLaunch, 1e-3);
  EXPECT_EQ(p.bound(), Resource::issue);
}

TEST(CostModel, EveryPipeHasItsRate) {
  // 1e6 warp instructions on each multiprocessor are 32e6 results.
  struct Case {
    double WarpInstructions::* pipe;
    Resource resource;
    double lanes;
  };
  for (const Case& c : {Case{&WarpInstructions::fp32, Resource::fp32, 128},
                        {&WarpInstructions::fp64, Resource::fp64, 64},
                        {&WarpInstructions::special, Resource::special, 16},
                        {&WarpInstructions::convert, Resource::convert, 16},
                        {&WarpInstructions::integer, Resource::integer, 64}}) {
    LaunchFacts f = one_wave();
    f.instructions.*c.pipe = 10e6;
    EXPECT_NEAR(predict_one(f).part_ns(c.resource), 32e6 / c.lanes, 1e-3);
  }
  // A pair is one instruction on sm_100 and two elsewhere, and always twice the arithmetic.
  LaunchFacts f = one_wave();
  f.instructions.packed = 10e6;
  GpuModel gpu = invented_gpu();
  EXPECT_NEAR(predict_one(f, gpu).part_ns(Resource::issue), 0.5e6, 1e-3);
  gpu.compute_capability = 100;
  EXPECT_NEAR(predict_one(f, gpu).part_ns(Resource::issue), 0.25e6, 1e-3);
  EXPECT_NEAR(predict_one(f, gpu).part_ns(Resource::fp32), 0.5e6, 1e-3);
  // Shared memory and the first-level cache: 128 bytes a clock.
  f = one_wave();
  f.shared_passes = 10e6;
  f.sectors = 40e6;
  EXPECT_NEAR(predict_one(f).part_ns(Resource::shared), 2e6, 1e-3);
  EXPECT_NEAR(predict_one(f).part_ns(Resource::l2), 40e6 * 32 / 1000.0, 1e-3);
}

TEST(CostModel, DependenciesWithOneWarp) {
  // A warp alone issues one instruction in four clocks, with two chains three, never under two.
  LaunchFacts f = one_wave();
  f.blocks = 10;
  f.threads = 32;
  f.instructions.other = 10e6;
  EXPECT_NEAR(predict_one(f).part_ns(Resource::dependencies), 4e6, 1e-3);
  EXPECT_EQ(predict_one(f).bound(), Resource::dependencies);
  f.independent = 2;
  EXPECT_NEAR(predict_one(f).part_ns(Resource::dependencies), 3e6, 1e-3);
  // What a thread waits for, and what it computes then, follow one another.
  f.streamed_bytes = 320 * 16 * 1000.0;
  f.bytes_ahead = 16;
  EXPECT_NEAR(predict_one(f).ns, std::hypot(0.25e6, 3e6 + 1e5) + kLaunch, 1);
}

TEST(CostModel, AtomicsOnOneLine) {
  LaunchFacts f = one_wave();
  f.atomic_passes = f.most_line_passes = 1e6;  // four clocks each, one after another
  const Prediction p = predict_one(f);
  EXPECT_NEAR(p.ns, 4e6 + kLaunch, 1e-3);
  EXPECT_EQ(p.bound(), Resource::atomics);
  // Spread: 1000 GB/s at 1 GHz are 31.25 units of 32 bytes.
  f.most_line_passes = 0;
  EXPECT_NEAR(predict_one(f).part_ns(Resource::atomics), 4e6 / 31.25, 1e-3);
}

TEST(CostModel, ATailOfOneBlock) {
  // One block more than a wave: its multiprocessor has work for as long as a block takes alone.
  LaunchFacts f = one_wave();
  f.instructions.other = 80 * 4e4;  // a block: 4e4 instructions, 1e4 clocks; a warp: 2e4 clocks
  f.independent = 1e9;
  const double wave = std::hypot(8 * 1e4, 2e4);
  EXPECT_NEAR(predict_one(f).ns, wave + kLaunch, 1e-3);
  const LaunchFacts more = scaled(f, 81.0 / 80);
  const Prediction p = predict_one(more);
  const double last = std::hypot(1e4, 2e4);
  EXPECT_NEAR(p.ns, wave + last + kLaunch, 1e-3);
  EXPECT_NEAR(p.tail_ns, wave + last - wave * 81 / 80, 1e-3);
  // Half a wave too many latencies: two rounds in place of one and a half.
  f = one_wave();
  f.streamed_bytes = 10240 * 16 * 1000.0;
  f.bytes_ahead = 16;
  EXPECT_NEAR(predict_one(scaled(f, 1.5)).ns, 2 * 1e5 + kLaunch, 1e-3);
}

TEST(CostModel, ATinyCallIsItsLaunches) {
  LaunchFacts f = one_wave();
  f.dram_bytes = 800;
  LaunchFacts second = f;
  LaunchFacts memset;
  memset.executed = true;
  Prediction p = predict(std::vector{memset, f, second}, invented_gpu());
  EXPECT_EQ(p.bound(), Resource::launch);
  EXPECT_NEAR(p.ns, kMemset + 2 * kLaunch + 20, 1e-3);
  second.programmatic = true;
  p = predict(std::vector{memset, f, second}, invented_gpu());
  EXPECT_NEAR(p.ns, kMemset + kLaunch + kEarly + 20, 1e-3);
  EXPECT_EQ(predict({}, invented_gpu()).ns, 0);
}

// Random facts of all sizes.
LaunchFacts random_facts(std::mt19937_64& random) {
  const auto any = [&](double most) {
    return std::exp(std::uniform_real_distribution(0.0, std::log(most))(random));
  };
  LaunchFacts f;
  f.kernel = "k";
  f.blocks = std::floor(any(1e5));
  f.threads = 32 * int(1 + random() % 32);
  f.resident_blocks = int(1 + random() % 16);
  for (double WarpInstructions::* pipe :
       {&WarpInstructions::fp32, &WarpInstructions::packed, &WarpInstructions::fp64,
        &WarpInstructions::special, &WarpInstructions::convert, &WarpInstructions::integer,
        &WarpInstructions::memory, &WarpInstructions::other}) {
    f.instructions.*pipe = any(1e9);
  }
  f.independent = any(8);
  f.streamed_bytes = any(1e10);
  f.dram_bytes = f.streamed_bytes + any(1e10);
  f.bytes_ahead = any(256);
  f.sectors = any(1e9);
  f.requests = any(1e8);
  f.round_trips = any(10);
  f.last_round_trips = any(100);
  f.shared_passes = any(1e8);
  f.most_line_passes = any(1e7);
  f.atomic_passes = f.most_line_passes + any(1e7);
  return f;
}

TEST(CostModel, MoreWorkIsNeverFaster) {
  constexpr std::uint64_t kSeed = 20261125;
  std::mt19937_64 random(kSeed);
  for (int n = 0; n < 2000; ++n) {
    const GpuModel& gpu = gpu_models()[random() % gpu_models().size()];
    const LaunchFacts f = random_facts(random);
    const Prediction before = predict_one(f, gpu);
    ASSERT_TRUE(std::isfinite(before.ns) && before.ns > 0) << "seed " << kSeed;
    EXPECT_GE(before.tail_ns, -1e-9 * before.ns) << "seed " << kSeed << ", " << n;
    // No part alone takes longer than the whole.
    for (const double part : before.parts_ns) {
      EXPECT_LE(part, before.ns * (1 + 1e-9)) << "seed " << kSeed << ", " << n;
    }
    const auto slower = [&](const auto& change, const char* what) {
      LaunchFacts more = f;
      change(more);
      EXPECT_GE(predict_one(more, gpu).ns, before.ns * (1 - 1e-12))
          << what << ", seed " << kSeed << ", " << n;
    };
    for (double LaunchFacts::* count :
         {&LaunchFacts::dram_bytes, &LaunchFacts::streamed_bytes, &LaunchFacts::sectors,
          &LaunchFacts::requests, &LaunchFacts::round_trips, &LaunchFacts::last_round_trips,
          &LaunchFacts::shared_passes, &LaunchFacts::atomic_passes,
          &LaunchFacts::most_line_passes}) {
      slower([&](LaunchFacts& more) { more.*count *= 1.5; }, "a count");
    }
    slower([](LaunchFacts& more) { more.instructions.fp32 *= 2; }, "fp32");
    slower([](LaunchFacts& more) { more.instructions.other *= 2; }, "other");
    slower([](LaunchFacts& more) { more.bytes_ahead /= 2; }, "bytes ahead");
    slower([](LaunchFacts& more) { more = scaled(more, 2); }, "blocks");
  }
}

TEST(CostModel, WhatRestsOnAssumedFiguresSaysSo) {
  LaunchFacts f = one_wave();
  f.dram_bytes = 1e6;
  f.instructions.fp32 = 1e3;
  GpuModel gpu = invented_gpu();
  EXPECT_TRUE(predict_one(f, gpu).assumed.empty());
  gpu.clock_mhz = {1000, FigureKind::assumed, "a guess"};
  gpu.fp64_lanes = {2, FigureKind::assumed, "not used"};
  EXPECT_EQ(predict_one(f, gpu).assumed, std::vector<std::string>{"clock_mhz: a guess"});
  for (const GpuModel& model : gpu_models()) {
    bool assumed = false;
    for (const std::string& text : predict_one(f, model).assumed) {
      assumed = assumed || text.starts_with("launch_us") || text.starts_with("clock_mhz");
    }
    EXPECT_EQ(assumed, model.launch_us.kind == FigureKind::assumed ||
                           model.clock_mhz.kind == FigureKind::assumed)
        << model.name;
  }
}

// Reads of 8 bytes by so many threads on a V100 (80 multiprocessors, 1380 MHz, 428 clocks): the
// column sum1 of cuda-stream in te42kyfo/gpu-benches, GB/s.
TEST(CostModel, BandwidthByThreadsAsMeasured) {
  GpuModel v100 = invented_gpu();
  v100.multiprocessors.value = 80;
  v100.clock_mhz.value = 1380;
  v100.bandwidth_gbs.value = 900;
  v100.bandwidth_reached.value = 0.99;  // 891 at the most
  v100.memory_latency_ns.value = 310;
  struct Measured {
    double threads;
    double gbs;
  };
  for (const Measured m : {Measured{10240, 227.6},
                           {20480, 418.6},
                           {40960, 680.6},
                           {61440, 791.8},
                           {81920, 833.5},
                           {163840, 878.9}}) {
    LaunchFacts f;
    f.blocks = m.threads / 128;
    f.threads = 128;
    f.resident_blocks = 16;
    f.dram_bytes = f.streamed_bytes = 8e9;
    f.bytes_ahead = 8;
    const double gbs = 8e9 / predict_one(f, v100).ns;
    EXPECT_NEAR(gbs / m.gbs, 1, 0.12) << m.threads << " threads: " << gbs;
  }
}

// A report of these launches, each with the counts of `blocks` blocks that do the same.
json report_of(std::int64_t x, std::int64_t y, int threads) {
  const double blocks = double(x) * double(y);
  return {{"kernel", "grkan_fwd"},
          {"grid", {x, y, 1}},
          {"block", {threads, 1, 1}},
          {"resident_blocks", 4},
          {"counts",
           {{"instructions", 3200 * blocks},
            {"warp_instructions", 125 * blocks},
            {"classes",
             {{"fma", 1600 * blocks},
              {"fma f64", 160 * blocks},
              {"sign", 320 * blocks},
              {"move", 64 * blocks},
              {"branch", 160 * blocks},
              {"float division", 32 * blocks},
              {"global load", 928 * blocks}}},
            {"loads", {{"requests", 29 * blocks}, {"sectors", 464 * blocks}}},
            {"stores", {{"requests", 1 * blocks}, {"sectors", 16 * blocks}}},
            {"shared_requests", 10 * blocks},
            {"bank_conflicts", 2 * blocks},
            {"atomic_passes", 8 * blocks},
            {"most_line_passes", 4 * blocks}}}};
}

TEST(LaunchFacts, OfAReport) {
  const LaunchFacts f = launch_facts(report_of(2, 3, 192));
  EXPECT_EQ(f.kernel, "grkan_fwd");
  EXPECT_TRUE(f.executed);
  EXPECT_EQ(f.blocks, 6);
  EXPECT_EQ(f.threads, 192);
  EXPECT_EQ(f.resident_blocks, 4);
  // 3200 lanes of 125 warps: a lane stands for 0.0390625 warp instructions.
  EXPECT_DOUBLE_EQ(f.instructions.fp32, 6 * (1600 + 10 * 32) * 0.0390625);
  EXPECT_DOUBLE_EQ(f.instructions.fp64, 6 * 160 * 0.0390625);
  EXPECT_DOUBLE_EQ(f.instructions.special, 6 * 32 * 0.0390625);
  EXPECT_DOUBLE_EQ(f.instructions.memory, 6 * 928 * 0.0390625);
  EXPECT_DOUBLE_EQ(f.instructions.other, 6 * 160 * 0.0390625);
  EXPECT_EQ(f.sectors, 6 * 480);
  EXPECT_EQ(f.requests, 6 * 30);
  EXPECT_EQ(f.shared_passes, 6 * 12);
  EXPECT_EQ(f.atomic_passes, 6 * 8);
  EXPECT_EQ(f.most_line_passes, 6 * 4);
  for (const json& junk : {json(), json(7), json::object(), json::array({1})}) {
    EXPECT_THROW(launch_facts(junk), Error);
  }
}

GpuCall call_of(const char* task, const char* schedule, std::int64_t rows, const char* gpu) {
  GpuCall call;
  call.task = parse_task(task);
  call.gpu = gpu_model(gpu);
  const Target target{fmt::format("sm_{}", call.gpu.compute_capability)};
  call.schedule = CudaSchedule(std::string_view(schedule) == "default"
                                   ? default_schedule(call.task, target, rows)
                                   : parse_schedule(schedule, target));
  call.rows = rows;
  return call;
}

TEST(LaunchFacts, ASampleHasTheBlocksOfTheCall) {
  for (const char* gpu : {"h200", "t4", "rtx4060ti"}) {
    for (const std::int64_t channels : {192, 768, 3072}) {
      for (const std::int64_t rows : {1, 7, 1000, 25216, 201728}) {
        for (const char* direction : {"forward", "backward.dx.da.db"}) {
          const GpuCall call =
              call_of(fmt::format("{}/p5q4-A-c{}-g8-f32-last", direction, channels).c_str(),
                      "default", rows, gpu);
          const SampleShape sample = sample_shape(call);
          const auto launch = [&](std::int64_t of_rows, int multiprocessors) {
            return cuda_launch(call.task, call.schedule, of_rows, 1, multiprocessors);
          };
          const CudaLaunch whole = launch(rows, int(call.gpu.multiprocessors.value));
          const CudaLaunch part = launch(sample.rows, sample.multiprocessors);
          EXPECT_EQ(part.grid_x, whole.grid_x);
          const double block_rows =
              std::min(double(rows) / whole.grid_y, 64.0 * std::max(1, call.schedule.tile_rows));
          EXPECT_NEAR(double(sample.rows) / part.grid_y, block_rows, 0.02 * block_rows)
              << gpu << ' ' << channels << ' ' << rows << ' ' << direction;
          EXPECT_LE(part.grid_y, whole.grid_y);
          if (rows > 2000) {  // a small call is its own sample
            EXPECT_LE(part.grid_y, 8U) << gpu << ' ' << channels << ' ' << rows;
          }
        }
      }
    }
  }
}

TEST(LaunchFacts, OfASampleAreThoseOfTheCall) {
  const GpuCall call =
      call_of("forward/p5q4-A-c768-g8-f32-last", "v4_r2_x48_y4_newton@blocks4", 25216, "h200");
  const SampleShape sample = sample_shape(call);
  const auto facts_for = [&](const SampleShape& shape) {
    const CudaLaunch launch =
        cuda_launch(call.task, call.schedule, shape.rows, 1, shape.multiprocessors);
    return executed_facts(call, shape, json::array({report_of(launch.grid_x, launch.grid_y, 192)}));
  };
  const LaunchFacts of_sample = facts_for(sample).at(0);
  const LaunchFacts of_call = facts_for({25216, 132}).at(0);
  EXPECT_LT(sample.rows, 1000);
  EXPECT_NEAR(of_sample.instructions.fp32, of_call.instructions.fp32, 1e-9);
  EXPECT_EQ(of_sample.blocks, of_call.blocks);
  EXPECT_EQ(of_call.dram_bytes, 25216.0 * 768 * 8);
  EXPECT_EQ(of_call.streamed_bytes, 25216.0 * 768 * 4);
  EXPECT_EQ(of_call.bytes_ahead, 2 * 4 * 4);
  // What was executed is not what is told.
  const json one = json::array({report_of(1, 1, 192)});
  EXPECT_THROW(executed_facts(call, sample, one), Error);
  EXPECT_THROW(executed_facts(call, {sample.rows * 2, sample.multiprocessors}, one), Error);
  EXPECT_THROW(executed_facts(call, sample, json::array()), Error);
  EXPECT_THROW(executed_facts(call, sample, json("junk")), Error);
}

TEST(LaunchFacts, LongBlocksAreSampledShort) {
  // One row block of 25216 rows, 8 rows of threads: 64 rows of each thread are enough. What a block
  // adds atomically it adds once.
  const GpuCall call = call_of("backward.dx.da.db/p5q4-A-c3072-g8-f32-last",
                               "v1_r2_x8_y8_newton_run16_blockatomics@blocks1", 25216, "h200");
  const SampleShape sample = sample_shape(call);
  EXPECT_EQ(sample.rows, 512);
  const CudaLaunch launch =
      cuda_launch(call.task, call.schedule, sample.rows, 1, sample.multiprocessors);
  ASSERT_EQ(launch.grid_y, 1U);
  const json report = json::array({report_of(launch.grid_x, 1, 64)});
  const LaunchFacts f = executed_facts(call, sample, report).at(2);
  const LaunchFacts one = launch_facts(report[0]);
  EXPECT_NEAR(f.instructions.fp32, one.instructions.fp32 * 25216 / 512, 1);
  EXPECT_NEAR(f.sectors, one.sectors * 25216 / 512, 1);
  EXPECT_NEAR(f.atomic_passes, one.atomic_passes, 1e-6);
  EXPECT_NEAR(f.most_line_passes, one.most_line_passes, 1e-6);
  EXPECT_EQ(f.blocks, 384);
}

TEST(LaunchFacts, SumsHaveTheirLaunches) {
  const auto launches = [](const char* sums) {
    const GpuCall call =
        call_of("backward.dx.da.db/p5q4-A-c768-g8-f32-last",
                fmt::format("v4_r2_x48_y4_newton_run16_{}@blocks4", sums).c_str(), 25216, "h200");
    const CudaLaunch launch = cuda_launch(call.task, call.schedule, 25216, 1, 132);
    json report = json::array({report_of(launch.grid_x, launch.grid_y, 192)});
    if (launch.second_pass_blocks > 0) {
      report.push_back(report_of(launch.second_pass_blocks, 1, int(launch.second_pass_threads)));
    }
    return executed_facts(call, {25216, 132}, report);
  };
  ASSERT_EQ(launches("twopass").size(), 2U);
  EXPECT_FALSE(launches("twopass")[1].programmatic);
  EXPECT_TRUE(launches("programmatic").at(1).programmatic);
  EXPECT_EQ(launches("lastblock").size(), 2U);  // memset
  EXPECT_EQ(launches("lastblock")[0].blocks, 0);
  EXPECT_GT(launches("lastblock")[1].last_round_trips, 10);
  EXPECT_EQ(launches("blockatomics").size(), 3U);
}

TEST(LaunchFacts, OfCode) {
  const GpuCall call =
      call_of("forward/p5q4-A-c768-g8-f32-last", "v4_r2_x48_y4_newton@blocks4", 25216, "h200");
  json counts = {{"launches",
                  {{{"kernel", "k"},
                    {"counted", "sass"},
                    {"registers", 40},
                    {"shared_bytes", 0},
                    {"opcodes",
                     {{"FFMA.FTZ", 100.0},
                      {"FFMA2", 7.0},
                      {"MUFU.RCP", 10.0},
                      {"LDG.E.128", 20.0},
                      {"LDS.64", 5.0},
                      {"F2FP.BF16.PACK_AB", 3.0},
                      {"LOP3.LUT", 8.0},
                      {"BRA", 2.0}}}}}},
                 {"why", nullptr}};
  LaunchFacts f = static_facts(call, counts).at(0);
  EXPECT_FALSE(f.executed);
  EXPECT_EQ(f.instructions, (WarpInstructions{.fp32 = 100,
                                              .packed = 7,
                                              .special = 10,
                                              .convert = 3,
                                              .integer = 8,
                                              .memory = 25,
                                              .other = 2}));
  EXPECT_EQ(f.requests, 20);
  EXPECT_EQ(f.shared_passes, 10);
  EXPECT_EQ(f.resident_blocks, 8);  // 192 threads of 40 registers
  EXPECT_EQ(f.sectors, 25216.0 * 768 * 8 / 32);
  counts["launches"][0]["counted"] = "ptx";
  counts["launches"][0]["opcodes"] = {{"fma.rn.f32", 100.0}, {"ld.global.v4.f32", 20.0}};
  f = static_facts(call, counts).at(0);
  EXPECT_EQ(f.instructions, (WarpInstructions{.fp32 = 100, .memory = 20}));
  EXPECT_EQ(f.requests, 20);
  // No counts, with the reason; no room on a multiprocessor; junk.
  counts["launches"][0]["registers"] = 400;
  EXPECT_THROW(static_facts(call, counts), Error);
  counts = {{"launches", nullptr}, {"why", "loops"}};
  try {
    static_facts(call, counts);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), Status::unsupported);
    EXPECT_NE(std::string(error.what()).find("loops"), std::string::npos);
  }
  EXPECT_THROW(static_facts(call, json(3)), Error);
}

json counts_of(const json& opcodes) {
  return {{"launches",
           {{{"kernel", "k"},
             {"counted", "sass"},
             {"registers", 40},
             {"shared_bytes", 0},
             {"opcodes", opcodes}}}},
          {"why", nullptr}};
}

// Sectors of a tensor that the warps of one row of tiles touch, each warp's counted once.
std::size_t touched(const GpuCall& call, std::int64_t size) {
  const CudaSchedule& s = call.schedule;
  const std::int64_t row = call.task.problem.channels * size;
  const std::int64_t bytes = s.columns * size;
  std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t>> sectors;  // tile, warp, sector
  for (std::int64_t tile = 0; tile * s.tile_columns * bytes < row; ++tile) {
    for (std::int64_t thread = 0; thread < s.threads(); ++thread) {
      for (std::int64_t byte = 0; byte < bytes; ++byte) {
        const std::int64_t column = (tile * s.tile_columns + thread % s.tile_columns) * bytes;
        const std::int64_t at = thread / s.tile_columns * row + column + byte;
        sectors.insert({tile, thread / 32, at / 32});
      }
    }
  }
  return sectors.size();
}

TEST(LaunchFacts, OfCodeCountTheSectorsOfNarrowTiles) {
  for (const char* schedule : {"v4_r2_x48_y4_newton@blocks4", "v4_r2_x6_y20_newton@blocks4",
                               "v1_r2_x24_y8_newton@blocks4", "v2_r1_x12_y16_newton@blocks4",
                               "v1_r4_x6_y32_newton@blocks4", "v2_r4_x8_y10_newton@blocks4"}) {
    for (const char* types : {"f32", "bf16", "f32:bf16"}) {
      const std::string task = fmt::format("forward/p5q4-A-c768-g8-{}-last", types);
      const GpuCall call = call_of(task.c_str(), schedule, 25216, "h200");
      const Problem& p = call.task.problem;
      const double row_tiles = 25216.0 / call.schedule.tile_rows;
      const double expected = row_tiles * double(touched(call, std::int64_t(size_of(p.x_type))) +
                                                 touched(call, std::int64_t(size_of(p.y_type))));
      const LaunchFacts f = static_facts(call, counts_of({{"FFMA", 1.0}})).at(0);
      EXPECT_NEAR(f.sectors / expected, 1, 1e-9) << types << ' ' << schedule;
    }
  }
}

TEST(LaunchFacts, OfCodeOneThreadOfABlockCounts) {
  // 24 warps in 4 blocks of 6 issue two atomics each; a thread of each block does them.
  const GpuCall call = call_of("backward.dx.da.db/p5q4-A-c768-g8-f32-last",
                               "v4_r2_x48_y4_approx_run16_lastblock@blocks4", 25216, "h200");
  const LaunchFacts f = static_facts(call, counts_of({{"ATOMG.E.ADD", 48.0}})).at(1);
  EXPECT_EQ(f.atomic_passes, 8);
  EXPECT_EQ(f.most_line_passes, 8);
  // Every lane adds to a gradient: 32 lanes of 4 bytes in sectors of 32.
  GpuCall adding = call;
  adding.schedule.sums = CudaSchedule::block_atomics;
  EXPECT_EQ(static_facts(adding, counts_of({{"RED.E.ADD", 48.0}})).at(2).atomic_passes, 48 * 4);
}

}  // namespace
}  // namespace grkan
