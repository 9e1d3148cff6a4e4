#include "core/check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "core/bounds.h"
#include "core/error.h"
#include "core/half.h"

namespace grkan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Collects one tensor's errors.
class Collector {
 public:
  // `bound` includes the rounding to `type`.
  void add(double value, double reference, double bound, Type type) {
    ++count_;
    if (std::isnan(value) != std::isnan(reference)) return spoil();
    if (std::isnan(reference)) return;
    if (std::isinf(value)) {
      // Right where the exact result may round past the largest finite value.
      if (std::copysign(1.0, value) * reference + bound < largest_finite(type)) spoil();
      return;
    }
    const double error = std::abs(value - reference);
    error_.max_abs = std::max(error_.max_abs, error);
    error_.bound = std::max(error_.bound, bound);
    if (error > 0) error_.scaled = std::max(error_.scaled, error / bound);
    sum_ += error;
  }
  [[nodiscard]] TensorError result() const {
    TensorError error = error_;
    if (count_ > 0) error.mean_abs = sum_ / double(count_);
    return error;
  }

 private:
  void spoil() { error_.max_abs = error_.scaled = sum_ = kInfinity; }

  TensorError error_;
  double sum_ = 0;
  std::int64_t count_ = 0;
};

TensorError compare_elements(const Task& task, const ErrorBound& bound,
                             const ElementReference& reference, const Call& call) {
  const Problem& p = task.problem;
  const Type type = task.backward() ? p.x_type : p.y_type;
  const double unit = type == p.math_type() ? 0 : unit_roundoff(type);
  const double subnormal = smallest_subnormal(type);
  // The reference of f64 is itself rounded to double.
  const double k = bound.k_out + (p.math_type() == Type::f64 ? 1 : 0);
  const std::int64_t width = p.channels * call.inner;
  Collector collector;
  for (std::int64_t row = 0; row < call.rows; ++row) {
    for (std::int64_t i = 0; i < width; ++i) {
      const auto at = std::size_t(row * width + i);
      const double value = load_element(type, call.out, row * call.out_stride + i);
      const double exact = reference.value[at];
      if (reference.condition[at] == kInfinity) continue;
      const double arithmetic = k * bound.u * reference.condition[at];
      const double most = arithmetic + unit * (std::abs(exact) + arithmetic) + subnormal;
      collector.add(value, exact, most, type);
    }
  }
  return collector.result();
}

TensorError compare_sums(const Problem& p, const ErrorBound& bound, double k,
                         const SumReference& reference, const void* tensor) {
  const Type type = p.coefficient_type();
  const double unit = type == p.math_type() ? 0 : unit_roundoff(type);
  Collector collector;
  // Rounding of the result, and of the few sums of sums before it.
  constexpr double kResultRoundings = 2;
  for (std::size_t i = 0; i < reference.value.size(); ++i) {
    const double exact = reference.value[i];
    if (reference.condition[i] == kInfinity) continue;
    const double arithmetic = k * bound.u * reference.condition[i] +
                              bound.run * bound.u * reference.magnitude[i] + reference.slack[i] +
                              kResultRoundings * bound.u * std::abs(exact);
    const double most =
        arithmetic + unit * (std::abs(exact) + arithmetic) + smallest_subnormal(type);
    collector.add(load_element(type, tensor, std::int64_t(i)), exact, most, type);
  }
  return collector.result();
}

using Named = std::pair<const char*, const std::optional<TensorError>*>;
std::array<Named, 4> tensors(const TensorErrors& errors) {
  return {{{"y", &errors.y}, {"dx", &errors.dx}, {"da", &errors.da}, {"db", &errors.db}}};
}

}  // namespace

double TensorErrors::scaled() const {
  double largest = 0;
  for (const auto& [name, error] : tensors(*this)) {
    if (error->has_value()) largest = std::max(largest, (*error)->scaled);
  }
  return largest;
}

std::string TensorErrors::why_failed() const {
  std::string why;
  for (const auto& [name, error] : tensors(*this)) {
    if (!error->has_value() || (*error)->scaled <= 1) continue;
    why += fmt::format("{}{} is past its bound by {:.3g} times (largest error {:.3g})",
                       why.empty() ? "" : "; ", name, (*error)->scaled, (*error)->max_abs);
  }
  return why;
}

TensorErrors compare(const Task& task, const Schedule& schedule, const Reference& reference,
                     const Call& call) {
  const ErrorBound bound = error_bound(task, schedule);
  const Problem& p = task.problem;
  TensorErrors errors;
  if (!task.backward()) errors.y = compare_elements(task, bound, reference.out, call);
  if (task.gradients.dx) errors.dx = compare_elements(task, bound, reference.out, call);
  if (task.gradients.da) errors.da = compare_sums(p, bound, bound.k_da, reference.da, call.da);
  if (task.gradients.db) errors.db = compare_sums(p, bound, bound.k_db, reference.db, call.db);
  return errors;
}

}  // namespace grkan
