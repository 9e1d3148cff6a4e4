// The table of GPU models: every figure is there, plausible, and says where it comes from.
#include "core/gpu_models.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <set>
#include <string>

#include "core/error.h"
#include "core/target.h"

namespace grkan {
namespace {

const std::map<std::string_view, std::pair<double, double>> kRanges = {
    {"multiprocessors", {10, 256}},
    {"memory_bytes", {4e9, 400e9}},
    {"clock_mhz", {1000, 3500}},
    {"bandwidth_gbs", {200, 10000}},
    {"l2_bytes", {2e6, 300e6}},
    {"threads_per_multiprocessor", {1024, 2048}},
    {"registers_per_multiprocessor", {65536, 65536}},
    {"shared_bytes_per_multiprocessor", {64 * 1024, 228 * 1024}},
    {"bandwidth_reached", {0.8, 1}},
    {"l2_bandwidth_gbs", {1000, 20000}},
    {"memory_latency_ns", {200, 700}},
    {"launch_us", {0.5, 10}},
    {"atomic_clocks", {1, 10}},
    {"warp_schedulers", {4, 4}},
    {"fp32_lanes", {64, 128}},
    {"fp64_lanes", {2, 64}},
    {"special_lanes", {16, 16}},
    {"convert_lanes", {16, 64}},
    {"integer_lanes", {64, 128}},
    {"shared_bytes_a_clock", {128, 128}}};

TEST(GpuModels, ADeviceIsAModelByWhatItHas) {
  for (const GpuModel& model : gpu_models()) {
    const double memory = model.memory_bytes.value;
    const int multiprocessors = int(model.multiprocessors.value);
    const auto found = [&](double bytes) {
      return find_gpu_model(model.compute_capability, multiprocessors, bytes);
    };
    ASSERT_NE(found(memory * 0.97), nullptr) << model.name;  // a driver keeps some for itself
    EXPECT_EQ(found(memory * 0.97)->name, model.name);
    EXPECT_EQ(found(memory * 0.5), nullptr) << model.name;
    EXPECT_EQ(find_gpu_model(model.compute_capability, multiprocessors + 1, memory), nullptr);
  }
}

TEST(GpuModels, EveryFigureHasASourceAndAPlausibleValue) {
  std::set<std::string_view> names;
  for (const GpuModel& m : gpu_models()) {
    EXPECT_TRUE(names.insert(m.name).second) << m.name;
    EXPECT_NO_THROW(parse_target(fmt::format("sm_{}", m.compute_capability))) << m.name;
    for (const FigureField& field : figure_fields()) {
      const Figure& figure = m.*field.figure;
      ASSERT_TRUE(kRanges.contains(field.name)) << field.name;
      const auto [low, high] = kRanges.at(field.name);
      EXPECT_FALSE(figure.source.empty()) << m.name << ' ' << field.name;
      EXPECT_GE(figure.value, low) << m.name << ' ' << field.name;
      EXPECT_LE(figure.value, high) << m.name << ' ' << field.name;
    }
    // Caches are faster than memory.
    EXPECT_GT(m.l2_bandwidth_gbs.value, m.bandwidth_gbs.value) << m.name;
  }
}

TEST(GpuModels, EveryFigureIsAField) {
  EXPECT_EQ(sizeof(GpuModel),
            offsetof(GpuModel, multiprocessors) + figure_fields().size() * sizeof(Figure));
  std::set<std::string_view> names;
  for (const FigureField& field : figure_fields()) EXPECT_TRUE(names.insert(field.name).second);
}

TEST(GpuModels, AreFoundByName) {
  EXPECT_EQ(gpu_model("h200").compute_capability, 90);
  EXPECT_EQ(gpu_model("h200").bandwidth_gbs.value, 4800);
  EXPECT_EQ(gpu_model("t4").threads_per_multiprocessor.value, 1024);
  EXPECT_EQ(gpu_model("a100-80").shared_bytes_per_multiprocessor.value, 164 * 1024);
  EXPECT_EQ(to_string(gpu_model("t4").l2_bytes.kind), "microbenchmark");
}

TEST(GpuModels, AnUnknownNameListsTheKnownOnes) {
  try {
    gpu_model("h300");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::invalid_argument);
    EXPECT_EQ(std::string(e.what()),
              "unknown GPU model 'h300'; use one of h200, h100-sxm, h100-pcie, a100-80, a10, t4, "
              "l4, rtx3090, rtx4060ti, rtx4090, b200, rtx5090");
  }
}

}  // namespace
}  // namespace grkan
