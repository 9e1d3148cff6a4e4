// The bounds hold for a kernel that does what the generated ones do, and are not so wide that they
// would let a wrong one pass.
#include "core/bounds.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/random_task.h"
#include "core/sample.h"
#include "cpu/schedule.h"
#include "cuda/schedule.h"
#include "tests/support/naive_kernel.h"

namespace grkan {
namespace {

constexpr int kRun = 64;
const Schedule kForward = CpuSchedule{};
const Schedule kBackward = CpuSchedule{.run = kRun, .backward = CpuSchedule::split};

const Schedule& schedule_of(const Task& task) { return task.sums() ? kBackward : kForward; }

// Small enough for a thousand of them; every shape, stride and alias all the same.
SampleOptions small_options(RandomGenerator& generator, const Task& task) {
  SampleOptions options = random_sample_options(generator, task);
  options.rows %= 9;
  options.inner = std::min<std::int64_t>(options.inner, 3);
  return options;
}

// The errors of the plain kernel on a sample.
TensorErrors run(const Task& task, const SampleOptions& options) {
  Sample sample(task, options);
  const Reference reference = make_reference(task, sample.call());
  naive_kernel(task, sample.call(), kRun);
  EXPECT_EQ(sample.why_damaged(), "");
  return compare(task, schedule_of(task), reference, sample.call());
}

TEST(Bounds, HoldForRandomProblems) {
  constexpr std::uint64_t kSeed = 20261123;
  std::printf("seed %llu\n", static_cast<unsigned long long>(kSeed));
  RandomGenerator generator(kSeed);
  std::map<std::string, std::vector<double>> scaled;
  for (int i = 0; i < 1000; ++i) {
    const Task task = random_task(generator);
    const SampleOptions options = small_options(generator, task);
    const TensorErrors errors = run(task, options);
    EXPECT_TRUE(errors.passes()) << i << ": " << to_string(task) << " rows " << options.rows << ": "
                                 << errors.why_failed();
    if (options.rows == 0 || task.problem.y_type != task.problem.math_type() ||
        task.problem.x_type != task.problem.math_type()) {
      continue;  // half a unit of a 16-bit output would hide what k does
    }
    for (const auto& [name, error] : {std::pair("y", errors.y), std::pair("dx", errors.dx),
                                      std::pair("da", errors.da), std::pair("db", errors.db)}) {
      if (error) scaled[name].push_back(error->scaled);
    }
  }
  for (auto& [name, values] : scaled) {
    std::sort(values.begin(), values.end());
    const double median = values[values.size() / 2];
    std::printf("%s: median of the largest scaled error %.3g, largest %.3g\n", name.c_str(), median,
                values.back());
    EXPECT_GT(median, 1e-3) << name;
  }
}

TEST(Bounds, SpecialsTouchNothingElse) {
  RandomGenerator generator(5);
  for (int i = 0; i < 200; ++i) {
    const Task task = random_task(generator);
    SampleOptions options = small_options(generator, task);
    options.specials = true;
    const TensorErrors errors = run(task, options);
    EXPECT_TRUE(errors.passes()) << i << ": " << to_string(task) << ": " << errors.why_failed();
  }
}

// A B of large terms with a zero at the x of one row, and near those of the others.
void make_b_cancel(const Sample& sample, std::mt19937_64& generator) {
  const Problem& p = sample.task().problem;
  std::uniform_real_distribution<double> uniform(-1, 1);
  const double zero = 4 * uniform(generator);
  const double scale = std::pow(10, 4 + 3 * uniform(generator));
  std::vector<double> b(std::size_t(p.denominator_degree + 1));
  double others = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (int(i) < p.denominator().first_power || i == 1) continue;
    b[i] = scale * uniform(generator);
    others += b[i] * std::pow(zero, i);
  }
  b[1] = -others / zero;
  for (int i = p.denominator().first_power; i <= p.denominator_degree; ++i) {
    store_element(p.math_type(), sample.b.data(), i - p.denominator().first_power,
                  b[std::size_t(i)]);
  }
  for (std::int64_t row = 0; row < sample.options().rows; ++row) {
    const double away = double(row) * std::pow(10, 4 * uniform(generator) - 4);
    store_element(p.x_type, sample.x.data(), row * sample.x.stride(), zero * (1 + away));
  }
}

TEST(Bounds, HoldWhereBCancels) {
  std::mt19937_64 generator(1);
  for (const Denominator& row : denominators()) {
    for (int i = 0; i < 4000; ++i) {
      const char* const direction = i % 2 == 0 ? "forward" : "backward.dx.da.db";
      const char* const type = i % 4 < 2 ? "f32" : "f64";
      const auto m = generator() % 6;
      const auto n = 2 + generator() % 5;
      const Task task =
          parse_task(fmt::format("{}/p{}q{}-{}-c1-g1-{}-last", direction, m, n, row.letter, type));
      Sample sample(task, {.rows = 8, .seed = generator()});
      make_b_cancel(sample, generator);
      const Reference reference = make_reference(task, sample.call());
      naive_kernel(task, sample.call(), kRun);
      const TensorErrors errors = compare(task, schedule_of(task), reference, sample.call());
      ASSERT_TRUE(errors.passes()) << to_string(task) << " " << i << ": " << errors.why_failed();
    }
  }
}

// b1 x is less than half the smallest subnormal: a sum of powers gives +0 for either sign.
TEST(Bounds, EitherSignOfBWhereItsTermsUnderflow) {
  const Task task = parse_task("backward.dx/p1q2-B-c1-g1-f32-last");
  for (const double sign : {1.0, -1.0}) {
    for (const double taken : {1.0, -1.0}) {
      Sample sample(task, {.rows = 1});
      const auto set = [](const SampleBuffer& buffer, std::int64_t i, double value) {
        store_element(Type::f32, buffer.data(), i, value);
      };
      set(sample.x, 0, sign * smallest_subnormal(Type::f32));
      set(sample.dy, 0, 1);
      set(sample.a, 0, 1);
      set(sample.a, 1, 0.5);
      set(sample.b, 0, 0.25);
      set(sample.b, 1, 0.001);
      const Reference reference = make_reference(task, sample.call());
      set(sample.out, 0, 0.5 - taken * 0.25);
      const TensorErrors errors = compare(task, schedule_of(task), reference, sample.call());
      EXPECT_TRUE(errors.passes()) << sign << " " << taken << ": " << errors.why_failed();
    }
  }
}

TEST(Bounds, KOfEachScheme) {
  const Task forward = parse_task("forward/p5q4-A-c8-g1-f32-last");
  const Task backward = parse_task("backward.dx.da.db/p5q4-A-c8-g1-f32-last");
  EXPECT_EQ(error_bound(forward, kForward).k_out, 7);
  EXPECT_EQ(error_bound(forward, kForward).run, 0);
  const ErrorBound cpu = error_bound(backward, kBackward);
  EXPECT_EQ(cpu.k_out, 9);
  EXPECT_EQ(cpu.k_da, 12);
  EXPECT_EQ(cpu.k_db, 9);
  EXPECT_EQ(cpu.run, kRun);
  const Schedule newton = CudaSchedule{.columns = 4, .run = 16, .sums = CudaSchedule::two_pass};
  EXPECT_EQ(error_bound(backward, newton).run, (16 + 1) * 4 + 1 + 3);
  EXPECT_EQ(error_bound(backward, newton).k_out, 10);
  EXPECT_EQ(error_bound(forward, CudaSchedule{}).k_out, 9);
  // Estrin: three levels, and powers of up to three roundings, on terms 4 and 5.
  EXPECT_EQ(error_bound(forward, CudaSchedule{.polynomial = CudaSchedule::estrin}).k_out, 11);
  EXPECT_EQ(error_bound(forward, CudaSchedule{.polynomial = CudaSchedule::powers}).k_out, 9);
  // Packed sums take every other column.
  const Schedule packed =
      CudaSchedule{.columns = 4, .packed = 1, .run = 16, .sums = CudaSchedule::two_pass};
  EXPECT_EQ(error_bound(backward, packed).run, (16 + 1) * 2 + 2 + 3);
}

TEST(FiniteBelow, ShrinksWithDegreesAndEndsWithTheType) {
  const auto below = [](std::string_view text) {
    const Task task = parse_task(text);
    return finite_below(task, schedule_of(task));
  };
  EXPECT_FALSE(below("forward/p5q4-N-c8-g1-f32-last").has_value());
  // 16 x^5 (1 + ...) meets 2^126 at x = 2^24.4; backward's v x^4 = 16 * 16 x^9 is much earlier.
  EXPECT_NEAR(std::log2(*below("forward/p5q4-A-c8-g1-f32-last")), 24.4, 0.1);
  EXPECT_NEAR(std::log2(*below("backward.dx.da.db/p5q4-A-c8-g1-f32-last")), 12.4, 0.3);
  EXPECT_EQ(below("forward/p2q2-A-c8-g1-f16-last"), 65504);
  EXPECT_EQ(below("forward/p0q0-A-c8-g1-f32-last"), double(std::numeric_limits<float>::max()));
  EXPECT_GT(*below("backward.dx.da.db/p15q15-C-c8-g1-f64-last"), 1e9);
}

TEST(FiniteBelow, NothingOverflowsThere) {
  std::vector<std::string> texts;
  for (const Denominator& row : denominators()) {
    for (const char* degrees : {"p5q4", "p9q3", "p3q7", "p0q3"}) {
      if (row.has_poles()) continue;
      texts.push_back(fmt::format("backward.dx.da.db/{}-{}-c1-g1-f32-last", degrees, row.letter));
    }
  }
  for (const std::string& text : texts) {
    const Task task = parse_task(text);
    const auto x = float(*finite_below(task, kBackward) * 0.999);
    const std::vector<float> a(16, 16);
    for (const float largest : {0.0F, 16.0F, -16.0F}) {
      const std::vector<float> b(16, largest);
      for (const float at : {x, -x}) {
        float out = 0;
        std::array<float, 16> da{};
        std::array<float, 16> db{};
        for (int i = 0; i < kRun; ++i) {
          naive_element(task, a.data(), b.data(), at, 16.0F, out, da.data(), db.data());
        }
        EXPECT_TRUE(std::isfinite(out)) << text << " " << at;
        EXPECT_TRUE(std::all_of(da.begin(), da.end(), [](float v) { return std::isfinite(v); }));
        EXPECT_TRUE(std::all_of(db.begin(), db.end(), [](float v) { return std::isfinite(v); }));
      }
    }
  }
}

}  // namespace
}  // namespace grkan
