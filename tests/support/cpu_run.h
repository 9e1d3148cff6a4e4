// Runs a generated CPU kernel over a whole Call, on one thread and as simply as can be: what the
// tests of the generator use in place of the runtime.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/call.h"
#include "core/half.h"
#include "core/problem.h"
#include "core/schedule.h"
#include "core/task.h"
#include "cpu/call.h"
#include "cpu/schedule.h"

namespace grkan {

// How a call is cut: rows of a slice, and for channels-first columns of a segment (a multiple of
// the schedule's vector). 0: not cut.
struct Cut {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

class CpuRun {
 public:
  CpuRun(const Task& task, const CpuSchedule& schedule, const Call& call)
      : task_(task), problem_(task.problem), schedule_(schedule), call_(call) {}

  void run(CpuKernel kernel, const Cut& cut = {}) {
    prepare();
    if (call_.rows * call_.inner > 0) slices(kernel, cut);
    if (task_.gradients.da) finish(true, call_.da);
    if (task_.gradients.db) finish(false, call_.db);
  }

 private:
  [[nodiscard]] bool expanded() const { return schedule_.coefficients == CpuSchedule::expanded; }
  [[nodiscard]] std::int64_t units() const {
    return expanded() ? (problem_.channels + schedule_.vector - 1) / schedule_.vector
                      : problem_.segments();
  }

  // What the kernel reads: the coefficients in the arithmetic's type, for each channel or group.
  std::vector<std::byte> planes(const void* coefficients, std::int64_t groups, int terms) const {
    const Type math = problem_.math_type();
    const std::int64_t columns = expanded() ? problem_.channels : groups;
    std::vector<std::byte> result(std::size_t(terms) * std::size_t(columns) * size_of(math));
    for (std::int64_t t = 0; t < terms; ++t) {
      for (std::int64_t c = 0; c < columns; ++c) {
        const std::int64_t group = c / (columns / groups);
        const std::int64_t at = expanded() ? t * columns + c : c * terms + t;
        store_element(math, result.data(), at,
                      load_element(problem_.coefficient_type(), coefficients, group * terms + t));
      }
    }
    return result;
  }

  void prepare() {
    sums_.assign(std::size_t(units() * task_.sum_terms() * 2 * schedule_.vector), 0.0);
    scratch_.assign(kCpuScratchBytes + 64, std::byte{0x5a});
    planes_a_ = planes(call_.a, problem_.numerator_groups, problem_.numerator_terms());
    planes_b_ = planes(call_.b, problem_.denominator_groups, problem_.denominator_terms());
  }

  void slices(CpuKernel kernel, const Cut& cut) {
    const std::int64_t width = problem_.segment_width() * call_.inner;
    const std::int64_t rows = cut.rows > 0 ? cut.rows : call_.rows;
    const std::int64_t columns = cut.columns > 0 ? cut.columns : width;
    for (std::int64_t row = 0; row < call_.rows; row += rows) {
      for (std::int64_t column = 0; column < width; column += columns) {
        slice(kernel, row, std::min(rows, call_.rows - row), column,
              std::min(width, column + columns));
      }
    }
  }

  void slice(CpuKernel kernel, std::int64_t row, std::int64_t rows, std::int64_t column_begin,
             std::int64_t column_end) {
    const auto bytes = [row](std::int64_t stride, Type type) {
      return row * stride * std::int64_t(size_of(type));
    };
    CpuCall call{};
    call.x = static_cast<const std::byte*>(call_.x) + bytes(call_.x_stride, problem_.x_type);
    if (task_.backward()) {
      call.dy = static_cast<const std::byte*>(call_.dy) + bytes(call_.dy_stride, problem_.y_type);
    }
    const Type out = task_.backward() ? problem_.x_type : problem_.y_type;
    if (call_.out != nullptr) {
      call.out = static_cast<std::byte*>(call_.out) + bytes(call_.out_stride, out);
    }
    call.a = planes_a_.data();
    call.b = planes_b_.data();
    call.sums = task_.sum_terms() > 0 ? sums_.data() : nullptr;
    const auto address = reinterpret_cast<std::uintptr_t>(scratch_.data());
    call.scratch = scratch_.data() + (64 - address % 64) % 64;
    call.rows = rows;
    call.x_stride = call_.x_stride;
    call.dy_stride = call_.dy_stride;
    call.out_stride = call_.out_stride;
    call.width = problem_.segment_width() * call_.inner;
    call.segment_end = units();
    call.column_begin = column_begin;
    call.column_end = column_end;
    kernel(&call);
  }

