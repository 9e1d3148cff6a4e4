// CUDA's schedule when nothing is known of a task but its shape.
#include <algorithm>

#include "cuda/backend.h"
#include "cuda/limits.h"

namespace grkan {
namespace {

// Rows of a block in class gpu_to_gpu.
constexpr int kSameBitsSlab = 512;

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
CudaSchedule usual(const Task& task, Determinism determinism) {
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

int cuda_widest_access(const CudaSchedule& schedule, const Target& target) {
  const bool hints = schedule.loads != 0 || schedule.stores != 0;
  return target.compute_capability() >= kWideAccessArchitecture && !hints ? 32 : 16;
}

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

Schedule CudaBackend::default_schedule(const Task& task, const Target& target,
                                       std::int64_t /*rows*/, std::int64_t /*inner*/,
                                       Determinism determinism) const {
  CudaSchedule s = usual(task, determinism);
  if (determinism != Determinism::gpu_to_gpu) {
    use_packed(task, target, s);
    launch_early(target, s);
  }
  return s;
}

}  // namespace grkan
