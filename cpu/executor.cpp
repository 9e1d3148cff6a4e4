#include "cpu/executor.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <thread>

#include "core/half.h"
#include "cpu/portable_kernel.h"
#include "cpu/workspace.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace grkan {
namespace {

// A sum and its compensation (Neumaier 1974): what a plain sum would lose is kept beside it.
struct Compensated {
  double sum = 0;
  double lost = 0;

  void add(double term) {
    const double total = sum + term;
    const double error =
        std::abs(sum) >= std::abs(term) ? (sum - total) + term : (term - total) + sum;
    sum = total;
    if (std::isfinite(total)) lost += error;
  }
  [[nodiscard]] double value() const { return std::isfinite(sum) ? sum + lost : sum; }
};

// Hands out areas by the bits of a word. A worker that finds none waits for one to be given back:
// those that hold one never wait.
class Areas {
 public:
  explicit Areas(int count)
      : free_(count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1) {}

  int take() {
    std::uint64_t mask = free_.load(std::memory_order_relaxed);
    for (;;) {
      if (mask == 0) {
        std::this_thread::yield();
        mask = free_.load(std::memory_order_relaxed);
      } else if (free_.compare_exchange_weak(mask, mask & (mask - 1), std::memory_order_acquire,
                                             std::memory_order_relaxed)) {
        return std::countr_zero(mask);
      }
    }
  }
  void give_back(int area) { free_.fetch_or(std::uint64_t{1} << area, std::memory_order_release); }

