// What bad input gets, through the C ABI: each row a small call, its status and its message.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "core/denominator.h"
#include "grkan.h"

namespace {

// Passes when `text` has `part` in it.
::testing::AssertionResult contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "'" << text << "' does not contain '" << part << "'";
}

struct BadInput : ::testing::Test {
  void SetUp() override {
    options.size = sizeof(options);
    options.threads = 2;
    options.log_level = GRKAN_LOG_ERROR;
    // No driver, whatever this machine has.
    setenv("GRKAN_CUDA_DRIVER", "/nonexistent/libcuda.so.1", 1);
    ASSERT_EQ(grkan_context_create(&options, &context), GRKAN_OK) << grkan_last_error();
    ASSERT_EQ(grkan_problem_parse("p5q4-A-c8-g2-f32-last", &problem), GRKAN_OK);
    ASSERT_EQ(grkan_plan_create(context, &problem, "cpu", GRKAN_DX | GRKAN_DA | GRKAN_DB, &plan),
              GRKAN_OK);
    std::size_t size = 0;
    ASSERT_EQ(grkan_plan_workspace_size(plan, GRKAN_BACKWARD, 1, &size), GRKAN_OK);
    space = std::aligned_alloc(64, size / 64 * 64 + 128);
    forward = {.size = sizeof(forward),
               .rows = 4,
               .inner = 1,
               .x = x.data(),
               .x_stride = 8,
               .y = y.data(),
               .y_stride = 8,
               .a = a.data(),
               .b = b.data(),
               .workspace = space,
               .workspace_size = size,
               .stream = nullptr,
               .threads = 0,
               .reserved = 0};
    backward = {.size = sizeof(backward),
                .rows = 4,
                .inner = 1,
                .x = x.data(),
                .x_stride = 8,
                .dy = dy.data(),
                .dy_stride = 8,
                .dx = y.data(),
                .dx_stride = 8,
                .a = a.data(),
                .b = b.data(),
                .da = da.data(),
                .db = db.data(),
                .accumulate = 0,
                .threads = 0,
                .workspace = space,
                .workspace_size = size,
                .stream = nullptr};
  }
  void TearDown() override {
    grkan_plan_destroy(plan);
    grkan_context_destroy(context);
    std::free(space);
  }

  // The message of a forward call that must fail before anything is written.
  std::string forward_error() {
    const std::vector<float> before = y;
    EXPECT_EQ(grkan_forward(plan, &forward), GRKAN_INVALID_ARGUMENT);
    EXPECT_EQ(y, before);
    return grkan_last_error();
  }
  std::string backward_error() {
    const std::vector<float> before = y;
    const std::vector<float> before_da = da;
    EXPECT_EQ(grkan_backward(plan, &backward), GRKAN_INVALID_ARGUMENT);
    EXPECT_EQ(y, before);
    EXPECT_EQ(da, before_da);
    return grkan_last_error();
  }
  std::string problem_error(const char* text) {
    grkan_problem p;
    EXPECT_EQ(grkan_problem_parse(text, &p), GRKAN_INVALID_ARGUMENT);
    return grkan_last_error();
  }
  std::string context_error() {
    grkan_context* other = nullptr;
    EXPECT_EQ(grkan_context_create(&options, &other), GRKAN_INVALID_ARGUMENT);
    EXPECT_EQ(other, nullptr);
    return grkan_last_error();
  }

  grkan_context_options options{};
  grkan_context* context = nullptr;
  grkan_problem problem{};
  grkan_plan* plan = nullptr;
  std::vector<float> x = std::vector<float>(64, 0.5F);
  std::vector<float> dy = std::vector<float>(64, 1.0F);
  std::vector<float> y = std::vector<float>(64, 9.0F);
  std::vector<float> a = std::vector<float>(12, 1.0F);
  std::vector<float> b = std::vector<float>(8, 1.0F);
  std::vector<float> da = std::vector<float>(12, 9.0F);
  std::vector<float> db = std::vector<float>(8, 9.0F);
  void* space = nullptr;
  grkan_forward_args forward{};
  grkan_backward_args backward{};
};

