#include "core/reference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "core/double_double.h"
#include "core/half.h"
#include "core/reference_element.h"

namespace grkan {
namespace {

using namespace reference_element;  // NOLINT(google-build-using-namespace): its other half

// Adds without losing what a plain sum would: double terms keep their rounding errors in lo.
void add(DoubleDouble& sum, double term) {
  const DoubleDouble next = two_sum(sum.hi, term);
  sum = {next.hi, sum.lo + next.lo};
}
void add(DoubleDouble& sum, DoubleDouble term) { sum += term; }

// da or db while it is being summed, as [groups][terms].
class Sums {
 public:
  Sums(std::int64_t groups, int terms, int first_power)
      : terms_(std::size_t(terms)),
        first_(std::size_t(first_power)),
        value_(std::size_t(groups) * terms_),
        sums_{{}, zeros(), zeros(), zeros()} {}

  // The terms factor * powers[i] of one element.
  template <class T>
  void add_terms(std::int64_t group, T factor, const std::array<T, kMaxTerms>& powers,
                 const std::array<double, kMaxTerms>& magnitudes, double condition,
                 double factor_magnitude, bool either_sign) {
    const std::size_t begin = std::size_t(group) * terms_;
    for (std::size_t i = 0; i < terms_; ++i) {
      add(value_[begin + i], factor * powers[first_ + i]);
      sums_.condition[begin + i] += condition * magnitudes[first_ + i];
      sums_.magnitude[begin + i] += factor_magnitude * magnitudes[first_ + i];
      if (either_sign) {
        sums_.slack[begin + i] += 2 * factor_magnitude * magnitudes[first_ + i];
      }
    }
  }
  void set_nan(std::int64_t group) {
    for (std::size_t i = 0; i < terms_; ++i) {
      value_[std::size_t(group) * terms_ + i] = std::numeric_limits<double>::quiet_NaN();
    }
  }
  void set_any(std::int64_t group) {
    for (std::size_t i = 0; i < terms_; ++i) {
      sums_.condition[std::size_t(group) * terms_ + i] = kInfinity;
    }
  }

  // `b`: whose signs db takes, if it does; either is right at -0.
  template <class Load>
  SumReference finish(Load&& before, const std::vector<double>& b) {
    for (std::size_t i = 0; i < value_.size(); ++i) {
      DoubleDouble sum = value_[i];
      if (!b.empty() && b[i] < 0) sum = -sum;
      if (!b.empty() && b[i] == 0 && std::signbit(b[i])) {
        sums_.slack[i] += 2 * std::abs(double(sum));
      }
      add(sum, before(std::int64_t(i)));
      sums_.value.push_back(double(sum));
    }
    return std::move(sums_);
  }

 private:
  [[nodiscard]] std::vector<double> zeros() const { return std::vector<double>(value_.size()); }

  std::size_t terms_;
  std::size_t first_;
  std::vector<DoubleDouble> value_;
  SumReference sums_;
};

template <class T>
class Evaluation {
 public:
  Evaluation(const Task& task, const Call& call)
      : task_(task),
        problem_(task.problem),
        call_(call),
        arithmetic_(task.problem),
        numerators_(numerators<T>(problem_, call, arithmetic_.tiny)),
        denominators_(denominators<T>(problem_, call, arithmetic_.tiny)),
        da_(task.gradients.da ? problem_.numerator_groups : 0, problem_.numerator_terms(), 0),
        db_(task.gradients.db ? problem_.denominator_groups : 0, problem_.denominator_terms(),
            problem_.denominator().first_power) {}

  Reference run() {
    const std::int64_t width = call_.inner;
    for (std::int64_t row = 0; row < call_.rows; ++row) {
      for (std::int64_t channel = 0; channel < problem_.channels; ++channel) {
        for (std::int64_t i = 0; i < width; ++i) element(row, channel, channel * width + i);
      }
    }
    Reference reference;
    reference.out = std::move(out_);
    if (task_.gradients.da) reference.da = finish(da_, call_.da, {});
    if (task_.gradients.db) reference.db = finish(db_, call_.db, b_signs());
    return reference;
  }

  void reserve() {
    if (task_.backward() && !task_.gradients.dx) return;
    const auto count = std::size_t(call_.rows * problem_.channels * call_.inner);
    out_.value.reserve(count);
    out_.condition.reserve(count);
  }

