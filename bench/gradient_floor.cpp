#include "bench/gradient_floor.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"

namespace grkan {
namespace {

constexpr int kM = 5;
constexpr int kN = 4;
constexpr int kTerms = kM + 1 + kN;
constexpr std::array<float, kM + 1> kSwishA = {0, 0.5F, 0.25F, 3.0F / 56, 1.0F / 168, 1.0F / 3360};
constexpr std::array<float, kN> kSwishB = {0, 3.0F / 28, 0, 1.0F / 1680};

// The terms of one element in an arithmetic F, in the kernels' order of operations.
template <class F>
struct Terms {
  F value[kTerms];

  Terms(const F* a, const F* b, F x, F dy) {
    F p = a[kM];
    for (int i = kM - 1; i >= 0; --i) p = std::fma(p, x, a[i]);
    const F ax = std::fabs(x);
    F q = std::fabs(b[kN - 1]);
    for (int i = kN - 2; i >= 0; --i) q = std::fma(q, ax, std::fabs(b[i]));
    q = std::fma(q, ax, F(1));
    const F r = F(1) / q;
    const F w = dy * r;
    const F v = -(w * (p * r));
    F power = 1;
    for (int i = 0; i <= kM; ++i, power *= x) value[i] = w * power;
    power = ax;
    for (int i = 0; i < kN; ++i, power *= ax) {
      value[kM + 1 + i] = (b[i] < 0 ? F(-1) : F(1)) * (v * power);
    }
  }
};

float* floats(const SampleBuffer& buffer) { return reinterpret_cast<float*>(buffer.data()); }

std::int64_t groups_of(const Sample& sample) {
  const Problem& p = sample.task().problem;
  const bool fits = p.numerator_degree == kM && p.denominator_degree == kN &&
                    to_string(p.variant) == "A" && p.x_type == Type::f32 && p.y_type == Type::f32 &&
                    p.layout == Layout::channels_last &&
                    p.numerator_groups == p.denominator_groups && sample.options().padding == 0;
  if (!fits) {
    fail_argument("{} has no floor here; use p5q4-A-...-gN-f32-last without padding", to_string(p));
  }
  return p.numerator_groups;
}

}  // namespace

GradientSums gradient_sums(const Sample& sample) {
  GradientSums sums;
  for (std::int64_t group = 0; group < groups_of(sample); ++group) {
    const float* da = floats(sample.da) + group * (kM + 1);
    const float* db = floats(sample.db) + group * kN;
    sums.insert(sums.end(), da, da + kM + 1);
    sums.insert(sums.end(), db, db + kN);
  }
  return sums;
}

ExactSums exact_sums(const Sample& sample) {
  const std::int64_t groups = groups_of(sample);
  const std::int64_t width = sample.task().problem.channels / groups;
  const float* x = floats(sample.x);
  const float* dy = floats(sample.dy);
  const float* a = floats(sample.a);
  const float* b = floats(sample.b);
  const std::vector<double> a64(a, a + groups * (kM + 1));
  const std::vector<double> b64(b, b + groups * kN);
  ExactSums exact{GradientSums(std::size_t(groups * kTerms)),
                  GradientSums(std::size_t(groups * kTerms))};
  for (std::int64_t row = 0; row < sample.options().rows; ++row) {
    for (std::int64_t group = 0; group < groups; ++group) {
      const std::int64_t at_a = group * (kM + 1);
      const std::int64_t at_b = group * kN;
      double* sums_64 = exact.terms_64.data() + group * kTerms;
      double* sums_32 = exact.terms_32.data() + group * kTerms;
      for (std::int64_t column = 0; column < width; ++column, ++x, ++dy) {
        const Terms<double> terms_64(a64.data() + at_a, b64.data() + at_b, *x, *dy);
        const Terms<float> terms_32(a + at_a, b + at_b, *x, *dy);
        for (int i = 0; i < kTerms; ++i) {
          sums_64[i] += terms_64.value[i];
          sums_32[i] += double(terms_32.value[i]);
        }
      }
    }
  }
  for (double& sum : exact.terms_32) sum = double(float(sum));
  return exact;
}

void GradientError::add(const GradientSums& got, const GradientSums& exact) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    (int(i) % kTerms <= kM ? da : db) += std::fabs(got[i] - exact[i]);
  }
}

void set_swish(Sample& sample) {
  for (std::int64_t group = 0; group < groups_of(sample); ++group) {
    std::copy(kSwishA.begin(), kSwishA.end(), floats(sample.a) + group * (kM + 1));
    std::copy(kSwishB.begin(), kSwishB.end(), floats(sample.b) + group * kN);
  }
}

}  // namespace grkan
