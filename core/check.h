// Check: what a kernel wrote against the reference, under the bounds of core/bounds.h.
//
//   Sample sample(task, options);
//   const Reference reference = make_reference(task, sample.call());
//   for each schedule:
//     sample.reset();
//     run(sample.call());
//     const TensorErrors errors = compare(task, schedule, reference, sample.call());
//     passes when errors.passes() and sample.why_damaged().empty()
#pragma once

#include <optional>
#include <string>

#include "core/call.h"
#include "core/reference.h"
#include "core/schedule.h"
#include "core/task.h"

namespace grkan {

// Over the elements whose reference is finite and in range. Zero for no elements.
struct TensorError {
  double max_abs = 0;   // largest |err|; infinite when a result that must be finite is not
  double mean_abs = 0;  // mean |err|
  double scaled = 0;    // largest |err| over its own bound: passes at <= 1
  double bound = 0;     // the largest bound met
  bool operator==(const TensorError&) const = default;
};

struct TensorErrors {
  std::optional<TensorError> y;  // forward
  std::optional<TensorError> dx;
  std::optional<TensorError> da;
  std::optional<TensorError> db;
  bool operator==(const TensorErrors&) const = default;

  // The largest scaled error of all tensors.
  [[nodiscard]] double scaled() const;
  [[nodiscard]] bool passes() const { return scaled() <= 1; }
  // The tensors past their bounds, for people: "dx is past its bound by 3.2 times (largest error
  // 1.5e-3)"; empty when all pass.
  [[nodiscard]] std::string why_failed() const;
};

// `call` is the one that ran: its outputs are read, its inputs are not. Its rows, inner, strides
// and pointers must be those the reference was made from (outputs may have other strides).
TensorErrors compare(const Task& task, const Schedule& schedule, const Reference& reference,
                     const Call& call);

}  // namespace grkan