TEST_F(BadInput, ChannelsNotDivisible) {
  EXPECT_EQ(problem_error("p5q4-A-c255-g8-f32-last"),
            "channels 255 is not a multiple of numerator groups 8; use 248 or 256 channels, or 5 "
            "groups");
}
TEST_F(BadInput, DegreeOutOfRange) {
  problem.numerator_degree = 16;
  EXPECT_EQ(grkan_problem_validate(&problem), GRKAN_INVALID_ARGUMENT);
  EXPECT_STREQ(grkan_last_error(), "numerator degree 16 is out of range; use 0 to 15");
}
TEST_F(BadInput, UnknownType) {
  problem.x_type = 9;
  EXPECT_EQ(grkan_problem_validate(&problem), GRKAN_INVALID_ARGUMENT);
  EXPECT_STREQ(grkan_last_error(), "x_type 9 is unknown; use 1 to 4");
}
TEST_F(BadInput, UnknownVariant) {
  problem.variant = 0;
  EXPECT_EQ(grkan_problem_validate(&problem), GRKAN_INVALID_ARGUMENT);
  const std::string most = std::to_string(grkan::denominators().size());
  EXPECT_EQ(grkan_last_error(), "variant 0 is unknown; use 1 to " + most);
}
TEST_F(BadInput, UnknownDevice) {
  grkan_plan* other = nullptr;
  EXPECT_EQ(grkan_plan_create(context, &problem, "tpu", 0, &other), GRKAN_INVALID_ARGUMENT);
  EXPECT_TRUE(contains(grkan_last_error(), "unknown device 'tpu'; use cpu, cuda:0"));
}
TEST_F(BadInput, NoDriverIsNoDeviceAndTheCpuStillWorks) {
  grkan_plan* other = nullptr;
  EXPECT_EQ(grkan_plan_create(context, &problem, "cuda:0", 0, &other), GRKAN_NO_DEVICE);
  EXPECT_TRUE(contains(grkan_last_error(), "/nonexistent/libcuda.so.1"));
  forward.rows = 0;
  EXPECT_EQ(grkan_forward(plan, &forward), GRKAN_OK);
}
TEST_F(BadInput, UnknownGradients) {
  grkan_plan* other = nullptr;
  EXPECT_EQ(grkan_plan_create(context, &problem, "cpu", 8, &other), GRKAN_INVALID_ARGUMENT);
  EXPECT_TRUE(contains(grkan_last_error(), "gradients 8 is unknown"));
}
TEST_F(BadInput, NegativeRows) {
  forward.rows = -1;
  EXPECT_EQ(forward_error(), "rows -1 is negative; use 0 or more");
}
TEST_F(BadInput, InnerWithChannelsLast) {
  forward.inner = 7;
  EXPECT_TRUE(contains(forward_error(), "inner 7 came with channels-last"));
}
TEST_F(BadInput, SizesThatOverflow) {
  forward.rows = std::numeric_limits<std::int64_t>::max();
  EXPECT_TRUE(contains(forward_error(), "more elements than can be addressed"));
}
TEST_F(BadInput, StridesThatOverflow) {
  forward.x_stride = std::numeric_limits<std::int64_t>::max() / 2;
  EXPECT_TRUE(contains(forward_error(), "x_stride 4611686018427387903 x rows 4 is more than can"));
}
TEST_F(BadInput, StrideBelowARow) {
  forward.y_stride = 7;
  EXPECT_TRUE(contains(forward_error(), "y_stride 7 is less than a row's 8 elements"));
}
TEST_F(BadInput, NullTensor) {
  forward.x = nullptr;
  EXPECT_TRUE(contains(forward_error(), "x is null, but 4 rows were given"));
}
TEST_F(BadInput, NullCoefficients) {
  forward.a = nullptr;
  EXPECT_TRUE(contains(forward_error(), "a is null, but it has 12 entries"));
  backward.b = nullptr;
  EXPECT_TRUE(contains(backward_error(), "b is null, but it has 8 entries"));
}
TEST_F(BadInput, NoGradientAtAll) {
  backward.dx = nullptr;
  backward.da = backward.db = nullptr;
  EXPECT_TRUE(contains(backward_error(), "dx is null, but 4 rows were given"));
}
TEST_F(BadInput, AGradientNotAskedFor) {
  grkan_plan* other = nullptr;
  ASSERT_EQ(grkan_plan_create(context, &problem, "cpu", GRKAN_DX, &other), GRKAN_OK);
  EXPECT_EQ(grkan_backward(other, &backward), GRKAN_INVALID_ARGUMENT);
  EXPECT_TRUE(contains(grkan_last_error(), "the plan was not made for this gradient"));
  grkan_plan_destroy(other);
}
TEST_F(BadInput, BackwardOfAForwardPlan) {
  grkan_plan* other = nullptr;
  ASSERT_EQ(grkan_plan_create(context, &problem, "cpu", 0, &other), GRKAN_OK);
  EXPECT_EQ(grkan_backward(other, &backward), GRKAN_INVALID_ARGUMENT);
  EXPECT_TRUE(contains(grkan_last_error(), "the plan has no backward"));
  grkan_plan_destroy(other);
}
TEST_F(BadInput, UnalignedPointer) {
  forward.x = reinterpret_cast<const char*>(x.data()) + 1;
  EXPECT_TRUE(contains(forward_error(), "not aligned to its element of 4 bytes"));
}
TEST_F(BadInput, WorkspaceTooSmall) {
  ASSERT_EQ(grkan_plan_workspace_for_rows(plan, GRKAN_BACKWARD, backward.rows, 1,
                                          &backward.workspace_size),
            GRKAN_OK);
  EXPECT_EQ(grkan_backward(plan, &backward), GRKAN_OK) << grkan_last_error();
  std::fill(y.begin(), y.end(), 9.0F);
  std::fill(da.begin(), da.end(), 9.0F);
  --backward.workspace_size;
  EXPECT_TRUE(contains(backward_error(), "is too small; a call of this size needs"));
  backward.workspace = nullptr;
  EXPECT_TRUE(contains(backward_error(), "is too small; a call of this size needs"));
}
TEST_F(BadInput, WorkspaceUnaligned) {
  backward.workspace = static_cast<char*>(space) + 8;
  EXPECT_TRUE(contains(backward_error(), "not aligned to 64 bytes"));
}
TEST_F(BadInput, OutputsThatOverlap) {
  forward.y = x.data() + 4;
  EXPECT_TRUE(contains(forward_error(), "overlaps x"));
  backward.dx = x.data();  // dx may be dy, not x
  EXPECT_TRUE(contains(backward_error(), "dx"));
  backward.dx = y.data();
  backward.db = da.data();
  EXPECT_TRUE(contains(backward_error(), "overlaps db"));
  backward.db = db.data();
  backward.da = a.data();
  EXPECT_TRUE(contains(backward_error(), "overlaps a"));
}
TEST_F(BadInput, InPlaceNeedsEqualStrides) {
  forward.rows = 2;
  forward.y = x.data();
  forward.y_stride = 16;
  EXPECT_TRUE(contains(forward_error(), "overlaps x"));
}
TEST_F(BadInput, AStreamOnTheCpu) {
  forward.stream = &forward;
  EXPECT_TRUE(contains(forward_error(), "a CPU plan has no streams"));
}
TEST_F(BadInput, StructSizes) {
  forward.size = 8;
  EXPECT_TRUE(contains(forward_error(), "grkan_forward_args.size is 8"));
  forward.size = offsetof(grkan_forward_args, threads);  // of the first version: fewer fields
  forward.threads = -7;
  forward.reserved = 1;
  EXPECT_EQ(grkan_forward(plan, &forward), GRKAN_OK) << grkan_last_error();
  std::fill(y.begin(), y.end(), 9.0F);
  forward.size = sizeof(forward);
  EXPECT_EQ(forward_error(), "threads -7 is unknown; use 0 to 1024");
  forward.threads = 0;
  EXPECT_EQ(forward_error(), "reserved is 1; use 0");
  backward.threads = 1025;
  EXPECT_EQ(backward_error(), "threads 1025 is unknown; use 0 to 1024");
  backward.threads = 0;
  backward.accumulate = 2;
  EXPECT_EQ(backward_error(), "accumulate 2 is unknown; use 0 to 1");
}
// What a binding needs to raise the right exception.
TEST_F(BadInput, TheFieldIsNamed) {
  const auto field = [](const std::string& message) {
    EXPECT_FALSE(message.empty());
    return std::string(grkan_last_error_field());
  };
  EXPECT_EQ(field(problem_error("p16q4-A-c8-g2-f32-last")), "numerator_degree");
  EXPECT_EQ(field(problem_error("p5q4-A-c8-g3x2-f32-last")), "numerator_groups");
  EXPECT_EQ(field(problem_error("p5q4-A-c8-g2-f64:f32-last")), "y_type");
  EXPECT_EQ(field(problem_error("nonsense")), "");
  problem.layout = 5;
  EXPECT_EQ(grkan_problem_validate(&problem), GRKAN_INVALID_ARGUMENT);
  EXPECT_EQ(field(grkan_last_error()), "layout");
  forward.x_stride = 3;
  EXPECT_EQ(field(forward_error()), "x_stride");
  forward.x_stride = 8;
  forward.y = nullptr;
  EXPECT_EQ(field(forward_error()), "y");
  backward.rows = -1;
  EXPECT_EQ(field(backward_error()), "rows");
  backward.rows = 4;
  backward.workspace_size = 1;
  EXPECT_EQ(field(backward_error()), "workspace_size");
  options.threads = 5000;
  EXPECT_EQ(field(context_error()), "threads");
  grkan_plan* other = nullptr;
  EXPECT_EQ(grkan_plan_create(context, nullptr, "cpu", 0, &other), GRKAN_INVALID_ARGUMENT);
  EXPECT_EQ(field(grkan_last_error()), "grkan_problem");
  EXPECT_EQ(grkan_plan_prepare(plan, 9, 1, 1, 1), GRKAN_INVALID_ARGUMENT);
  EXPECT_EQ(field(grkan_last_error()), "rows");
}
TEST_F(BadInput, NullArguments) {
  EXPECT_EQ(grkan_forward(nullptr, &forward), GRKAN_INVALID_ARGUMENT);
  EXPECT_STREQ(grkan_last_error(), "plan is null; bring one");
  EXPECT_EQ(grkan_forward(plan, nullptr), GRKAN_INVALID_ARGUMENT);
  EXPECT_EQ(grkan_context_create(nullptr, nullptr), GRKAN_INVALID_ARGUMENT);
  EXPECT_EQ(grkan_problem_parse(nullptr, &problem), GRKAN_INVALID_ARGUMENT);
  EXPECT_EQ(grkan_plan_import(plan, nullptr, 5), GRKAN_INVALID_ARGUMENT);
}
TEST_F(BadInput, ContextOptions) {
  options.effort = 77;
  EXPECT_EQ(context_error(), "effort 77 is unknown; use 0 to 5");
  options.effort = 0;
  options.threads = -3;
  EXPECT_EQ(context_error(), "threads -3 is out of range; use 1 to 1024");
  options.threads = 0;
  options.free = [](void*, const char*, void*) {};
  EXPECT_EQ(context_error(),
            "alloc and free go together, but only free came; give both or neither");
  options.free = nullptr;
  setenv("GRKAN_THREADS", "many", 1);
  EXPECT_EQ(context_error(), "GRKAN_THREADS 'many' is not a number; use 1 to 1024");
  unsetenv("GRKAN_THREADS");
  setenv("GRKAN_LOG", "loud", 1);
  options.log_level = 0;
  EXPECT_EQ(context_error(), "unknown log level 'loud'; use one of error, warn, info, debug");
  unsetenv("GRKAN_LOG");
}
TEST_F(BadInput, RangesToPrepare) {
  EXPECT_EQ(grkan_plan_prepare(plan, 10, 5, 1, 1), GRKAN_INVALID_ARGUMENT);
  EXPECT_TRUE(contains(grkan_last_error(), "rows 10 to 5 is not a range"));
  EXPECT_EQ(grkan_plan_prepare(plan, 1, 5, 1, 4), GRKAN_INVALID_ARGUMENT);
  EXPECT_TRUE(contains(grkan_last_error(), "inner 4 came with channels-last"));
}
TEST_F(BadInput, TuneOptions) {
  grkan_tune_options tuning{};
  tuning.size = sizeof(tuning);
  tuning.rows = 4;
  const auto error = [&](const char* field) {
    EXPECT_EQ(grkan_plan_tune(plan, &tuning, nullptr), GRKAN_INVALID_ARGUMENT);
    EXPECT_STREQ(grkan_last_error_field(), field);
    return std::string(grkan_last_error());
  };
  tuning.effort = GRKAN_EFFORT_INSTANT;
  EXPECT_EQ(error("effort"), "effort 2 does not tune; use quick, thorough or exhaustive");
  tuning.effort = 0;
  tuning.budget_seconds = -1;
  error("budget_seconds");
  tuning.budget_seconds = 0;
  tuning.rows_hi = 3;
  EXPECT_EQ(error("rows_hi"), "rows 4 to 3 is not a range; use 0 to tune at 4 rows alone");
  tuning.rows_hi = 0;
  tuning.direction = 9;
  error("direction");
  tuning.direction = GRKAN_BACKWARD;
  tuning.gradients = 8;
  error("gradients");
  tuning.gradients = GRKAN_DA;
  grkan_plan* all = plan;
  ASSERT_EQ(grkan_plan_create(context, &problem, "cpu", GRKAN_DX, &plan), GRKAN_OK);
  EXPECT_EQ(error("gradients"), "gradients da are asked for, but the plan was made with dx");
  grkan_text text{};
  EXPECT_EQ(grkan_plan_explain_gradients(plan, GRKAN_DX | GRKAN_DB, 4, 1, &text),
            GRKAN_INVALID_ARGUMENT);
  EXPECT_EQ(grkan_plan_explain_gradients(plan, GRKAN_DX, -4, 1, &text), GRKAN_INVALID_ARGUMENT);
  EXPECT_EQ(text.data, nullptr);
  EXPECT_EQ(grkan_plan_destroy(plan), GRKAN_OK);
  plan = all;
  // A caller of the version before these fields.
  tuning = {};
  tuning.size = offsetof(grkan_tune_options, rows_hi);
  tuning.rows = -1;
  EXPECT_EQ(grkan_plan_tune(plan, &tuning, nullptr), GRKAN_INVALID_ARGUMENT);
  EXPECT_TRUE(contains(grkan_last_error(), "rows -1")) << grkan_last_error();
}
TEST_F(BadInput, RowsZeroIsFine) {
  forward = {};
  forward.size = sizeof(forward);
  EXPECT_EQ(grkan_forward(plan, &forward), GRKAN_OK) << grkan_last_error();
  backward = {};
  backward.size = sizeof(backward);
  backward.da = da.data();
  backward.db = db.data();
  backward.accumulate = 1;
  EXPECT_EQ(grkan_backward(plan, &backward), GRKAN_OK) << grkan_last_error();
  EXPECT_EQ(da[0], 9.0F);
  backward.accumulate = 0;
  EXPECT_EQ(grkan_backward(plan, &backward), GRKAN_OK);
  EXPECT_EQ(da, std::vector<float>(12, 0.0F));
}

}  // namespace
