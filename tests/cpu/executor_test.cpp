// The CPU executor with the portable kernel: slices, sums, planes and workspace, against the
// reference. Generated kernels take the same road (check, and the generator's own tests).
#include "cpu/executor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/sample.h"
#include "core/sample_run.h"
#include "cpu/portable_kernel.h"
#include "cpu/slices.h"
#include "runtime/context.h"

namespace grkan {
namespace {

struct AlignedBytes {
  explicit AlignedBytes(std::size_t size) : data(std::aligned_alloc(64, size / 64 * 64 + 64)) {
    std::memset(data, 0xff, size);
  }
  ~AlignedBytes() { std::free(data); }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  void* data;
};

void run(const Task& task, const Call& call, ThreadPool& pool, int slice_rows) {
  const CpuExecutor executor(task, portable_schedule(task, slice_rows), nullptr, pool);
  const std::size_t size = executor.workspace_size(call.rows, call.inner);
  EXPECT_LE(size,
            cpu_backend().workspace_bound(task, {}, pool.threads()).bytes(call.rows, call.inner));
  const AlignedBytes workspace(size);
  executor.run(call, workspace.data);
}

std::vector<Task> tasks() {
  std::vector<std::string> texts = {"p5q4-A-c96-g4-f32-last",
                                    "p5q4-B-c24-g1x8-f32-last",
                                    "p3q2-C-c24-g24x1-f64-last",
                                    "p0q0-N-c7-g7-f32-last",
                                    "p5q4-A-c16-g2-f32:bf16-last",
                                    "p5q4-A-c6-g2x3-f16-first",
                                    "p15q15-A-c4-g2-f64-first",
                                    "p5q4-N-c8-g4-bf16:f32-first",
                                    "p5q4-A-c24-g4-bf16:bf16:bf16-last",
                                    "p3q4-B-c8-g2-f32:f16:f16-first"};
  for (const Denominator& row : denominators()) {
    for (const char* type : {"f32", "f64"}) {
      texts.push_back(fmt::format("p3q4-{}-c12-g2x3-{}-last", row.letter, type));
    }
  }
  std::vector<Task> found;
  for (const std::string& text : texts) {
    const Problem problem = parse_problem(text);
    found.push_back(forward_task(problem));
    for (const char* gradients : {"dx,da,db", "dx", "da", "db", "da,db"}) {
      found.push_back(backward_task(problem, parse_gradients(gradients)));
    }
  }
  return found;
}

TEST(Executor, AgreesWithTheReference) {
  ThreadPool pool(2);
  for (const Task& task : tasks()) {
    const bool first = task.problem.layout == Layout::channels_first;
    for (const std::int64_t rows : {1, 2, 33, 300}) {
      for (const bool odd : {false, true}) {
        SampleOptions options;
        options.rows = rows;
        options.inner = first ? 35 : 1;
        options.padding = odd ? 3 : 0;
        options.misaligned = odd;
        options.accumulate = odd && task.backward();
        Sample sample(task, options);
        const Reference reference = make_reference(task, sample.call());
        run(task, sample.call(), pool, 32);
        const TensorErrors errors =
            compare(task, portable_schedule(task, 32), reference, sample.call());
        EXPECT_TRUE(errors.passes())
            << to_string(task) << " rows " << rows << ": " << errors.why_failed();
        EXPECT_EQ(sample.why_damaged(), "") << to_string(task) << " rows " << rows;
      }
    }
  }
}

// Generated kernels on the executor's road: planes of expanded coefficients, non-temporal stores,
// split and fused sums, slices of every layout.
TEST(Executor, GeneratedKernelsAgreeWithTheReference) {
  if (host_target().name.empty()) GTEST_SKIP() << "SKIP: no generated kernels on this processor";
  ContextOptions options;
  options.cache_dir = "/nonexistent/grkan";
  options.threads = 2;
  options.log_level = LogLevel::error;
  Context context(options);
  Device& device = context.device("cpu");
  const auto run_all = [&](const char* text, const std::vector<const char*>& schedules) {
    const Task task = parse_task(text);
    const bool first = task.problem.layout == Layout::channels_first;
    for (const bool odd : {false, true}) {
      SampleOptions sample_options;
      sample_options.rows = first ? 3 : 1500;
      sample_options.inner = first ? 4001 : 1;
      sample_options.padding = odd ? 3 : 0;
      sample_options.misaligned = odd;
      Sample sample(task, sample_options);
      const Reference reference = make_reference(task, sample.call());
      for (const char* name : schedules) {
        const Schedule schedule = parse_schedule(name, device.target());
        ASSERT_EQ(why_illegal(task, schedule, device.target()), "") << name;
        sample.reset();
        run_sample(device, *context.kernel(device, task, schedule), sample);
        const TensorErrors errors = compare(task, schedule, reference, sample.call());
        EXPECT_TRUE(errors.passes()) << text << " " << name << ": " << errors.why_failed();
        EXPECT_EQ(sample.why_damaged(), "") << text << " " << name;
      }
    }
  };
  run_all("forward/p5q4-A-c52-g13-f32-last",
          {"v8_u1_r4_bcast_cached@slice64", "v8_u1_r16_expand_cached@slice128",
           "v8_u1_r16_expand_nt@slice64"});
  run_all("backward.dx.da.db/p5q4-A-c52-g1x13-f32-last",
          {"v8_u1_r4_bcast_run64_split_cached@slice64", "v8_u1_r16_expand_run64_split_nt@slice128",
           "v8_u1_r4_bcast_run32_fused_nt@slice512"});
  run_all(
      "backward.dx.da.db/p3q3-B-c20-g4-f64-last",
      {"v4_u1_r4_bcast_run64_split_cached@slice64", "v4_u1_r8_expand_run32_fused_cached@slice64"});
  run_all("backward.dx.da.db/p5q4-A-c6-g2x3-f32:bf16-first",
          {"v8_u1_r1_bcast_run64_split_cached@slice64", "v8_u2_r1_bcast_run64_fused_nt@slice64"});
}

TEST(Executor, SignOfZeroInVariantAIsPlus) {
  ThreadPool pool(1);
  const Task task = backward_task(parse_problem("p0q1-A-c1-g1-f32-last"));
  for (const float zero : {0.0F, -0.0F}) {
    const float x = 2;
    const float dy = 1;
    const float a = 3;
    const float b = zero;
    float dx = 0;
    float da = 0;
    float db = 0;
    const Call call{.rows = 1,
                    .x = &x,
                    .x_stride = 1,
                    .dy = &dy,
                    .dy_stride = 1,
                    .out = &dx,
                    .out_stride = 1,
                    .a = &a,
                    .b = &b,
                    .da = &da,
                    .db = &db};
    run(task, call, pool, 32);
    EXPECT_EQ(da, 1);
    EXPECT_EQ(db, -6);  // v |x| = -(w y) |x| = -3 * 2
  }
}

TEST(Executor, NanStaysInItsElementAndGroup) {
  ThreadPool pool(1);
  const Task task = backward_task(parse_problem("p5q4-A-c8-g2-f32-last"));
  Sample sample(task, {.rows = 40});
  const auto value = [](const SampleBuffer& buffer, int i) {
    return reinterpret_cast<float*>(buffer.data()) + i;
  };
  *value(sample.x, 5 * 8 + 6) = std::numeric_limits<float>::quiet_NaN();
  run(task, sample.call(), pool, 16);
  for (int i = 0; i < 40 * 8; ++i) EXPECT_EQ(std::isnan(*value(sample.out, i)), i == 46) << i;
  for (int i = 0; i < 12; ++i) EXPECT_EQ(std::isnan(*value(sample.da, i)), i >= 6) << i;
  for (int i = 0; i < 8; ++i) EXPECT_EQ(std::isnan(*value(sample.db, i)), i >= 4) << i;
}

// Every element of a call lies in exactly one slice, whatever the size.
TEST(Slices, CoverEachElementOnce) {
  for (const char* text : {"p5q4-A-c24-g8-f32-last", "p5q4-A-c768-g768-f32-last",
                           "p5q4-A-c24-g8-f32-first", "p5q4-A-c3-g1-f32-first"}) {
    const Task task = backward_task(parse_problem(text));
    const SliceShape shape = SliceShape::make(task, CpuSchedule{.slice_rows = 64});
    for (const std::int64_t rows : {1, 3, 64, 65, 5000, 1000003}) {
      for (const std::int64_t inner : {1, 7, 3136}) {
        if (!shape.channels_first && inner != 1) continue;
        const Slices s = make_slices(shape, rows, inner);
        EXPECT_LE(s.count(), kMostSlices) << text << " " << rows;
        EXPECT_GT(s.row_slices * s.rows, rows - 1);
        EXPECT_LT((s.row_slices - 1) * s.rows, rows);
        EXPECT_GE(s.segment_slices * s.segments, shape.segments);
        EXPECT_LT((s.segment_slices - 1) * s.segments, shape.segments);
        const std::int64_t width = shape.segment_width * inner;
        EXPECT_GE(s.column_slices * s.columns, width);
        EXPECT_LT((s.column_slices - 1) * s.columns, width);
      }
    }
  }
}

TEST(Slices, ABatchOfOneIsShared) {
  const Task task = forward_task(parse_problem("p5q4-A-c64-g8-f32-first"));
  const SliceShape shape = SliceShape::make(task, CpuSchedule{});
  EXPECT_GT(make_slices(shape, 1, 224 * 224).count(), 64);
  const Task one = forward_task(parse_problem("p5q4-A-c1-g1-f32-first"));
  EXPECT_GT(make_slices(SliceShape::make(one, CpuSchedule{}), 1, 1 << 22).count(), 64);
}

TEST(Slices, SmallWorkIsOneSlice) {
  const Task task = forward_task(parse_problem("p5q4-A-c768-g8-f32-last"));
  const SliceShape shape = SliceShape::make(task, CpuSchedule{});
  EXPECT_EQ(make_slices(shape, 1, 1).count(), 1);
  EXPECT_EQ(make_slices(shape, 16, 1).count(), 1);
}

}  // namespace
}  // namespace grkan
