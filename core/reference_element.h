// One element of the reference: values and conditions (docs/errors.md), in T = double or
// DoubleDouble. Private to reference.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "core/call.h"
#include "core/double_double.h"
#include "core/half.h"
#include "core/problem.h"

namespace grkan::reference_element {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr std::size_t kMaxTerms = kMaxDegree + 1;

inline bool negative(double x) { return std::signbit(x); }
inline bool negative(DoubleDouble x) { return std::signbit(x.hi); }
inline double magnitude(double x) { return std::abs(x); }
inline double magnitude(DoubleDouble x) { return std::abs(double(x)); }
template <class T>
T with_sign(T x, bool minus) {
  return minus ? -x : x;
}

// Roundings of a polynomial scheme beyond Horner's: Estrin's levels.
inline constexpr int kMostOverHorner = 3;

// What no element changes.
struct Arithmetic {
  explicit Arithmetic(const Problem& problem)
      : u(unit_roundoff(problem.math_type())),
        tiny(smallest_normal(problem.math_type())),
        largest(largest_finite(problem.math_type()) / 4),
        q_roundings(problem.denominator_degree + 2 + kMostOverHorner) {}

  double u;
  double tiny;  // what underflow can cost, in units of u: every magnitude has it added
  double
      largest;  // an intermediate value past it may overflow; a Q past 1 / tiny has no reciprocal
  int q_roundings;
};

// The polynomial of one group: coefficients by power, and their magnitudes.
template <class T>
struct Polynomial {
  std::array<T, kMaxTerms> c{};
  std::array<double, kMaxTerms> magnitude{};
  int degree = 0;

