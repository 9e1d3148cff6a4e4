// The CPU's schedule when nothing is known of a task but its shape.
#include "cpu/backend.h"

namespace grkan {

Schedule CpuBackend::default_schedule(const Task& task, const Target& target, std::int64_t rows,
                                      std::int64_t inner, Determinism determinism) const {
  const Problem& p = task.problem;
  CpuSchedule s;
  s.run = task.sums() ? 64 : 0;
  s.backward = task.sums() ? CpuSchedule::split : 0;
  // Stores past the last-level cache save the read of the line that they overwrite.
  const bool writes = !task.backward() || task.gradients.dx;
  const bool large = writes && !output_stays_cached(task, rows, inner);
  s.stores = large ? CpuSchedule::nontemporal : CpuSchedule::cached;
  if (determinism == Determinism::gpu_to_gpu) return s;
  s.vector = target.vector_bits() / 8 / int(size_of(p.math_type()));
  // A row at a time reads memory in order; narrow segments need more rows to share coefficients,
  // and sums more terms in a run than a segment's width gives. Measured: bench/RESULTS.md.
  const std::int64_t width = p.segment_width() * inner;
  constexpr std::int64_t kWide = 32;
  constexpr std::int64_t kWideSums = 64;
  constexpr std::int64_t kWidestSums = 512;
  constexpr std::int64_t kLongSums = 2048;
  // AVX-512 has the registers for the ten sums beside the rest.
  const bool many_registers = target.vector_bits() == 512;
  const bool narrow = width <= kWideSums && p.layout == Layout::channels_last;
  const bool doubles = p.math_type() == Type::f64;
  if (task.sums() && many_registers) {
    s.backward = CpuSchedule::fused;
    if (narrow && doubles) {
      s.rows = 8;
    } else if (narrow) {
      // A step takes a segment's whole row, and many rows share the coefficients.
      s.rows = 16;
      while (s.unroll < 4 && std::int64_t(2) * s.unroll * s.vector <= width) s.unroll *= 2;
    } else if (width >= kLongSums) {
      s.rows = 1;
      s.unroll = 4;
    } else {
      s.rows = 4;
    }
  } else if (task.sums() && width >= kWideSums) {
    s.slice_rows = 64;
    s.rows = width < kWidestSums ? 8 : 1;
  } else if (!task.sums() && width >= kWide) {
    s.rows = 1;
  }
  if (p.layout == Layout::channels_last && p.segment_width() % s.vector != 0 &&
      p.segment_width() / 4 < s.vector) {
    s.coefficients = CpuSchedule::expanded;
    s.unroll = 1;
    s.rows = task.sums() ? 16 : 1;
    // Lines are finished in many visits: stores past the cache would send them in pieces.
    if (task.sums()) s.stores = CpuSchedule::cached;
  }
  // Rows side by side are streams that the processor itself does not follow.
  if (p.layout == Layout::channels_last) {
    // So many rows in a step are requested together anyway.
    const bool requested = narrow && s.unroll > 1;
    if (task.sums() && many_registers && s.coefficients == CpuSchedule::broadcast && !requested) {
      s.prefetch = 1;
    }
    if (large) s.prefetch = task.sums() && many_registers ? 2 : 1;
  }
  return s;
}

}  // namespace grkan
