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
  const bool is_a = p.variant == Variant::a;
  F value = a[p.numerator_degree];
  F dvalue = 0;
  for (int i = p.numerator_degree - 1; i >= 0; --i) {
    dvalue = std::fma(dvalue, x, value);
    value = std::fma(value, x, a[i]);
  }
  const F t = is_a ? std::abs(x) : x;
  const bool has_0 = p.variant == Variant::c;
  const auto coefficient = [&](int i) -> F {
    if (i == 0) return has_0 ? b[0] : p.variant == Variant::b ? F(0) : F(1);
    const F c = b[has_0 ? i : i - 1];
    return is_a ? std::abs(c) : c;
  };
  F q = coefficient(p.denominator_degree);
  F dq = 0;
  for (int i = p.denominator_degree - 1; i >= 0; --i) {
    dq = std::fma(dq, t, q);
    q = std::fma(q, t, coefficient(i));
  }
  F sign = is_a ? std::copysign(F(1), x) : F(1);
  if (p.variant == Variant::b || has_0) {
    sign = std::copysign(F(1), q);
    q = std::abs(q) + (has_0 ? F(0.1) : F(1));
  }
  if (!task.backward()) {
    out = value / q;
    return;
  }
  const F r = F(1) / q;
  const F w = dy * r;
  const F v = -(w * (value * r));
  out = std::fma(w, dvalue, (v * sign) * dq);
  std::array<F, kMaxDegree + 1> power{F(1), x};
  for (std::size_t i = 2; i < power.size(); ++i) power[i] = power[i / 2] * power[i - i / 2];
  for (int i = 0; da != nullptr && i <= p.numerator_degree; ++i) {
    da[i] = std::fma(w, power[std::size_t(i)], da[i]);
  }
  for (int i = has_0 ? 0 : 1; db != nullptr && i <= p.denominator_degree; ++i) {
    const F sided = is_a ? (i % 2 == 1 ? v * sign : v) : v * sign;
    F& sum = db[has_0 ? i : i - 1];
    sum = std::fma(is_a && b[i - 1] < 0 ? -sided : sided, power[std::size_t(i)], sum);
  }
}

template <class F>
void naive_kernel(const Task& task, const Call& call, int run) {
  const Problem& p = task.problem;
  const auto load_all = [&](const void* tensor, std::int64_t count) {
    std::vector<F> values;
    values.reserve(std::size_t(count));
    for (std::int64_t i = 0; i < count; ++i) {
      values.push_back(F(load_element(p.math_type(), tensor, i)));
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
  if (task.gradients.da) da.store(p.math_type(), call.da, call.accumulate);
  if (task.gradients.db) db.store(p.math_type(), call.db, call.accumulate);
}

inline void naive_kernel(const Task& task, const Call& call, int run) {
  if (task.problem.math_type() == Type::f64) return naive_kernel<double>(task, call, run);
  naive_kernel<float>(task, call, run);
}

}  // namespace grkan
