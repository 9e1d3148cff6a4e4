// Targets by name.
#include "core/target.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace grkan {
namespace {

TEST(Target, CpusByLevelOrProcessor) {
  EXPECT_EQ(parse_target("x86-64-v3").vector_bits(), 256);
  EXPECT_EQ(parse_target("x86-64-v4").vector_bits(), 512);
  EXPECT_EQ(parse_target("znver4").vector_bits(), 512);
  EXPECT_EQ(parse_target("aarch64").vector_bits(), 128);
  EXPECT_FALSE(parse_target("aarch64").cuda());
  EXPECT_EQ(parse_target("aarch64").compute_capability(), 0);
}

TEST(Target, GpusByArchitecture) {
  EXPECT_TRUE(parse_target("sm_75").cuda());
  EXPECT_EQ(parse_target("sm_75").compute_capability(), 75);
  EXPECT_EQ(parse_target("sm_90a").compute_capability(), 90);
  EXPECT_EQ(parse_target("sm_100f").compute_capability(), 100);
  EXPECT_EQ(parse_target("sm_121").compute_capability(), 121);
  EXPECT_NE(parse_target("sm_90"), parse_target("sm_90a"));
}

TEST(Target, OthersAreErrorsThatNameTheKnownOnes) {
  for (const char* text : {"", "sm_", "sm_9", "sm_1000", "sm_90x", "sm_a0", "sm_90aa", "90",
                           "compute_90", "x86-64-v2", "x86-64-v3 ", "SM_90"}) {
    EXPECT_THROW(parse_target(text), Error) << text;
  }
  try {
    parse_target("x86-64-v2");
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::invalid_argument);
    EXPECT_EQ(std::string(e.what()),
              "unknown target 'x86-64-v2'; use x86-64-v3, x86-64-v4, znver4, aarch64, or a GPU "
              "architecture such as sm_90");
  }
}

TEST(Target, TheHostIsOneOfThem) {
  const Target host = host_target();
  if (host.name.empty()) GTEST_SKIP() << "SKIP: this processor is below x86-64-v3";
  EXPECT_EQ(parse_target(host.name), host);
}

}  // namespace
}  // namespace grkan