 private:
  std::atomic<std::uint64_t> free_;
};

// Non-temporal stores are not ordered by the atomics that end a slice.
void order_stores(const CpuSchedule& schedule) {
#if defined(__x86_64__)
  if (schedule.stores == CpuSchedule::nontemporal) _mm_sfence();
#else
  (void)schedule;
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

// Coefficients, or their gradients, as they lie in memory.
template <class T>
struct Plain {
  static double load(const void* from, std::int64_t i) { return static_cast<const T*>(from)[i]; }
  static void store(void* to, std::int64_t i, double value) { static_cast<T*>(to)[i] = T(value); }
};
template <Type type>
struct Half {
  static double load(const void* from, std::int64_t i) { return load_element(type, from, i); }
  static void store(void* to, std::int64_t i, double value) { store_element(type, to, i, value); }
};

// body(Plain or Half), of the type.
template <class Body>
void with_elements(Type type, const Body& body) {
  switch (type) {
    case Type::f64:
      return body(Plain<double>{});
    case Type::f32:
      return body(Plain<float>{});
    case Type::f16:
      return body(Half<Type::f16>{});
    case Type::bf16:
      return body(Half<Type::bf16>{});
  }
}

// [terms][channels] from [groups][terms], in the arithmetic's type.
template <class T, class Elements>
void spread(const void* coefficients, std::int64_t groups, int terms, std::int64_t channels,
            void* planes) {
  auto* to = static_cast<T*>(planes);
  const std::int64_t width = channels / groups;
  for (int i = 0; i < terms; ++i) {
    for (std::int64_t g = 0; g < groups; ++g, to += width) {
      std::fill_n(to, width, T(Elements::load(coefficients, g * terms + i)));
    }
  }
}

// 16-bit coefficients as they are, in f32.
void widen(Type type, const void* coefficients, std::int64_t count, void* to) {
  for (std::int64_t i = 0; i < count; ++i) {
    static_cast<float*>(to)[i] = float(load_element(type, coefficients, i));
  }
}

template <class Elements>
void write_gradient(void* gradient, std::int64_t entries, const double* partial, bool compensated,
                    bool accumulate, const void* sign_of) {
  for (std::int64_t i = 0; i < entries; ++i) {
    Compensated total;
    total.sum = compensated ? partial[2 * i] : partial[i];
    if (compensated) total.lost = partial[2 * i + 1];
    if (sign_of != nullptr && Elements::load(sign_of, i) < 0) {
      total.sum = -total.sum;
      total.lost = -total.lost;
    }
    if (accumulate) total.add(Elements::load(gradient, i));
    Elements::store(gradient, i, total.value());
  }
}

const std::byte* bytes_of(const void* pointer) { return static_cast<const std::byte*>(pointer); }

}  // namespace

struct CpuExecutor::Job {
  const CpuExecutor& executor;
  const Call& call;
  const Slices& cut;
  CpuCall prototype;  // of the first slice
  double* partials;
  double* areas_begin;
  Areas areas;
};

CpuExecutor::CpuExecutor(const Task& task, const CpuSchedule& schedule, CpuKernel kernel,
                         ThreadPool& pool)
    : task_(task),
      schedule_(schedule),
      kernel_(kernel),
      pool_(pool),
      shape_(SliceShape::make(task, schedule)),
      expanded_(schedule.coefficients == CpuSchedule::expanded),
      compensated_(task.problem.math_type() == Type::f64) {
  const Problem& p = task_.problem;
  units_ = cpu_units(p, expanded_, schedule.vector);
  unit_doubles_ = cpu_area_doubles(1, task_.sum_terms(), schedule.vector);
  partial_doubles_ = partial_doubles(task_);
  da_entries_ = task_.gradients.da ? p.numerator_groups * p.numerator_terms() : 0;
  db_entries_ = task_.gradients.db ? p.denominator_groups * p.denominator_terms() : 0;
  x_size_ = size_of(p.x_type);
  dy_size_ = size_of(p.y_type);
  out_size_ = size_of(task_.backward() ? p.x_type : p.y_type);
}

CpuExecutor::Layout CpuExecutor::layout(std::int64_t slices) const {
  const Problem& p = task_.problem;
  Layout l;
  if (planes()) {
    const auto bytes = [&](std::int64_t groups, int terms) {
      return expanded_ ? cpu_plane_bytes(p, terms) : cpu_widened_bytes(groups, terms);
    };
    l.planes_b = bytes(p.numerator_groups, p.numerator_terms());
    l.partials = l.planes_b + bytes(p.denominator_groups, p.denominator_terms());
  }
  l.areas = l.bytes = l.partials;
  if (partial_doubles_ == 0) return l;
  l.areas += cpu_partial_bytes(task_, slices);
  const std::int64_t doubles = units_ * unit_doubles_;
  l.area_count = int(std::min(slices, cpu_most_areas(doubles, pool_.threads())));
  l.bytes = l.areas + std::size_t(l.area_count) * cpu_area_bytes(doubles);
  return l;
}

std::size_t CpuExecutor::workspace_size(std::int64_t rows, std::int64_t inner) const {
  return layout(make_slices(shape_, rows, inner).count()).bytes;
}

void CpuExecutor::get_ready(std::int64_t rows, std::int64_t inner) const {
  if (make_slices(shape_, rows, inner).count() > 1) pool_.start();
}

void CpuExecutor::make_planes(const Call& call, std::byte* workspace, const Layout& l) const {
  const Problem& p = task_.problem;
  const Type type = p.coefficient_type();
  const auto plane = [&](const void* from, std::int64_t groups, int terms, std::byte* to) {
    if (!expanded_) return widen(type, from, groups * terms, to);
    with_elements(type, [&]<class Elements>(Elements /*of*/) {
      const auto spread_them = compensated_ ? &spread<double, Elements> : &spread<float, Elements>;
      spread_them(from, groups, terms, p.channels, to);
    });
  };
  plane(call.a, p.numerator_groups, p.numerator_terms(), workspace);
  plane(call.b, p.denominator_groups, p.denominator_terms(), workspace + l.planes_b);
}

void CpuExecutor::run(const Call& call, void* workspace, int threads) const {
  const Slices cut = make_slices(shape_, call.rows, call.inner);
  const std::int64_t slices = cut.count();
  const Layout l = layout(slices);
  auto* base = static_cast<std::byte*>(workspace);
  CpuCall first{};
  first.a = call.a;
  first.b = call.b;
  if (planes()) {
    make_planes(call, base, l);
    first.a = base;
    first.b = base + l.planes_b;
  }
  first.x_stride = call.x_stride;
  first.dy_stride = call.dy_stride;
  first.out_stride = call.out_stride;
  first.width = shape_.segment_width * call.inner;
  Job job{.executor = *this,
          .call = call,
          .cut = cut,
          .prototype = first,
          .partials = reinterpret_cast<double*>(base + l.partials),
          .areas_begin = reinterpret_cast<double*>(base + l.areas),
          .areas = Areas(l.area_count)};
  if (slices == 1) {
    run_slice(job, 0);
  } else {
    pool_.run(
        slices,
        [](void* context, std::int64_t index) {
          auto* shared = static_cast<Job*>(context);
          shared->executor.run_slice(*shared, index);
        },
        &job, threads);
  }
  if (partial_doubles_ == 0) return;
  add_partials(job.partials, slices);
  finish(call, job.partials);
}

void CpuExecutor::run_slice(Job& job, std::int64_t index) const {
  alignas(kCpuPartAlignment) std::byte scratch[kCpuScratchBytes];  // NOLINT: not to be cleared
  const Slices& cut = job.cut;
  const Call& call = job.call;
  const std::int64_t column_slice = index % cut.column_slices;
  const std::int64_t segment_slice = index / cut.column_slices % cut.segment_slices;
  const std::int64_t row = index / cut.column_slices / cut.segment_slices * cut.rows;

  CpuCall c = job.prototype;
  c.x = bytes_of(call.x) + std::size_t(row * call.x_stride) * x_size_;
  if (call.dy != nullptr) {
    c.dy = bytes_of(call.dy) + std::size_t(row * call.dy_stride) * dy_size_;
  }
  if (call.out != nullptr) {
    c.out = static_cast<std::byte*>(call.out) + std::size_t(row * call.out_stride) * out_size_;
  }
  c.scratch = scratch;
  c.rows = std::min(cut.rows, call.rows - row);
  if (expanded_) {
    c.segment_end = units_;
    c.column_end = c.width;
  } else {
    c.segment_begin = segment_slice * cut.segments;
    c.segment_end = std::min(c.segment_begin + cut.segments, shape_.segments);
    c.column_begin = shape_.channels_first ? column_slice * cut.columns : 0;
    c.column_end =
        shape_.channels_first ? std::min(c.column_begin + cut.columns, c.width) : c.width;
  }

  int area = 0;
  const std::int64_t doubles = (c.segment_end - c.segment_begin) * unit_doubles_;
  if (doubles > 0) {
    area = job.areas.take();
    const std::size_t step = cpu_area_bytes(units_ * unit_doubles_);
    c.sums = job.areas_begin + std::size_t(area) * (step / sizeof(double));
    std::memset(c.sums, 0, std::size_t(doubles) * sizeof(double));
  }
  if (kernel_ != nullptr) {
    kernel_(&c);
  } else {
    run_portable(task_, c);
  }
  order_stores(schedule_);
  if (doubles > 0) {
    double* partial = job.partials + index * partial_doubles_;
    std::memset(partial, 0, std::size_t(partial_doubles_) * sizeof(double));
    reduce_lanes(c.sums, c.segment_end - c.segment_begin, c.segment_begin, partial);
    job.areas.give_back(area);
  }
}

// Adds the lanes of an area into the sums of their groups: units in order, lanes in order.
void CpuExecutor::reduce_lanes(const double* area, std::int64_t units, std::int64_t first_unit,
                               double* partial) const {
  const Problem& p = task_.problem;
  const int vector = schedule_.vector;
  const int da_terms = task_.gradients.da ? p.numerator_terms() : 0;
  const int terms = task_.sum_terms();
  const std::int64_t da_width = p.channels / p.numerator_groups;
  const std::int64_t db_width = p.channels / p.denominator_groups;
  const int stride = compensated_ ? 2 : 1;
  for (std::int64_t u = 0; u < units; ++u) {
    // broadcast: all lanes of a unit belong to its segment; expand: a lane is a column.
    const std::int64_t column =
        expanded_ ? (first_unit + u) * vector : (first_unit + u) * shape_.segment_width;
    const auto lanes =
        expanded_ ? int(std::min<std::int64_t>(vector, p.channels - column)) : vector;
    for (int term = 0; term < terms; ++term) {
      const double* sums = area + (u * terms + term) * 2 * vector;
      const bool numerator = term < da_terms;
      const std::int64_t width = numerator ? da_width : db_width;
      for (int lane = 0; lane < lanes;) {
        // The lanes up to the next group, as one sum.
        const std::int64_t at = expanded_ ? column + lane : column;
        const std::int64_t group = at / width;
        const int end =
            expanded_ ? int(std::min<std::int64_t>(lanes, (group + 1) * width - column)) : lanes;
        const std::int64_t entry =
            numerator ? group * da_terms + term
                      : da_entries_ + group * (terms - da_terms) + (term - da_terms);
        double* to = partial + entry * stride;
        if (compensated_) {
          Compensated total{to[0], to[1]};
          for (; lane < end; ++lane) {
            total.add(sums[lane]);
            if (std::isfinite(sums[lane])) total.lost += sums[vector + lane];
          }
          to[0] = total.sum;
          to[1] = total.lost;
        } else {
          for (; lane < end; ++lane) to[0] += sums[lane];
        }
      }
    }
  }
}

// Into the first partial sum, in slice order.
void CpuExecutor::add_partials(double* partials, std::int64_t slices) const {
  for (std::int64_t slice = 1; slice < slices; ++slice) {
    const double* from = partials + slice * partial_doubles_;
    if (!compensated_) {
      for (std::int64_t i = 0; i < partial_doubles_; ++i) partials[i] += from[i];
      continue;
    }
    for (std::int64_t i = 0; i < partial_doubles_; i += 2) {
      Compensated total{partials[i], partials[i + 1]};
      total.add(from[i]);
      total.lost += from[i + 1];
      partials[i] = total.sum;
      partials[i + 1] = total.lost;
    }
  }
}

// Rounds once to the gradients. Kernels leave sign(b) of absolute terms to this place; sign(0) is
// +1.
void CpuExecutor::finish(const Call& call, const double* partial) const {
  const void* sign = task_.problem.denominator().absolute_terms() ? call.b : nullptr;
  const double* db_partial = partial + da_entries_ * (compensated_ ? 2 : 1);
  with_elements(task_.problem.coefficient_type(), [&]<class Elements>(Elements /*of*/) {
    const auto write = &write_gradient<Elements>;
    if (da_entries_ > 0) {
      write(call.da, da_entries_, partial, compensated_, call.accumulate, nullptr);
    }
    if (db_entries_ > 0) {
      write(call.db, db_entries_, db_partial, compensated_, call.accumulate, sign);
    }
  });
}

}  // namespace grkan
