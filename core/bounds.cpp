#include "core/bounds.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <variant>

#include "cuda/launch.h"
#include "core/half.h"

namespace grkan {
namespace {

// Rounding errors of 1 / Q beyond those of Q: one of a division, two of an approximate reciprocal,
// with or without a Newton step.
int reciprocal_roundings(const Schedule& schedule) {
  const auto* cuda = std::get_if<CudaSchedule>(&schedule);
  return cuda != nullptr && cuda->division != CudaSchedule::ieee ? 2 : 1;
}

// Rounding errors of a polynomial of that degree: the most that one term passes through.
int polynomial_roundings(const Schedule& schedule, int degree) {
  const auto* cuda = std::get_if<CudaSchedule>(&schedule);
  if (cuda == nullptr || cuda->polynomial != CudaSchedule::estrin) return degree;
  const int levels = std::bit_width(unsigned(degree));
  int most = 0;
  for (int i = 0; i <= degree; ++i) most = std::max(most, levels + i - std::popcount(unsigned(i)));
  return most;
}

// Of a value or, where it is wanted, its slope, whose coefficients i c_i are rounded too.
int roundings(const Task& task, const Schedule& schedule, int degree) {
  const int value = polynomial_roundings(schedule, degree);
  if (!task.gradients.dx || degree < 1) return value;
  const auto* cuda = std::get_if<CudaSchedule>(&schedule);
  const bool rounded = cuda != nullptr && cuda->polynomial != CudaSchedule::horner;
  return std::max(value, polynomial_roundings(schedule, degree - 1) + (rounded ? 1 : 0));
}

// Blocks that add to one coefficient, on any device.
double most_blocks(const Task& task, const CudaSchedule& schedule) {
  constexpr int kMultiprocessors = 256;  // more than any device has
  const double wave =
      schedule.slab > 0 ? double(kMostSlabs) : double(kMultiprocessors) * schedule.blocks;
  // Where a row alone has more tiles than a wave, those.
  return std::max(wave, double(task.problem.channels));
}

// Terms that one running sum takes before it goes into double (f64: into a compensated sum).
double run_terms(const Task& task, const Schedule& schedule) {
  if (!task.sums()) return 0;
  if (const auto* cpu = std::get_if<CpuSchedule>(&schedule)) return cpu->run;
  const auto& cuda = std::get<CudaSchedule>(schedule);
  // A thread's last run also takes the rows after the last whole group, and every run what the
  // flush before it rounded off. Kahan's sum of the runs costs two roundings, the thread's total
  // one.
  constexpr double kAbove = 3;
  const double rows = cuda.run + cuda.rows_in_flight - 1;
  // Packed sums take every other column; their halves are added before a flush.
  const double run =
      (cuda.packed != 0 ? rows * cuda.columns / 2 + 2 : rows * cuda.columns + 1) + kAbove;
  const bool atomics = cuda.sums == CudaSchedule::block_atomics;
  if (task.problem.math_type() != Type::f64 && !atomics) return run;
  // f64: the threads of a block, and then the blocks, are added in plain double. block_atomics:
  // blocks are added in the arithmetic's type.
  const double threads = task.problem.math_type() == Type::f64 ? cuda.threads() : 0;
  return run + threads + most_blocks(task, cuda);
}

int forward_roundings(const Schedule& schedule) {
  const auto* cuda = std::get_if<CudaSchedule>(&schedule);
  const bool product =
      cuda != nullptr && (cuda->division != CudaSchedule::ieee || cuda->packed != 0);
  return reciprocal_roundings(schedule) + (product ? 1 : 0);
}

}  // namespace

ErrorBound error_bound(const Task& task, const Schedule& schedule) {
  const Problem& p = task.problem;
  const int m = p.numerator_degree;
  const int d = reciprocal_roundings(schedule);
  const int of_p = roundings(task, schedule, m);
  const int of_q = roundings(task, schedule, p.denominator_degree) + 2;
  const int polynomials = std::max(of_p, of_q);
  ErrorBound bound;
  bound.u = unit_roundoff(p.math_type());
  bound.k_out = polynomials + (task.backward() ? d + 2 : forward_roundings(schedule));
  bound.k_da = of_q + d + 1 + std::max(0, m - 1);
  bound.k_db = polynomials + std::ceil((2 * d + 2 + p.denominator_degree) / 3.0);
  bound.run = run_terms(task, schedule);
  return bound;
}

std::optional<double> finite_below(const Task& task, const Schedule& schedule) {
  const Problem& p = task.problem;
  if (p.variant == Variant::n) return std::nullopt;
  constexpr long double kLargest = 16;  // of coefficients and of dy
  const long double least_q = p.variant == Variant::c ? 0.1L : 1.0L;
  const long double limit = largest_finite(p.math_type()) / 4;
  const long double q_limit = 1 / smallest_normal(p.math_type());
  const long double run = std::max(1.0, run_terms(task, schedule));
  // Sums of magnitudes at |x|, each at its worst.
  const auto fits = [&](long double x) {
    long double value = 0;
    long double derivative = 0;
    const auto horner = [&](int degree) {
      value = derivative = 0;
      for (int i = degree; i >= 0; --i) {
        derivative = derivative * x + value;
        value = value * x + kLargest;
      }
    };
    horner(p.denominator_degree);
    const long double q = value + 1;
    const long double dq = derivative;
    horner(p.numerator_degree);
    const long double y = value / least_q;
    const long double power = std::pow(x, std::max(p.numerator_degree, p.denominator_degree));
    if (q > q_limit || std::max({value, y, power}) > limit) return false;
    if (!task.backward()) return true;
    const long double w = kLargest / least_q;
    const long double v = w * y;
    const long double da = run * w * std::pow(x, p.numerator_degree);
    const long double db = run * v * std::pow(x, p.denominator_degree);
    return std::max({dq, v, w * derivative, v * dq, da, db}) <= limit;
  };
  // Bisection between powers of two, then within one.
  long double low = 0;
  long double high = largest_finite(p.x_type);
  if (fits(high)) return double(high);
  for (int i = 0; i < 2200; ++i) {
    const long double middle =
        low > 1 && high / low > 2 ? std::sqrt(low) * std::sqrt(high) : (low + high) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return double(low);
}

}  // namespace grkan
