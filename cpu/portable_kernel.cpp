#include "cpu/portable_kernel.h"

#include <array>
#include <cmath>
#include <cstring>

#include "core/half.h"

namespace grkan {
namespace {

// P or B and its derivative at x, by Horner; coefficients are of x^first and up.
template <class T>
struct ValueAndSlope {
  T value = 0;
  T slope = 0;
};

template <class T>
ValueAndSlope<T> horner(const T* coefficients, int terms, int first, T x) {
  ValueAndSlope<T> p;
  for (int i = terms - 1; i >= 0; --i) {
    p.slope = std::fma(p.slope, x, p.value);
    p.value = std::fma(p.value, x, coefficients[i]);
  }
  if (first == 1) {  // B = x * (b1 + b2 x + ...)
    p.slope = std::fma(p.slope, x, p.value);
    p.value = p.value * x;
  }
  return p;
}

// Q, its derivative, and the factor of a term of db, dQ/dB.
template <class T>
struct ValueOfQ {
  T q = 1;
  T derivative = 0;
  T slope = 1;
};

template <class T>
ValueOfQ<T> evaluate_q(const Problem& problem, const T* b, T x) {
  const Denominator& row = problem.denominator();
  const int terms = problem.denominator_terms();
  if (!row.absolute_terms()) {
    const auto sum = horner<T>(b, terms, row.first_power, x);
    const auto q = row.at(sum.value);
    return {q.q, q.slope * sum.slope, q.slope};
  }
  std::array<T, kMaxDegree + 1> magnitudes{};
  for (int i = 0; i < terms; ++i) magnitudes[std::size_t(i)] = std::abs(b[i]);
  const auto sum = horner<T>(magnitudes.data(), terms, row.first_power, std::abs(x));
  return {row.at(sum.value).q, std::copysign(T(1), x) * sum.slope, T(1)};
}

template <class T>
class Portable {
 public:
  Portable(const Task& task, const CpuCall& call)
      : task_(task), problem_(task.problem), call_(call) {}

  void run() const {
    for (std::int64_t segment = call_.segment_begin; segment < call_.segment_end; ++segment) {
      const T* a = static_cast<const T*>(call_.a) +
                   segment / problem_.segments_per_numerator_group() * problem_.numerator_terms();
      const T* b = problem_.denominator_terms() == 0
                       ? nullptr
                       : static_cast<const T*>(call_.b) +
                             segment / problem_.segments_per_denominator_group() *
                                 problem_.denominator_terms();
      double* sums = call_.sums + (segment - call_.segment_begin) * task_.sum_terms() * 2;
      for (std::int64_t row = 0; row < call_.rows; ++row) {
        for (std::int64_t column = call_.column_begin; column < call_.column_end; ++column) {
          element(row, segment * call_.width + column, a, b, sums);
        }
      }
    }
  }

 private:
  void element(std::int64_t row, std::int64_t at, const T* a, const T* b, double* sums) const {
    const T x = T(load_element(problem_.x_type, call_.x, row * call_.x_stride + at));
    const auto p = horner<T>(a, problem_.numerator_terms(), 0, x);
    const ValueOfQ<T> q = evaluate_q<T>(problem_, b, x);
    const std::int64_t out = row * call_.out_stride + at;
    if (!task_.backward()) {
      store_element(problem_.y_type, call_.out, out, double(p.value / q.q));
      return;
    }
    const T dy = T(load_element(problem_.y_type, call_.dy, row * call_.dy_stride + at));
    const T w = dy / q.q;
    const T v = -w * (p.value / q.q);
    if (task_.gradients.dx) {
      store_element(problem_.x_type, call_.out, out,
                    double(std::fma(w, p.slope, v * q.derivative)));
    }
    if (task_.gradients.da) sums = add_powers(sums, problem_.numerator_terms(), w, T(1), x);
    if (task_.gradients.db) {
      const Denominator& denominator = problem_.denominator();
      const T base = denominator.absolute_terms() ? std::abs(x) : x;
      const T first = denominator.first_power == 0 ? T(1) : base;
      add_powers(sums, problem_.denominator_terms(), v * q.slope, first, base);
    }
  }

  // sums[i] += factor * first * x^i, each sum with its compensation (Neumaier).
  static double* add_powers(double* sums, int terms, T factor, T first, T x) {
    T power = first;
    for (int i = 0; i < terms; ++i, sums += 2) {
      const double term = double(factor * power);
      const double total = sums[0] + term;
      const double lost =
          std::abs(sums[0]) >= std::abs(term) ? (sums[0] - total) + term : (term - total) + sums[0];
      sums[0] = total;
      if (std::isfinite(total)) sums[1] += lost;
      power *= x;
    }
    return sums;
  }

  const Task& task_;
  const Problem& problem_;
  const CpuCall& call_;
};

}  // namespace

CpuSchedule portable_schedule(const Task& task, int slice_rows) {
  CpuSchedule s;
  s.vector = 1;
  s.unroll = 1;
  s.rows = 1;
  s.coefficients = CpuSchedule::broadcast;
  s.run = task.sums() ? 64 : 0;
  s.backward = task.sums() ? CpuSchedule::split : 0;
  s.stores = CpuSchedule::cached;
  s.slice_rows = slice_rows;
  return s;
}

void run_portable(const Task& task, const CpuCall& call) {
  if (task.problem.math_type() == Type::f64) {
    Portable<double>(task, call).run();
  } else {
    Portable<float>(task, call).run();
  }
}

}  // namespace grkan
