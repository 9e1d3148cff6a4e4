#include "core/bounds.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/backend.h"
#include "core/half.h"

namespace grkan {
namespace {

// Rounding errors of a polynomial of that degree: the most that one term passes through.
int polynomial_roundings(const Arithmetic& arithmetic, int degree) {
  if (!arithmetic.pairs_of_terms) return degree;
  const int levels = std::bit_width(unsigned(degree));
  int most = 0;
  for (int i = 0; i <= degree; ++i) most = std::max(most, levels + i - std::popcount(unsigned(i)));
  return most;
}

// Of a value or, where it is wanted, its slope, whose coefficients i c_i may be rounded too.
int roundings(const Task& task, const Arithmetic& arithmetic, int degree) {
  const int value = polynomial_roundings(arithmetic, degree);
  if (!task.gradients.dx || degree < 1) return value;
  return std::max(value, polynomial_roundings(arithmetic, degree - 1) +
                             (arithmetic.slope_rounds_coefficients ? 1 : 0));
}

Arithmetic arithmetic_of(const Task& task, const Schedule& schedule) {
  return schedule.backend->arithmetic(task, schedule);
}

}  // namespace

ErrorBound error_bound(const Task& task, const Schedule& schedule) {
  const Problem& p = task.problem;
  const Arithmetic arithmetic = arithmetic_of(task, schedule);
  const int m = p.numerator_degree;
  const int d = arithmetic.reciprocal_roundings;
  const int of_p = roundings(task, arithmetic, m);
  const int of_q = roundings(task, arithmetic, p.denominator_degree) + 2;
  const int polynomials = std::max(of_p, of_q);
  ErrorBound bound;
  bound.u = unit_roundoff(p.math_type());
  const int forward = d + (arithmetic.multiplies_by_reciprocal ? 1 : 0);
  bound.k_out = polynomials + (task.backward() ? d + 2 : forward);
  bound.k_da = of_q + d + 1 + std::max(0, m - 1);
  bound.k_db = polynomials + std::ceil((2 * d + 2 + p.denominator_degree) / 3.0);
  bound.run = arithmetic.run;
  return bound;
}

std::optional<double> finite_below(const Task& task, const Schedule& schedule) {
  const Problem& p = task.problem;
  const Denominator& row = p.denominator();
  if (row.has_poles()) return std::nullopt;
  constexpr long double kLargest = 16;  // of coefficients and of dy
  const auto least_q = row.offset<long double>();
  const long double limit = largest_finite(p.math_type()) / 4;
  const long double q_limit = 1 / smallest_normal(p.math_type());
  const long double run = std::max(1.0, arithmetic_of(task, schedule).run);
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
    const auto q = row.at(value);
    const long double dq = q.slope * derivative;
    horner(p.numerator_degree);
    const long double y = value / least_q;
    const long double power = std::pow(x, std::max(p.numerator_degree, p.denominator_degree));
    if (q.q > q_limit || std::max({value, y, power}) > limit) return false;
    if (!task.backward()) return true;
    const long double w = kLargest / least_q;
    const long double v = w * y;
    const long double da = run * w * std::pow(x, p.numerator_degree);
    const long double v_b = v * q.slope;
    const long double db = run * v_b * std::pow(x, p.denominator_degree);
    return std::max({dq, v, v_b, w * derivative, v * dq, da, db}) <= limit;
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
