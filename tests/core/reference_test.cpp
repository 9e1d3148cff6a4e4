// The reference against an independent computation: the function alone in a wider format, its
// gradients by central differences, and sums worked out by hand.
#include "core/reference.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "core/double_double.h"
#include "core/half.h"
#include "core/sample.h"

namespace grkan {
namespace {

#ifdef __SIZEOF_FLOAT128__
__extension__ using Wide = __float128;
#else
using Wide = long double;  // 113 bits where there is no __float128
#endif

Wide absolute(Wide x) { return x < 0 ? -x : x; }
Wide power(Wide x, int i) { return i == 0 ? Wide(1) : x * power(x, i - 1); }

// y by the formula of the variant, term by term.
Wide function(const Problem& p, const Wide* a, const Wide* b, Wide x) {
  Wide numerator = 0;
  for (int i = 0; i <= p.numerator_degree; ++i) numerator += a[i] * power(x, i);
  Wide terms = 0;
  Wide sum = 0;
  const int first = p.variant == Variant::c ? 0 : 1;
  for (int i = first; i <= p.denominator_degree; ++i) {
    sum += b[i - first] * power(x, i);
    terms += absolute(b[i - first] * power(x, i));
  }
  switch (p.variant) {
    case Variant::a:
      return numerator / (1 + terms);
    case Variant::b:
      return numerator / (1 + absolute(sum));
    case Variant::c:
      return numerator / (Wide(1) / 10 + absolute(sum));
    case Variant::n:
      return numerator / (1 + sum);
    case Variant::s:
      return numerator / (1 + sum * sum);
  }
  return 0;
}

// d f / d at, by central differences in 113 bits: their error goes with step^2.
Wide derivative(Wide& at, Wide step, const std::function<Wide()>& f) {
  const Wide before = at;
  at = before + step;
  const Wide above = f();
  at = before - step;
  const Wide below = f();
  at = before;
  return (above - below) / (2 * step);
}

std::vector<Wide> load_all(Type type, const void* tensor, std::int64_t count) {
  std::vector<Wide> values;
  values.reserve(std::size_t(count));
  for (std::int64_t i = 0; i < count; ++i) values.push_back(load_element(type, tensor, i));
  return values;
}

struct Loss {
  Problem p;
  Call call;
  std::vector<Wide> a, b;