 private:
  void element(std::int64_t row, std::int64_t channel, std::int64_t at) {
    const std::int64_t a_group = channel / (problem_.channels / problem_.numerator_groups);
    const std::int64_t b_group = channel / (problem_.channels / problem_.denominator_groups);
    const double x = load_element(problem_.x_type, call_.x, row * call_.x_stride + at);
    const double dy =
        task_.backward() ? load_element(problem_.y_type, call_.dy, row * call_.dy_stride + at) : 0;
    if (std::isnan(x) || std::isnan(dy)) return nan_element(a_group, b_group);

    Element<T> e;
    const Quotient<T> quotient =
        evaluate_quotient(problem_.denominator(), arithmetic_, numerators_[std::size_t(a_group)],
                          denominators_[std::size_t(b_group)], T(x));
    forward_element(arithmetic_, quotient, e);
    if (!task_.backward()) {
      return push(double(e.y), e.in_range ? e.y_condition : kInfinity);
    }
    fill_powers(x);
    backward_element(arithmetic_, quotient, T(dy),
                     magnitudes_[std::size_t(problem_.numerator_degree)],
                     magnitudes_[std::size_t(problem_.denominator_degree)], e);
    if (task_.gradients.dx) push(double(e.dx), e.in_range ? e.dx_condition : kInfinity);
    add_sums(a_group, b_group, negative(T(x)), e);
  }

  // NaN stays in its element and in its group's sums. Polynomials too short to see x or to pass it
  // on may also give a number.
  void nan_element(std::int64_t a_group, std::int64_t b_group) {
    const bool always = problem_.numerator_degree >= 2 && problem_.denominator_degree >= 1;
    const bool writes = !task_.backward() || task_.gradients.dx;
    if (writes) push(std::numeric_limits<double>::quiet_NaN(), always ? 0 : kInfinity);
    if (task_.gradients.da) always ? da_.set_nan(a_group) : da_.set_any(a_group);
    if (task_.gradients.db) always ? db_.set_nan(b_group) : db_.set_any(b_group);
  }

  void add_sums(std::int64_t a_group, std::int64_t b_group, bool x_minus, const Element<T>& e) {
    if (!e.in_range) {
      if (task_.gradients.da) da_.set_any(a_group);
      if (task_.gradients.db) db_.set_any(b_group);
      return;
    }
    if (task_.gradients.da) {
      da_.add_terms(a_group, e.w, powers_, magnitudes_, e.w_condition, e.w_magnitude, false);
    }
    if (task_.gradients.db) {
      if (problem_.denominator().absolute_terms() && x_minus) {
        for (std::size_t i = 1; i < kMaxTerms; i += 2) powers_[i] = -powers_[i];
      }
      db_.add_terms(b_group, e.v, powers_, magnitudes_, e.v_condition, e.v_magnitude,
                    e.either_sign);
    }
  }

  void fill_powers(double x) {
    T power(1);
    const int top = std::max(problem_.numerator_degree, problem_.denominator_degree);
    for (int i = 0; i <= top; ++i) {
      powers_[std::size_t(i)] = power;
      magnitudes_[std::size_t(i)] = magnitude(power) + (i > 0 ? arithmetic_.tiny : 0);
      power = power * T(x);
    }
  }

  void push(double value, double condition) {
    out_.value.push_back(value);
    out_.condition.push_back(condition);
  }

  SumReference finish(Sums& sums, const void* tensor, const std::vector<double>& b) {
    return sums.finish(
        [&](std::int64_t i) {
          return call_.accumulate ? load_element(problem_.coefficient_type(), tensor, i) : 0.0;
        },
        b);
  }

  std::vector<double> b_signs() const {
    std::vector<double> b;
    if (!problem_.denominator().absolute_terms()) return b;
    const std::int64_t count = problem_.denominator_groups * problem_.denominator_terms();
    for (std::int64_t i = 0; i < count; ++i) {
      b.push_back(load_element(problem_.coefficient_type(), call_.b, i));
    }
    return b;
  }

  const Task& task_;
  const Problem& problem_;
  const Call& call_;
  Arithmetic arithmetic_;
  std::vector<Polynomial<T>> numerators_;
  std::vector<Polynomial<T>> denominators_;
  std::array<T, kMaxTerms> powers_{};
  std::array<double, kMaxTerms> magnitudes_{};
  ElementReference out_;
  Sums da_;
  Sums db_;
};

template <class T>
Reference evaluate_task(const Task& task, const Call& call) {
  Evaluation<T> evaluation(task, call);
  evaluation.reserve();
  return evaluation.run();
}

}  // namespace

Reference make_reference(const Task& task, const Call& call) {
  if (task.problem.math_type() == Type::f64) return evaluate_task<DoubleDouble>(task, call);
  return evaluate_task<double>(task, call);
}

}  // namespace grkan
