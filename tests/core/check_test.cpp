// compare() against kernels that are wrong in known ways, and what a Sample watches over.
#include "core/check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/bounds.h"
#include "core/error.h"
#include "core/half.h"
#include "core/sample.h"
#include "cpu/schedule.h"
#include "tests/support/naive_kernel.h"

namespace grkan {
namespace {

constexpr int kRun = 64;
const Schedule kSchedule = CpuSchedule{.run = kRun, .backward = CpuSchedule::split};

// A backward run that passes, to be spoiled.
class Checked {
 public:
  explicit Checked(const char* task, SampleOptions options = {.rows = 20})
      : sample(parse_task(task), options), reference(make_reference(sample.task(), sample.call())) {
    naive_kernel(sample.task(), sample.call(), kRun);
    EXPECT_TRUE(errors().passes()) << errors().why_failed();
  }
  [[nodiscard]] TensorErrors errors() const {
    return compare(sample.task(), kSchedule, reference, sample.call());
  }

  Sample sample;
  Reference reference;
};

TEST(Check, AnErrorJustPastItsBoundFails) {
  Checked c("backward.dx.da.db/p5q4-A-c16-g2-f32-last");
  const ErrorBound bound = error_bound(c.sample.task(), kSchedule);
  const double most = bound.k_out * bound.u * c.reference.out.condition[7];
  void* const dx = c.sample.call().out;
  store_element(Type::f32, dx, 7, c.reference.out.value[7] + 0.9 * most);
  EXPECT_TRUE(c.errors().passes());
  store_element(Type::f32, dx, 7, c.reference.out.value[7] + 1.2 * most);
  const TensorErrors errors = c.errors();
  EXPECT_NEAR(errors.dx->scaled, 1.2, 0.1);
  EXPECT_EQ(errors.why_failed().find("dx is past its bound by 1."), 0U) << errors.why_failed();
  EXPECT_LE(errors.da->scaled, 1);
}

TEST(Check, EveryKindOfMistakeIsSeen) {
  const char* const text = "backward.dx.da.db/p5q4-A-c16-g2-f32-last";
  {  // an element that was not written
    Checked c(text);
    std::memset(c.sample.out.data() + 4, 0xFE, 4);
    EXPECT_FALSE(c.errors().passes());
  }
  {  // a sum that misses one element's term
    Checked c(text);
    const Call call = c.sample.call();
    store_element(Type::f32, call.da, 0,
                  load_element(Type::f32, call.da, 0) - load_element(Type::f32, call.dy, 0) / 8);
    EXPECT_GT(c.errors().da->scaled, 1);
  }
  {  // infinity or NaN where a number belongs
    Checked c(text);
    store_element(Type::f32, c.sample.call().db, 1, std::numeric_limits<double>::infinity());
    EXPECT_TRUE(std::isinf(c.errors().db->scaled));
    store_element(Type::f32, c.sample.call().db, 1, std::nan(""));
    EXPECT_TRUE(std::isinf(c.errors().db->scaled));
    EXPECT_TRUE(std::isinf(c.errors().db->max_abs));
  }
  {  // a number where NaN belongs
    Checked c(text, {.rows = 20, .specials = true});
    constexpr std::size_t kNan = 296;  // the ninth special
    ASSERT_TRUE(std::isnan(c.reference.out.value[kNan]));
    store_element(Type::f32, c.sample.call().out, std::int64_t{kNan}, 0);
    EXPECT_FALSE(c.errors().passes());
  }
}

TEST(Check, WrongRoundingOfA16BitOutputIsSeen) {
  Checked c("forward/p5q4-A-c16-g2-f32:bf16-last");
  // Truncation instead of rounding: off by up to a whole unit.
  const Call call = c.sample.call();
  for (std::int64_t i = 0; i < 320; ++i) {
    const auto y = float(c.reference.out.value[std::size_t(i)]);
    std::uint32_t bits = 0;
    std::memcpy(&bits, &y, 4);
    store_element(Type::bf16, call.out, i, bf16_to_f32(std::uint16_t(bits >> 16)));
  }
  EXPECT_GT(c.errors().y->scaled, 1.5);
}

TEST(Check, F16OverflowsToTheSameInfinity) {
  const Task task = parse_task("forward/p1q0-A-c1-g1-f16-last");
  const float a[2] = {0, 4};
  std::uint16_t x[3] = {to_f16(20000), to_f16(-20000), to_f16(1)};
  std::uint16_t y[3] = {to_f16(80000), to_f16(-80000), to_f16(4)};
  Call call;
  call.rows = 3;
  call.x = x;
  call.out = y;
  call.x_stride = call.out_stride = 1;
  call.a = a;
  const Reference reference = make_reference(task, call);
  EXPECT_TRUE(compare(task, CpuSchedule{}, reference, call).passes());
  y[1] = to_f16(80000);
  EXPECT_FALSE(compare(task, CpuSchedule{}, reference, call).passes());
  y[1] = to_f16(-65504);
  EXPECT_FALSE(compare(task, CpuSchedule{}, reference, call).passes());
}

TEST(Check, EachTensorIsReportedOnlyWhereAskedFor) {
  const TensorErrors forward = Checked("forward/p5q4-C-c16-g2-f64-last").errors();
  EXPECT_TRUE(forward.y.has_value() && !forward.dx && !forward.da && !forward.db);
  const TensorErrors db = Checked("backward.db/p5q4-C-c16-g2-f64-last").errors();
  EXPECT_TRUE(!db.y && !db.dx && !db.da && db.db.has_value());
  EXPECT_GT(db.db->bound, 0);
  EXPECT_GE(db.db->max_abs, db.db->mean_abs);
}

TEST(Check, NoRows) {
  Checked c("backward.dx.da.db/p5q4-A-c16-g2-f32-last", {.rows = 0});
  EXPECT_EQ(c.errors().scaled(), 0);
  store_element(Type::f32, c.sample.call().da, 3, 1e-30);  // must be zero
  EXPECT_FALSE(c.errors().passes());
}

TEST(Sample, SameOptionsGiveSameBytes) {
  const Task task = parse_task("backward.dx.da.db/p5q4-N-c16-g2-bf16:f32-last");
  const SampleOptions options{.rows = 9, .seed = 3, .padding = 2, .misaligned = true};
  Sample one(task, options);
  const Sample two(task, options);
  const Sample three(task, {.rows = 9, .seed = 4, .padding = 2, .misaligned = true});
  EXPECT_EQ(std::memcmp(one.x.data(), two.x.data(), two.x.bytes()), 0);
  EXPECT_EQ(std::memcmp(one.a.data(), two.a.data(), two.a.bytes()), 0);
  EXPECT_NE(std::memcmp(one.x.data(), three.x.data(), two.x.bytes()), 0);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(one.x.data()) % 64, 2U);
  EXPECT_EQ(one.call().x_stride, 18);
  // Values that every machine and library must give.
  EXPECT_EQ(load_element(Type::bf16, one.x.data(), 0), 0.3671875);
}

TEST(Sample, IsNearlyNormal) {
  const Sample sample(parse_task("forward/p5q4-A-c100-g1-f64-last"), {.rows = 1000});
  double sum = 0;
  double squares = 0;
  double most = 0;
  for (std::int64_t i = 0; i < 100000; ++i) {
    const double x = load_element(Type::f64, sample.x.data(), i);
    sum += x;
    squares += x * x;
    most = std::max(most, std::abs(x));
  }
  EXPECT_NEAR(sum / 1e5, 0, 0.02);
  EXPECT_NEAR(squares / 1e5, 1, 0.02);
  EXPECT_GT(most, 3.5);
  EXPECT_LE(most, 6);
}

TEST(Sample, KeepsNAwayFromItsPoles) {
  for (int n = 0; n <= kMaxDegree; ++n) {
    const Task task = parse_task(fmt::format("forward/p0q{}-N-c16-g16-f64-last", n));
    const Sample sample(task, {.rows = 1, .seed = std::uint64_t(n + 1)});
    for (int group = 0; group < 16; ++group) {
      for (int step = -600; step <= 600; ++step) {
        const double x = step * 0.01;
        double q = 1;
        for (int i = 1; i <= n; ++i) {
          q += load_element(Type::f64, sample.b.data(), group * n + i - 1) * std::pow(x, i);
        }
        ASSERT_GT(q, 0.2 - 1e-9) << n << " " << x;
      }
    }
  }
}

TEST(Sample, SeesWhatMustNotBeTouched) {
  const Task task = parse_task("backward.dx.da.db/p5q4-A-c16-g2-f32-last");
  Sample sample(task, {.rows = 4, .padding = 3});
  EXPECT_EQ(sample.why_damaged(), "");
  const auto spoil = [&](std::byte* at) {
    const std::byte before = *at;
    *at = std::byte{1};
    const std::string why = sample.why_damaged();
    *at = before;
    return why;
  };
  EXPECT_EQ(spoil(sample.out.data() - 1), "dx: bytes before the tensor were overwritten");
  EXPECT_EQ(spoil(sample.da.data() + sample.da.bytes()),
            "da: bytes behind the tensor were overwritten");
  EXPECT_EQ(spoil(sample.out.data() + std::size_t{4} * (19 + 16)),
            "dx: the padding after row 1 was overwritten");
  EXPECT_EQ(spoil(sample.x.data()), "an input tensor was overwritten");
  EXPECT_EQ(sample.why_damaged(), "");
}

TEST(Sample, ResetPutsBackWhatARunChanged) {
  const Task task = parse_task("backward.dx.da.db/p5q4-B-c16-g2-f32-last");
  Sample sample(task, {.rows = 30, .padding = 1, .in_place = true, .accumulate = true});
  const Reference reference = make_reference(task, sample.call());
  EXPECT_EQ(sample.call().out, sample.call().dy);
  for (int i = 0; i < 2; ++i) {
    sample.reset();
    naive_kernel(task, sample.call(), kRun);
    EXPECT_EQ(sample.why_damaged(), "");
    const TensorErrors errors = compare(task, kSchedule, reference, sample.call());
    EXPECT_TRUE(errors.passes()) << errors.why_failed();
  }
}

TEST(Sample, RefusesWhatDoesNotFit) {
  EXPECT_THROW(Sample(parse_task("forward/p1q1-A-c2-g1-f32:f16-last"), {.in_place = true}), Error);
  EXPECT_THROW(Sample(parse_task("forward/p1q1-A-c2-g1-f32-last"), {.inner = 2}), Error);
  EXPECT_THROW(Sample(parse_task("forward/p1q1-A-c2-g1-f32-last"), {.rows = -1}), Error);
}

}  // namespace
}  // namespace grkan
