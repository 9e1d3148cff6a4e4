// A plain kernel for tests: the operations of the generated ones in their order, one element after
// another, in float or double. Sums go into double after every `run` terms.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/call.h"
#include "core/half.h"
#include "core/task.h"

namespace grkan {

// Sums of one tensor of coefficients.
template <class F>
class NaiveSums {
 public:
  NaiveSums(std::int64_t groups, int terms, int run)
      : terms_(std::size_t(terms)),
        run_(run),
        in_run_(std::size_t(groups)),
        current_(std::size_t(groups) * terms_),
        total_(current_.size()) {}

  F& operator()(std::int64_t group, int term) {
    return current_[std::size_t(group) * terms_ + std::size_t(term)];
  }
  void end_element(std::int64_t group) {
    if (++in_run_[std::size_t(group)] % run_ == 0) flush(std::size_t(group));
  }
  void store(Type type, void* tensor, bool accumulate) {
    for (std::size_t group = 0; group < in_run_.size(); ++group) flush(group);
    for (std::size_t i = 0; i < total_.size(); ++i) {
      const auto at = std::int64_t(i);
      const double before = accumulate ? load_element(type, tensor, at) : 0;
      store_element(type, tensor, at, double(before + total_[i]));
    }
  }

 private:
  void flush(std::size_t group) {
    for (std::size_t i = group * terms_; i < (group + 1) * terms_; ++i) {
      total_[i] += current_[i];
      current_[i] = 0;
    }
  }

  std::size_t terms_;
  int run_;
  std::vector<int> in_run_;
  std::vector<F> current_;
  std::vector<long double> total_;  // f64: stands for a compensated sum
};

template <class F>
void naive_element(const Task& task, const F* a, const F* b, F x, F dy, F& out, F* da, F* db) {
  const Problem& p = task.problem;
  const Denominator& row = p.denominator();
  const bool magnitudes = row.absolute_terms();
  F value = a[p.numerator_degree];
  F dvalue = 0;
  for (int i = p.numerator_degree - 1; i >= 0; --i) {
    dvalue = std::fma(dvalue, x, value);
    value = std::fma(value, x, a[i]);
  }
  const F t = magnitudes ? std::abs(x) : x;
  // B, and where Q is a polynomial too, that.
  const auto coefficient = [&](int i) -> F {
    if (i < row.first_power) return row.is_polynomial() ? row.offset<F>() : F(0);
    const F c = b[i - row.first_power];
    return magnitudes ? std::abs(c) : c;
  };
  F sum = coefficient(p.denominator_degree);
  F slope = 0;
  for (int i = p.denominator_degree - 1; i >= 0; --i) {
    slope = std::fma(slope, t, sum);
    sum = std::fma(sum, t, coefficient(i));
  }
  const F q = row.is_polynomial() ? sum : row.at(sum).q;
  if (!task.backward()) {
    out = value / q;
    return;
  }
  const F r = F(1) / q;
  const F w = dy * r;
  const F v = -(w * (value * r)) * row.at(sum).slope;
  const F v_odd = magnitudes ? v * std::copysign(F(1), x) : v;  // of v |x|^i
  out = std::fma(w, dvalue, v_odd * slope);
  std::array<F, kMaxDegree + 1> power{F(1), x};
  for (std::size_t i = 2; i < power.size(); ++i) power[i] = power[i / 2] * power[i - i / 2];
  for (int i = 0; da != nullptr && i <= p.numerator_degree; ++i) {
    da[i] = std::fma(w, power[std::size_t(i)], da[i]);
  }
  for (int i = row.first_power; db != nullptr && i <= p.denominator_degree; ++i) {
    const int at = i - row.first_power;
    const F factor = i % 2 == 1 ? v_odd : v;
    db[at] = std::fma(magnitudes && b[at] < 0 ? -factor : factor, power[std::size_t(i)], db[at]);
  }
}

template <class F>
void naive_kernel(const Task& task, const Call& call, int run) {
  const Problem& p = task.problem;
  const auto load_all = [&](const void* tensor, std::int64_t count) {
    std::vector<F> values;
    values.reserve(std::size_t(count));
    for (std::int64_t i = 0; i < count; ++i) {
      values.push_back(F(load_element(p.coefficient_type(), tensor, i)));
    }
    return values;
  };
  const std::vector<F> a = load_all(call.a, p.numerator_groups * p.numerator_terms());
  const std::vector<F> b = load_all(call.b, p.denominator_groups * p.denominator_terms());
  NaiveSums<F> da(p.numerator_groups, p.numerator_terms(), run);
  NaiveSums<F> db(p.denominator_groups, p.denominator_terms(), run);
  for (std::int64_t row = 0; row < call.rows; ++row) {
    for (std::int64_t i = 0; i < p.channels * call.inner; ++i) {
      const std::int64_t channel = i / call.inner;
      const std::int64_t a_group = channel / (p.channels / p.numerator_groups);
      const std::int64_t b_group = channel / (p.channels / p.denominator_groups);
      const F x = F(load_element(p.x_type, call.x, row * call.x_stride + i));
      const F dy =
          task.backward() ? F(load_element(p.y_type, call.dy, row * call.dy_stride + i)) : F(0);
      F out = 0;
      const bool with_db = task.gradients.db && p.denominator_terms() > 0;
      naive_element(task, a.data() + a_group * p.numerator_terms(),
                    b.data() + b_group * p.denominator_terms(), x, dy, out,
                    task.gradients.da ? &da(a_group, 0) : nullptr,
                    with_db ? &db(b_group, 0) : nullptr);
      da.end_element(a_group);
      db.end_element(b_group);
      if (task.backward() && !task.gradients.dx) continue;
      store_element(task.backward() ? p.x_type : p.y_type, call.out, row * call.out_stride + i,
                    double(out));
    }
  }
  if (task.gradients.da) da.store(p.coefficient_type(), call.da, call.accumulate);
  if (task.gradients.db) db.store(p.coefficient_type(), call.db, call.accumulate);
}

inline void naive_kernel(const Task& task, const Call& call, int run) {
  if (task.problem.math_type() == Type::f64) return naive_kernel<double>(task, call, run);
  naive_kernel<float>(task, call, run);
}

}  // namespace grkan