  // The group of a unit's lane.
  [[nodiscard]] std::int64_t group(std::int64_t unit, int lane, std::int64_t groups) const {
    if (!expanded()) return unit / (problem_.segments() / groups);
    const std::int64_t column = unit * schedule_.vector + lane;
    return column / (problem_.channels / groups);
  }

  void finish(bool numerator, void* out) {
    const std::int64_t groups = numerator ? problem_.numerator_groups : problem_.denominator_groups;
    const int terms = numerator ? problem_.numerator_terms() : problem_.denominator_terms();
    const int first = !numerator && task_.gradients.da ? problem_.numerator_terms() : 0;
    const Type type = problem_.coefficient_type();
    std::vector<long double> totals(std::size_t(groups * terms), 0.0L);
    for (std::int64_t unit = 0; unit < units(); ++unit) {
      for (int t = 0; t < terms; ++t) {
        const double* at =
            sums_.data() + (unit * task_.sum_terms() + first + t) * 2 * schedule_.vector;
        for (int lane = 0; lane < schedule_.vector; ++lane) {
          const std::int64_t g = group(unit, lane, groups);
          if (g >= groups) continue;  // lanes past the last column
          auto& total = totals[std::size_t(g * terms + t)];
          total += at[lane];
          if (problem_.math_type() == Type::f64 && std::isfinite(at[lane]))
            total += at[schedule_.vector + lane];
        }
      }
    }
    for (std::size_t i = 0; i < totals.size(); ++i) {
      const auto index = std::int64_t(i);
      if (!numerator && problem_.denominator().absolute_terms() &&
          load_element(type, call_.b, index) < 0) {
        totals[i] = -totals[i];
      }
      if (call_.accumulate) totals[i] += load_element(type, out, index);
      store_element(type, out, index, double(totals[i]));
    }
  }

  const Task& task_;
  const Problem& problem_;
  const CpuSchedule& schedule_;
  const Call& call_;
  std::vector<std::byte> planes_a_, planes_b_, scratch_;
  std::vector<double> sums_;
};

// Random tasks and schedules: every variant, type, layout and subset of gradients; widths from 1
// up.
class RandomCases {
 public:
  explicit RandomCases(std::uint64_t seed) : random_(seed) {}

  std::int64_t number(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  template <class T>
  T pick(std::initializer_list<T> values) {
    return values.begin()[number(0, std::int64_t(values.size()) - 1)];
  }

  Task task() {
    Problem p;
    p.numerator_degree = int(number(0, number(0, 2) == 0 ? 15 : 6));
    p.denominator_degree = int(number(0, number(0, 2) == 0 ? 15 : 5));
    const auto rows = denominators();
    p.variant = rows[std::size_t(number(0, std::int64_t(rows.size()) - 1))].variant;
    p.channels = pick<std::int64_t>({1, 3, 7, 8, 24, 48, 64, 96, 120, 255});
    p.numerator_groups = divisor(p.channels);
    p.denominator_groups = number(0, 1) == 0 ? p.numerator_groups : divisor(p.channels);
    p.x_type = Type(number(0, 3));
    p.y_type = p.x_type;
    const Type half = pick({Type::f16, Type::bf16});
    if (p.x_type == Type::f32 && number(0, 2) == 0) p.y_type = half;
    if ((p.x_type == Type::f16 || p.x_type == Type::bf16) && number(0, 2) == 0) {
      p.y_type = Type::f32;
    }
    p.half_coefficients = (is_half(p.x_type) || is_half(p.y_type)) && number(0, 2) == 0;
    p.layout = Layout(number(0, 1));
    if (number(0, 2) == 0) return forward_task(p);
    const std::int64_t bits = number(1, 7);
    return backward_task(p, {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0});
  }

  // A legal schedule of the task.
  CpuSchedule schedule(const Task& task, const Target& target) {
    for (;;) {
      CpuSchedule s;
      s.vector = pick({1, 2, 4, 8, 16});
      s.unroll = pick({1, 1, 2, 4});
      s.rows = pick({1, 2, 4, 8, 16, 32});
      s.coefficients = int(number(1, 2));
      s.run = task.sums() ? pick({32, 64}) : 0;
      s.backward = task.sums() ? int(number(1, 2)) : 0;
      s.stores = int(number(1, 2));
      if (why_illegal(task, Schedule(s), target).empty()) return s;
    }
  }

 private:
  std::int64_t divisor(std::int64_t n) {
    std::int64_t d = number(1, n);
    while (n % d != 0) --d;
    return d;
  }

  std::mt19937_64 random_;
};

}  // namespace grkan
