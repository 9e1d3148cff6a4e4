// The table of GPU models: every figure is there, plausible, and says where it comes from.
#include "core/gpu_models.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/error.h"
#include "core/target.h"

namespace grkan {
namespace {

TEST(GpuModels, EveryFigureHasASourceAndAPlausibleValue) {
  std::set<std::string_view> names;
  for (const GpuModel& m : gpu_models()) {
    EXPECT_TRUE(names.insert(m.name).second) << m.name;
    EXPECT_NO_THROW(parse_target(fmt::format("sm_{}", m.compute_capability))) << m.name;
    struct Range {
      const Figure* figure;
      double low, high;
    };
    for (const Range& r : {Range{&m.multiprocessors, 10, 256},
                           {&m.memory_bytes, 4e9, 400e9},
                           {&m.clock_mhz, 1000, 3500},
                           {&m.bandwidth_gbs, 200, 10000},
                           {&m.l2_bytes, 2e6, 300e6},
                           {&m.threads_per_multiprocessor, 1024, 2048},
                           {&m.registers_per_multiprocessor, 65536, 65536},
                           {&m.shared_bytes_per_multiprocessor, 64 * 1024, 228 * 1024}}) {
      EXPECT_FALSE(r.figure->source.empty()) << m.name;
      EXPECT_GE(r.figure->value, r.low) << m.name;
      EXPECT_LE(r.figure->value, r.high) << m.name;
    }
  }
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