  [[nodiscard]] Wide x(std::int64_t row, std::int64_t i) const {
    return load_element(p.x_type, call.x, row * call.x_stride + i);
  }
  [[nodiscard]] Wide dy(std::int64_t row, std::int64_t i) const {
    return load_element(p.y_type, call.dy, row * call.dy_stride + i);
  }
  [[nodiscard]] Wide element(std::int64_t i, Wide x) const {
    const std::int64_t channel = i / call.inner;
    const std::int64_t a_group = channel * p.numerator_groups / p.channels;
    const std::int64_t b_group = channel * p.denominator_groups / p.channels;
    return function(p, a.data() + a_group * p.numerator_terms(),
                    b.data() + b_group * p.denominator_terms(), x);
  }
  // L = sum y dy: its derivatives are the gradients.
  [[nodiscard]] Wide operator()() const {
    Wide sum = 0;
    for (std::int64_t row = 0; row < call.rows; ++row) {
      for (std::int64_t i = 0; i < p.channels * call.inner; ++i) {
        sum += element(i, x(row, i)) * dy(row, i);
      }
    }
    return sum;
  }
};

// What central differences in 113 bits leave, relative to the magnitudes involved.
double tolerance(const Problem& p) { return p.math_type() == Type::f64 ? 1e-15 : 1e-13; }

void check_gradients(const std::string& text, std::int64_t inner) {
  const Task task = parse_task(text);
  const Sample sample(task, {.rows = 3, .inner = inner, .seed = 7, .padding = 1});
  const Problem& p = task.problem;
  const Reference reference = make_reference(task, sample.call());
  Loss loss{p, sample.call(), {}, {}};
  loss.a = load_all(p.math_type(), loss.call.a, p.numerator_groups * p.numerator_terms());
  loss.b = load_all(p.math_type(), loss.call.b, p.denominator_groups * p.denominator_terms());

  const Reference forward = make_reference(forward_task(p), sample.call());
  const std::int64_t width = p.channels * inner;
  for (std::int64_t row = 0; row < 3; ++row) {
    for (std::int64_t i = 0; i < width; ++i) {
      const auto at = std::size_t(row * width + i);
      Wide x = loss.x(row, i);
      const Wide y = loss.element(i, x);
      EXPECT_NEAR(forward.out.value[at], double(y), 1e-15 * forward.out.condition[at]) << text;
      const Wide slope = derivative(x, Wide(1e-11), [&] { return loss.element(i, x); });
      EXPECT_NEAR(reference.out.value[at], double(slope * loss.dy(row, i)),
                  tolerance(p) * (1 + reference.out.condition[at]))
          << text;
    }
  }
  const auto check = [&](std::vector<Wide>& coefficients, int terms, const SumReference& sums) {
    ASSERT_EQ(sums.value.size(), coefficients.size());
    for (std::size_t i = 0; i < coefficients.size(); ++i) {
      // x^terms goes up to 4^terms: the step follows, so that it moves y by as little for each.
      const Wide step = Wide(1e-10) / power(4, int(i) % terms);
      EXPECT_NEAR(sums.value[i], double(derivative(coefficients[i], step, [&] { return loss(); })),
                  tolerance(p) * (1 + sums.condition[i]))
          << text << " " << i;
      EXPECT_GE(sums.condition[i], sums.magnitude[i]) << text;
    }
  };
  check(loss.a, p.numerator_terms(), reference.da);
  check(loss.b, p.denominator_terms(), reference.db);
}

TEST(Reference, GradientsAreTheDifferencesOfTheFunction) {
  for (const char* text :
       {"backward.dx.da.db/p5q4-A-c6-g2x3-f32-last", "backward.dx.da.db/p5q4-B-c6-g2-f64-last",
        "backward.dx.da.db/p3q3-C-c4-g1x4-f64-last", "backward.dx.da.db/p2q5-N-c3-g3-f64-last",
        "backward.dx.da.db/p0q0-A-c2-g1-f32-last", "backward.dx.da.db/p0q0-C-c2-g1-f64-last",
        "backward.dx.da.db/p1q1-N-c2-g1-f32-last", "backward.dx.da.db/p15q15-A-c2-g1-f64-last",
        "backward.dx.da.db/p4q2-B-c2-g2-bf16:f32-last",
        "backward.dx.da.db/p4q2-C-c2-g2-f16-last"}) {
    check_gradients(text, 1);
  }
  for (const Denominator& row : denominators()) {
    for (const char* type : {"f32", "f64"}) {
      check_gradients(fmt::format("backward.dx.da.db/p5q4-{}-c6-g2x3-{}-last", row.letter, type),
                      1);
    }
  }
  check_gradients("backward.dx.da.db/p5q4-A-c6-g2x3-f64-first", 3);
}

// One element, one channel.
struct Single {
  std::vector<float> a;
  std::vector<float> b;
  float x = 0;
  float dy = 1;
  [[nodiscard]] Reference reference(const char* text) const {
    Call call;
    call.rows = 1;
    call.x = &x;
    call.dy = &dy;
    call.a = a.data();
    call.b = b.data();
    return make_reference(parse_task(text), call);
  }
};

TEST(Reference, VersionAByHand) {
  // P = 1 + 2x + 3x^2, Q = 1 + |-1| |x| + 0.5 x^2 at x = -2: P = 9, Q = 5.
  const Single s{{1, 2, 3}, {-1, 0.5F}, -2, 10};
  EXPECT_DOUBLE_EQ(s.reference("forward/p2q2-A-c1-g1-f32-last").out.value[0], 9.0 / 5);
  const Reference r = s.reference("backward.dx.da.db/p2q2-A-c1-g1-f32-last");
  // w = 2, P' = -10, Q' = -(1 + 2) = -3, v = -w y = -3.6: dx = -20 + 10.8.
  EXPECT_DOUBLE_EQ(r.out.value[0], 2 * -10.0 + -3.6 * -3);
  EXPECT_DOUBLE_EQ(r.da.value[0], 2);
  EXPECT_DOUBLE_EQ(r.da.value[1], -4);
  EXPECT_DOUBLE_EQ(r.da.value[2], 8);
  EXPECT_DOUBLE_EQ(r.db.value[0], -3.6 * -1 * 2);  // sign(b) |x|
  EXPECT_DOUBLE_EQ(r.db.value[1], -3.6 * 4);
  EXPECT_GT(r.out.condition[0], std::abs(r.out.value[0]));
}

TEST(Reference, SubgradientsAtZero) {
  const char* const backward = "backward.dx.da.db/p1q2-A-c1-g1-f32-last";
  // dQ/dx = sign(x) |b_1| at zero, the sign being the bit: dx = w (P' - y Q') = 2 -+ 3.
  EXPECT_DOUBLE_EQ((Single{{1, 2}, {3, 0}, 0.0F, 1}.reference(backward).out.value[0]), -1);
  EXPECT_DOUBLE_EQ((Single{{1, 2}, {3, 0}, -0.0F, 1}.reference(backward).out.value[0]), 5);
  // sign(0) = +1 for b: a zero denominator can learn.
  const Reference r = Single{{1, 2}, {0, 0}, -1, 1}.reference(backward);
  EXPECT_DOUBLE_EQ(r.db.value[0], 1);  // v |x| with v = -y = 1
  EXPECT_DOUBLE_EQ(r.db.slack[0], 0);
}

TEST(Reference, EitherSignIsRightWhereBVanishes) {
  const char* const backward = "backward.dx.da.db/p1q2-B-c1-g1-f32-last";
  // B = x - x^2 is zero at x = 1: Q' = sign(B) (1 - 2) and db = v sign(B) x^i may have either sign.
  const Reference r = Single{{1, 2}, {1, -1}, 1, 1}.reference(backward);
  EXPECT_NEAR(r.db.slack[0], 2 * 3, 1e-6);
  EXPECT_GE(r.out.condition[0] * 0x1p-24, 2 * 3.0 * 1);
  const Reference away = Single{{1, 2}, {1, -1}, 0.5F, 1}.reference(backward);
  EXPECT_EQ(away.db.slack[0], 0);
  EXPECT_LT(away.out.condition[0], 100);
}

TEST(Reference, SumsLoseNothing) {
  // Terms of 1e8 that cancel leave the ones between them: 3 x (1e8 + 1 - 1e8) = 3, in an order in
  // which f32 sums give 0 and the f64 sum of 1e16 terms does too.
  const auto sum_of = [](auto large) {
    using F = decltype(large);
    const std::vector<F> dy = {large, 1, -large, large, 1, -large, large, 1, -large};
    const std::vector<F> x(dy.size(), 1);
    const std::vector<F> a = {0};
    Call call;
    call.rows = std::int64_t(dy.size());
    call.x = x.data();
    call.dy = dy.data();
    call.x_stride = call.dy_stride = 1;
    call.a = a.data();
    const char* const type = sizeof(F) == 4 ? "f32" : "f64";
    return make_reference(parse_task(fmt::format("backward.da/p0q0-A-c1-g1-{}-last", type)), call)
        .da;
  };
  EXPECT_EQ(sum_of(1e30F).value[0], 3);
  EXPECT_EQ(sum_of(1e30).value[0], 3);
  EXPECT_EQ(sum_of(1e8F).magnitude[0], 6e8 + 3 + 9 * 0x1p-126);
}

TEST(Reference, AccumulateAddsToWhatIsThere) {
  const Task task = parse_task("backward.da.db/p3q2-A-c4-g2-f32-last");
  const SampleOptions options{.rows = 5, .accumulate = true};
  const Sample sample(task, options);
  Call plain = sample.call();
  plain.accumulate = false;
  const Reference added = make_reference(task, sample.call());
  const Reference sums = make_reference(task, plain);
  for (std::size_t i = 0; i < sums.da.value.size(); ++i) {
    const double before = load_element(Type::f32, sample.call().da, std::int64_t(i));
    EXPECT_NEAR(added.da.value[i], before + sums.da.value[i], 1e-14);
  }
}

TEST(Reference, NanAndInfinityStayInTheirElementAndGroup) {
  const Task task = parse_task("backward.dx.da.db/p3q2-A-c3-g3-f32-last");
  const Sample sample(task, {.rows = 2});
  store_element(Type::f32, sample.x.data(), 0, std::nan(""));
  store_element(Type::f32, sample.x.data(), 1, std::numeric_limits<double>::infinity());
  const Reference r = make_reference(task, sample.call());
  EXPECT_TRUE(std::isnan(r.out.value[0]));
  EXPECT_TRUE(std::isinf(r.out.condition[1]));
  EXPECT_TRUE(std::isnan(r.da.value[0]) && std::isnan(r.db.value[0]));
  EXPECT_TRUE(std::isinf(r.da.condition[4]) && std::isinf(r.db.condition[2]));
  for (std::size_t i = 2; i < 6; ++i) {
    EXPECT_TRUE(std::isfinite(r.out.value[i]) && std::isfinite(r.out.condition[i])) << i;
  }
  EXPECT_TRUE(std::isfinite(r.da.value[8]) && std::isfinite(r.da.condition[8]));
}

TEST(Reference, NoRowsGiveZeroSums) {
  const Task task = parse_task("backward.dx.da.db/p3q2-A-c3-g3-f32-last");
  const Sample sample(task, {.rows = 0});
  EXPECT_EQ(sample.call().x, nullptr);
  const Reference r = make_reference(task, sample.call());
  EXPECT_TRUE(r.out.value.empty());
  EXPECT_EQ(r.da.value, std::vector<double>(12));
  EXPECT_EQ(r.db.value, std::vector<double>(6));
}

TEST(DoubleDouble, KeepsAHundredBits) {
  const DoubleDouble third = DoubleDouble(1) / DoubleDouble(3);
  const DoubleDouble back = third * DoubleDouble(3) - DoubleDouble(1);
  EXPECT_LT(std::abs(double(back)), 0x1p-103);
  const DoubleDouble small = DoubleDouble(1) + DoubleDouble(0x1p-100) - DoubleDouble(1);
  EXPECT_EQ(double(small), 0x1p-100);
  // (1 + 2^-60)^2 = 1 + 2^-59 + 2^-120.
  const DoubleDouble x = DoubleDouble(1) + DoubleDouble(0x1p-60);
  EXPECT_EQ(double(x * x - DoubleDouble(1)), 0x1p-59);
}

}  // namespace
}  // namespace grkan
