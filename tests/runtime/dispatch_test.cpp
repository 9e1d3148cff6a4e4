// Dispatch: a prepared call takes no memory; a size that was not prepared prepares itself; a kernel
// in the cache needs no compiler.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <vector>

#include "core/error.h"
#include "runtime/plan.h"

namespace {
std::atomic<long> allocations = 0;
}

// NOLINTBEGIN: counts every allocation of this program
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // inlined in part, they look unlike
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND

namespace grkan {
namespace {

struct Space {
  explicit Space(std::size_t size) : storage(size / 8 + 16) {
    data = storage.data();
    bytes = storage.size() * 8;
    std::align(64, size, data, bytes);
  }
  std::vector<double> storage;
  void* data;
  std::size_t bytes;
};

ContextOptions portable() {
  ContextOptions options;
  options.cache_dir = "/nonexistent/grkan";
  options.threads = 2;
  options.cpu_target = Target{};
  options.log_level = LogLevel::error;
  return options;
}

TEST(Dispatch, APreparedCallAllocatesNothing) {
  Context context(portable());
  Plan plan(context, parse_problem("p5q4-A-c64-g4-f32-last"), "cpu", {true, true, true});
  plan.prepare({1, 4096}, {1, 1});
  std::vector<float> x(4096 * 64, 0.5F);
  std::vector<float> y(x.size());
  std::vector<float> a(24, 0.1F);
  std::vector<float> b(16, 0.1F);
  std::vector<float> da(24);
  std::vector<float> db(16);
  Space space(plan.workspace_size(Direction::backward) + plan.workspace_size(Direction::forward));
  const Workspace workspace{.data = space.data, .size = space.bytes};
  const auto run = [&](std::int64_t rows) {
    plan.run(Direction::forward,
             {.rows = rows,
              .x = x.data(),
              .x_stride = 64,
              .out = y.data(),
              .out_stride = 64,
              .a = a.data(),
              .b = b.data()},
             workspace);
    plan.run(Direction::backward,
             {.rows = rows,
              .x = x.data(),
              .x_stride = 64,
              .dy = x.data(),
              .dy_stride = 64,
              .out = y.data(),
              .out_stride = 64,
              .a = a.data(),
              .b = b.data(),
              .da = da.data(),
              .db = db.data()},
             workspace);
  };
  const long before = allocations;
  for (const std::int64_t rows : {1, 2, 77, 4096}) run(rows);
  EXPECT_EQ(allocations, before);
}

TEST(Dispatch, AnUnpreparedSizePreparesItself) {
  Context context(portable());
  Plan plan(context, parse_problem("p1q0-A-c2-g1-f32-last"), "cpu", {});
  const std::vector<float> x = {1, 2, 3, 4};
  std::vector<float> y(4);
  const std::vector<float> a = {1, 2};
  Space space(plan.workspace_size(Direction::forward));
  plan.run(
      Direction::forward,
      {.rows = 2, .x = x.data(), .x_stride = 2, .out = y.data(), .out_stride = 2, .a = a.data()},
      {.data = space.data, .size = space.bytes});
  EXPECT_EQ(y, (std::vector<float>{3, 5, 7, 9}));
}

TEST(Dispatch, RowsZero) {
  Context context(portable());
  Plan plan(context, parse_problem("p1q1-A-c2-g1-f32-last"), "cpu", {true, true, true});
  std::vector<float> da = {7, 7};
  float db = 7;
  plan.run(Direction::forward, {.rows = 0}, {});
  plan.run(Direction::backward, {.rows = 0, .da = da.data(), .db = &db, .accumulate = true}, {});
  EXPECT_EQ(da, (std::vector<float>{7, 7}));
  plan.run(Direction::backward, {.rows = 0, .da = da.data(), .db = &db}, {});
  EXPECT_EQ(da, (std::vector<float>{0, 0}));
  EXPECT_EQ(db, 0);
}

TEST(Dispatch, WithoutCompilerThePortableKernelServes) {
  if (host_target().name.empty()) GTEST_SKIP() << "SKIP: a portable CPU compiles nothing";
  ContextOptions options = portable();
  options.cpu_target.reset();
  options.compiler = "/nonexistent/libgrkan_compiler.so";
  Context context(options);
  static std::string said;
  said.clear();
  options.log_level = LogLevel::warn;
  options.log.write = [](void*, std::int32_t, const char* message) { said += message; };
  Context warned(options);
  Plan plan(warned, parse_problem("p1q0-N-c2-g1-f32-last"), "cpu", {});
  plan.prepare({1, 10}, {1, 1});
  EXPECT_NE(said.find("portable kernel"), std::string::npos) << said;
  EXPECT_NE(said.find(options.compiler), std::string::npos) << said;
  EXPECT_EQ(nlohmann::json::parse(plan.explain(plan.task(Direction::forward), 5, 1))["evidence"],
            "portable");
  const std::vector<float> x = {1, 2, 3, 4};
  const std::vector<float> a = {1, 2};
  std::vector<float> y(4);
  Space space(plan.workspace_size(Direction::forward));
  plan.run(
      Direction::forward,
      {.rows = 2, .x = x.data(), .x_stride = 2, .out = y.data(), .out_stride = 2, .a = a.data()},
      {.data = space.data, .size = space.bytes});
  EXPECT_EQ(y, (std::vector<float>{3, 5, 7, 9}));
}

}  // namespace
}  // namespace grkan