  void set(int power, double value, double tiny) {
    c[std::size_t(power)] = T(value);
    magnitude[std::size_t(power)] = std::abs(value) + tiny;
  }
};

// A polynomial and its derivative at x, and the sums of their terms' magnitudes.
template <class T>
struct PolynomialValue {
  T value{};
  T derivative{};
  double abs_value = 0;
  double abs_derivative = 0;
  double abs_power = 0;  // |x|^degree, which a sum of powers forms
};

template <class T>
PolynomialValue<T> evaluate(const Polynomial<T>& p, T x, double abs_x, double tiny) {
  PolynomialValue<T> r;
  for (int i = p.degree; i >= 0; --i) {
    r.derivative = r.derivative * x + r.value;
    r.value = r.value * x + p.c[std::size_t(i)];
  }
  double power = 1;  // |x|^i
  for (int i = 0; i <= p.degree; ++i) {
    const double magnitude = p.magnitude[std::size_t(i)];
    if (i > 0) r.abs_derivative += i * magnitude * (r.abs_power + tiny);
    // A product has an underflow of its own, also where its factors have none.
    r.abs_value += magnitude * (power + (i > 1 ? tiny : 0)) + (i > 0 ? tiny : 0);
    r.abs_power = power;
    power *= abs_x;
  }
  return r;
}

template <class T>
std::vector<Polynomial<T>> numerators(const Problem& p, const Call& call, double tiny) {
  std::vector<Polynomial<T>> result(std::size_t(p.numerator_groups));
  std::int64_t at = 0;
  for (Polynomial<T>& polynomial : result) {
    polynomial.degree = p.numerator_degree;
    for (int i = 0; i <= p.numerator_degree; ++i) {
      polynomial.set(i, load_element(p.coefficient_type(), call.a, at++), tiny);
    }
  }
  return result;
}

// B.
template <class T>
std::vector<Polynomial<T>> denominators(const Problem& p, const Call& call, double tiny) {
  std::vector<Polynomial<T>> result(std::size_t(p.denominator_groups));
  std::int64_t at = 0;
  for (Polynomial<T>& polynomial : result) {
    polynomial.degree = p.denominator_degree;
    for (int i = p.denominator().first_power; i <= p.denominator_degree; ++i) {
      const double b = load_element(p.coefficient_type(), call.b, at++);
      polynomial.set(i, p.denominator().absolute_terms() ? std::abs(b) : b, tiny);
    }
  }
  return result;
}

// Q and Q' with their magnitudes, in arithmetic of its own: what core/denominator.h computes is
// among the things to be checked. `either_sign`: B is within its rounding error of a jump of dQ/dB.
template <class T>
struct DenominatorValue {
  T q{};
  T derivative{};
  double abs_q = 0;
  double abs_derivative = 0;
  double abs_power = 0;
  T slope{1};              // dQ/dB
  double slope_error = 0;  // what its rounding error is a multiple of
  double most_slope = 1;   // |dQ/dB| and |Q'| at most, as kernels may compute them
  double most_derivative = 0;
  double abs_b_derivative = 0;  // B' with magnitudes
  bool either_sign = false;
};

template <class T>
DenominatorValue<T> evaluate_q(const Denominator& row, const Arithmetic& arithmetic,
                               const Polynomial<T>& polynomial, T x, double abs_x) {
  DenominatorValue<T> r;
  const bool x_minus = row.absolute_terms() && negative(x);
  const PolynomialValue<T> b = evaluate(polynomial, with_sign(x, x_minus), abs_x, arithmetic.tiny);
  const T offset = row.offset<T>();
  const double b_error = arithmetic.q_roundings * arithmetic.u * b.abs_value;
  r.abs_q = double(offset) + b.abs_value;
  r.abs_derivative = b.abs_derivative;
  r.abs_power = b.abs_power;
  r.most_derivative = magnitude(b.derivative);
  r.abs_b_derivative = b.abs_derivative;
  switch (row.form) {
    case Denominator::Form::terms:
    case Denominator::Form::plain:
      r.q = offset + b.value;
      r.derivative = with_sign(b.derivative, x_minus);
      break;
    case Denominator::Form::magnitude: {
      const bool minus = negative(b.value);
      r.slope = with_sign(T(1), minus);
      r.q = offset + with_sign(b.value, minus);
      r.derivative = with_sign(b.derivative, minus);
      r.either_sign = magnitude(b.value) <= b_error;
      break;
    }
    case Denominator::Form::square: {
      const double most_b = magnitude(b.value) + b_error;
      const double derivative = magnitude(b.derivative);
      r.slope = b.value + b.value;
      r.q = offset + b.value * b.value;
      r.derivative = r.slope * b.derivative;
      r.abs_q = double(offset) + 2 * most_b * b.abs_value;
      r.abs_derivative = 2 * (most_b * b.abs_derivative + b.abs_value * derivative);
      r.slope_error = 2 * b.abs_value;
      r.most_slope = 2 * most_b;
      r.most_derivative =
          r.most_slope * (derivative + arithmetic.q_roundings * arithmetic.u * b.abs_derivative);
      break;
    }
  }
  return r;
}

// One element: its values, and the factors of the conditions of docs/errors.md.
template <class T>
struct Element {
  bool in_range = false;  // nothing can overflow, and rounding errors are small against Q
  T y{};
  T dx{};
  T w{};
  T v{};  // with dQ/dB, so that db_i = sum v x^i
  double y_condition = 0;
  double dx_condition = 0;
  double w_magnitude = 0;
  double v_magnitude = 0;
  double w_condition = 0;  // of a term w x^i: w_condition |x^i|
  double v_condition = 0;
  bool either_sign = false;
};

// The quotient, shared by both directions.
template <class T>
struct Quotient {
  PolynomialValue<T> p;
  DenominatorValue<T> q;
  double abs_q = 0;          // |Q|
  double amplification = 0;  // sum of Q's magnitudes over |Q|
  double second_order = 0;  // a factor that covers products of rounding errors; infinite: too large
};

template <class T>
Quotient<T> evaluate_quotient(const Denominator& row, const Arithmetic& arithmetic,
                              const Polynomial<T>& numerator, const Polynomial<T>& denominator,
                              T x) {
  Quotient<T> r;
  const double abs_x = magnitude(x);
  r.p = evaluate(numerator, x, abs_x, arithmetic.tiny);
  r.q = evaluate_q(row, arithmetic, denominator, x, abs_x);
  r.abs_q = magnitude(r.q.q);
  r.amplification = r.q.abs_q / r.abs_q;
  const double q_error = arithmetic.q_roundings * arithmetic.u * r.amplification;
  r.second_order = q_error < 0.125 ? 1 / ((1 - q_error) * (1 - q_error)) : kInfinity;
  return r;
}

template <class T>
void forward_element(const Arithmetic& arithmetic, const Quotient<T>& t, Element<T>& e) {
  e.y = t.p.value / t.q.q;
  e.y_condition = t.second_order * (t.p.abs_value / t.abs_q + magnitude(e.y) * t.amplification);
  const double peak =
      std::max({t.p.abs_value, t.p.abs_power, t.q.abs_q, t.q.abs_power, magnitude(e.y)});
  e.in_range =
      peak <= arithmetic.largest && t.q.abs_q <= 1 / arithmetic.tiny && e.y_condition < kInfinity;
}

template <class T>
void backward_element(const Arithmetic& arithmetic, const Quotient<T>& t, T dy, double top_a,
                      double top_b, Element<T>& e) {
  const double tiny = arithmetic.tiny;
  const T wide_w = dy / t.q.q;
  const T slope = t.p.derivative - e.y * t.q.derivative;
  e.w = wide_w;
  e.dx = wide_w * slope;
  e.v = -(wide_w * e.y) * t.q.slope;
  const double w = magnitude(wide_w) + tiny;
  const double y = magnitude(e.y) + tiny;
  const double dq = t.q.most_derivative;
  const double p_over_q = t.p.abs_value / t.abs_q;
  e.w_magnitude = w;
  e.v_magnitude = w * y * t.q.most_slope + tiny;
  e.w_condition = t.second_order * w * t.amplification;
  e.v_condition = t.second_order * (w * (p_over_q + 2 * y * t.amplification) * t.q.most_slope +
                                    w * y * t.q.slope_error + tiny * std::max(1.0, t.q.most_slope));
  e.dx_condition =
      t.second_order * (w * (t.p.abs_derivative + y * t.q.abs_derivative + dq * p_over_q +
                             (magnitude(slope) + y * dq) * t.amplification) +
                        tiny * (1 + std::max(t.q.abs_derivative, t.q.abs_b_derivative)));
  e.either_sign = t.q.either_sign;
  if (e.either_sign) e.dx_condition += 2 * e.v_magnitude * dq / arithmetic.u;
  const double peak = std::max({t.p.abs_derivative, t.q.abs_derivative, w * t.p.abs_derivative,
                                (w * y + tiny) * t.q.abs_derivative, top_a * std::max(1.0, w),
                                top_b * std::max(1.0, e.v_magnitude), w * p_over_q});
  e.in_range = e.in_range && peak <= arithmetic.largest;
}

}  // namespace grkan::reference_element
