// The schedule used when nothing is known of a task but its shape.
#include <algorithm>

#include "cuda/limits.h"
#include "core/schedule.h"

namespace grkan {
namespace {

// Half of a last-level cache as desktops and servers have it.
constexpr double kStaysCached = 16.0 * 1024 * 1024;
// Rows of a block in class gpu_to_gpu.
constexpr int kSameBitsSlab = 512;

CpuSchedule gpu_to_gpu_schedule(const Task& task) {
  CpuSchedule s;
  s.run = task.sums() ? 64 : 0;
  s.backward = task.sums() ? CpuSchedule::split : 0;
  return s;
}

CpuSchedule default_cpu(const Task& task, const Target& target, std::int64_t rows,
                        std::int64_t inner, Determinism determinism) {
  const Problem& p = task.problem;
  CpuSchedule s = gpu_to_gpu_schedule(task);
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

// Blocks a multiprocessor such that the compiler keeps to 64 registers (1024 threads), 96 or 128,
// where the backward kernel is known to fit: coefficients, sums, rows requested ahead, the rest.
int blocks_for_registers(const Task& task, const CudaSchedule& s) {
  const Problem& p = task.problem;
  const bool doubles = p.math_type() == Type::f64;
  const int words = doubles || s.packed != 0 ? 2 : 1;  // of a coefficient or a sum
  const int bytes = s.columns * int(size_of(p.x_type) + size_of(p.y_type));
  const int ahead = s.rows_in_flight * ((bytes + 3) / 4);
  const int rest = 28 * (doubles ? 2 : 1);
  const int need =
      words * (p.numerator_terms() + p.denominator_terms() + task.sum_terms()) + rest + ahead;
  if (need <= 64) return std::max(1, 1024 / s.threads());
  // Packed: 80 registers, for 768 threads, spill where a segment is wide; of 16-bit tensors the
  // compiler takes 96 by itself, and spills a little when it is told any number.
  if (s.packed != 0 && bytes < 8 * s.columns) return 0;
  if (s.packed != 0 && need <= 88) return std::max(1, 640 / s.threads());
  return need <= 128 ? std::max(1, 512 / s.threads()) : 0;
}

// A tile of whole segments where they are narrow, of a part of one where they are wide; about 256
// threads, in whole warps where that costs few rows.
void set_tile(const Task& task, CudaSchedule& s) {
  const Problem& p = task.problem;
  constexpr std::int64_t kThreads = 256;
  constexpr std::int64_t kWarp = 32;
  const bool last = p.layout == Layout::channels_last;
  const std::int64_t segment = last ? p.segment_width() / s.columns : kWarp;
  // One row of threads has to find room for its sums.
  const std::int64_t room = kSharedBytes / 8 / std::max(1, task.sum_terms());
  std::int64_t across = segment;
  const auto divide = [&](std::int64_t widest) {
    across = std::min(segment, widest);
    while (segment % across != 0) --across;
  };
  if (segment > std::min(kThreads, room)) {
    divide(std::min(kThreads, room));
    // A width with a large prime factor: rather a wide block than one that reads memory in pieces.
    if (across < kWarp) divide(std::min(kMostThreads, room));
  } else if (last) {
    const std::int64_t segments = p.segments();
    for (std::int64_t k = 1; k <= segments && k * segment <= 64; ++k) {
      if (segments % k == 0) across = k * segment;
    }
  }
  s.tile_columns = int(across);
  s.tile_rows = int(std::max<std::int64_t>(1, kThreads / across));
  // Whole warps where that costs no more than half of the rows: lanes past the last thread idle.
  for (int rows = s.tile_rows; 2 * rows > s.tile_rows; --rows) {
    if (std::int64_t{s.tile_columns} * rows % kWarp != 0) continue;
    s.tile_rows = rows;
    break;
  }
  while (s.tile_rows > 1 && cuda_shared_bytes(task, s) > kSharedBytes) --s.tile_rows;
}

// The same for every target where gpu_to_gpu is asked for.
CudaSchedule default_cuda(const Task& task, Determinism determinism) {
  const Problem& p = task.problem;
  const bool same_bits = determinism == Determinism::gpu_to_gpu;
  CudaSchedule s;
  // Two units of 1/Q in f32 are nothing beside half a unit of a 16-bit tensor, and in the gradients
  // less than what their sums add; forward in f32 is too short for the Newton step to show.
  const bool coarse = std::min(size_of(p.x_type), size_of(p.y_type)) == 2;
  if (coarse || task.backward()) s.division = CudaSchedule::approximate;
  if (p.math_type() == Type::f64 || same_bits) s.division = CudaSchedule::ieee;
  if (task.sums() && same_bits) s.slab = kSameBitsSlab;
  if (task.sums()) {
    s.run = 16;
    s.sums = CudaSchedule::two_pass;
  }
  // As wide as 16 bytes of the wider tensor and the group allow.
  const int size = int(std::max(size_of(p.x_type), size_of(p.y_type)));
  s.columns = std::max(1, 16 / size);
  const bool last = p.layout == Layout::channels_last;
  while (last && p.segment_width() % s.columns != 0) s.columns /= 2;
  set_tile(task, s);
  if (task.sum_terms() > 0) s.min_blocks = blocks_for_registers(task, s);
  return s;
}

// The second pass starts while the first ends: a launch less to wait for.
void launch_early(const Target& target, CudaSchedule& s) {
  if (s.sums == CudaSchedule::two_pass &&
      target.compute_capability() >= kProgrammaticArchitecture) {
    s.sums = CudaSchedule::programmatic;
  }
}

// Half of the arithmetic where the device has f32x2: sm_100 and sm_103; later ones issue two
// instructions for it. A sum then takes every other column, so runs of twice the rows add as many
// terms.
void use_packed(const Task& task, const Target& target, CudaSchedule& s) {
  const bool possible = target.compute_capability() / 10 == kPackedArchitecture / 10 &&
                        s.columns % 2 == 0 && task.problem.math_type() == Type::f32;
  if (!possible) return;
  s.packed = 1;
  s.run *= 2;
  if (task.sum_terms() > 0) s.min_blocks = blocks_for_registers(task, s);
}

}  // namespace

CudaSchedule narrow_schedule(const Task& task, const CudaSchedule& schedule) {
  CudaSchedule s = schedule;
  s.columns = 1;
  if (s.packed != 0) {
    s.packed = 0;
    if (s.run > 0) s.run = std::max(s.rows_in_flight, s.run / 2);
  }
  s.min_blocks = 0;
  set_tile(task, s);
  return s;
}

bool output_stays_cached(const Task& task, std::int64_t rows, std::int64_t inner) {
  const Problem& p = task.problem;
  if (task.backward() && !task.gradients.dx) return false;
  const Type out = task.backward() ? p.x_type : p.y_type;
  return double(rows) * double(inner) * double(p.channels) * double(size_of(out)) <= kStaysCached;
}

Schedule default_schedule(const Task& task, const Target& target, std::int64_t rows,
                          std::int64_t inner, Determinism determinism) {
  if (target.cuda()) {
    CudaSchedule s = default_cuda(task, determinism);
    if (determinism != Determinism::gpu_to_gpu) {
      use_packed(task, target, s);
      launch_early(target, s);
    }
    return s;
  }
  return default_cpu(task, target, rows, inner, determinism);
}

}  // namespace grkan
