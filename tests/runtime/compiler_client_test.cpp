// The door to the compiler library: found, missing, foreign, of another version, failing.
#include "runtime/compiler_client.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace grkan {
namespace {

const Task kTask = parse_task("forward/p5q4-A-c64-g4-f32-last");
const Target kTarget = parse_target("x86-64-v3");
const Schedule kSchedule = default_schedule(kTask, kTarget, 1);

Error error_of(CompilerClient& client, const Task& task = kTask) {
  try {
    client.compile(task, kSchedule, kTarget);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return {Status::ok, ""};
}

TEST(CompilerClient, AsksTheLibrary) {
  CompilerClient client(GRKAN_FAKE_COMPILER);
  const Binary binary = client.compile(kTask, kSchedule, kTarget);
  EXPECT_EQ(binary.task, kTask);
  EXPECT_EQ(binary.compiled_schedule, compiled_text(kSchedule));
  EXPECT_EQ(binary.compiler, "fake 1");
  EXPECT_EQ(client.describe(kTarget), "fake 1");
  EXPECT_EQ(client.emit(kTask, kSchedule, kTarget, "mlir"), "mlir of " + to_string(kTask));
  EXPECT_EQ(client.count(binary, kSchedule, 7, 1, 132).dump(), "{\"rows\":7}");
}

TEST(CompilerClient, PassesTheCompilersErrorOn) {
  CompilerClient client(GRKAN_FAKE_COMPILER);
  const Error error = error_of(client, parse_task("forward/p0q0-N-c1-g1-f32-last"));
  EXPECT_EQ(error.status(), Status::compile_failed);
  EXPECT_STREQ(error.what(), "refused");
}

TEST(CompilerClient, NamesThePathItLookedFor) {
  CompilerClient client("/nonexistent/libgrkan_compiler.so");
  const Error error = error_of(client);
  EXPECT_EQ(error.status(), Status::no_compiler);
  EXPECT_NE(std::string(error.what()).find("/nonexistent/libgrkan_compiler.so"), std::string::npos);
  EXPECT_NE(std::string(error.what()).find("GRKAN_COMPILER"), std::string::npos);
}

TEST(CompilerClient, RefusesAForeignLibrary) {
  CompilerClient client("libm.so.6");
  const Error error = error_of(client);
  EXPECT_EQ(error.status(), Status::no_compiler);
  EXPECT_NE(std::string(error.what()).find("is not a compiler library"), std::string::npos);
}

TEST(CompilerClient, RefusesAnotherVersion) {
  setenv("GRKAN_FAKE_VERSION", "999", 1);
  CompilerClient client(GRKAN_FAKE_COMPILER);
  const Error error = error_of(client);
  unsetenv("GRKAN_FAKE_VERSION");
  EXPECT_EQ(error.status(), Status::no_compiler);
  EXPECT_NE(std::string(error.what()).find("another version"), std::string::npos);
}

}  // namespace
}  // namespace grkan
