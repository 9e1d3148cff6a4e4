#include "cuda/launch.h"

#include <algorithm>

#include "core/error.h"

namespace grkan {
namespace {

constexpr std::int64_t kMaxGridX = 2147483647;
constexpr std::int64_t kMaxGridY = 65535;
// The kernels count groups of rows in 32 bits; a step past the end must not wrap.
constexpr std::int64_t kMaxRows = std::int64_t{1} << 31;
constexpr std::int64_t kMaxGroupStep = std::int64_t{1} << 30;
// A thread that walks down fewer rows spends too much on loading coefficients, or on adding sums.
// Not more than that: calls of few rows need every thread they can get to keep memory busy.
constexpr std::int64_t kRowsWorthAThread = 4;
constexpr std::int64_t kRowsWorthSums = 8;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Row blocks such that the grid is one wave: at most `blocks` on each multiprocessor.
std::int64_t row_blocks(const Task& task, const CudaSchedule& s, std::int64_t tiles,
                        std::int64_t rows, int multiprocessors) {
  const std::int64_t worth = task.sums() ? kRowsWorthSums : kRowsWorthAThread;
  const std::int64_t groups = std::max<std::int64_t>(1, rows / s.rows_in_flight);
  const std::int64_t most = std::min(ceil_div(groups, s.tile_rows), kMaxGridY);
  // Blocks of slabs are as many on every device.
  const std::int64_t slabs = std::max<std::int64_t>(1, kMostSlabs / tiles);
  std::int64_t blocks = s.slab > 0 ? std::min(slabs, ceil_div(rows, s.slab)) : 1;
  for (std::int64_t wave = s.slab > 0 ? 0 : s.blocks; wave >= 1; --wave) {
    blocks = std::max<std::int64_t>(1, wave * multiprocessors / tiles);
    if (rows >= blocks * s.tile_rows * worth) break;
  }
  const std::int64_t run = std::max(1, s.run / s.rows_in_flight);
  return std::max<std::int64_t>(1, std::min({blocks, most, kMaxGroupStep / run / s.tile_rows}));
}

// A counter for each column of tiles, and one for the columns.
std::int64_t counter_bytes(const CudaLaunch& launch) {
  return (std::int64_t{launch.grid_x} + 1) * std::int64_t{sizeof(std::uint32_t)};
}

bool aligned(const void* pointer, std::int64_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % std::uintptr_t(bytes) == 0;
}

}  // namespace

CudaTile cuda_tile(const Task& task, const CudaSchedule& s) {
  const Problem& p = task.problem;
  CudaTile tile;
  if (p.layout == Layout::channels_last) {
    const std::int64_t threads = p.segment_width() / s.columns;
    tile.segments = std::max<std::int64_t>(1, s.tile_columns / threads);
    tile.ragged = p.segments() % tile.segments != 0;
  } else {
    tile.ragged = true;
  }
  if (task.sum_terms() > 0) {
    const std::int64_t pairs = tile.segments * task.sum_terms();
    const std::int64_t members = s.threads() / tile.segments;
    constexpr std::int64_t kMostParts = 16;
    tile.parts = int(std::clamp<std::int64_t>(s.threads() / pairs, 1,
                                              std::min<std::int64_t>(kMostParts, members)));
  }
  return tile;
}

std::int64_t cuda_tiles_of_segment(const Task& task, const CudaSchedule& s, std::int64_t width) {
  if (cuda_tile(task, s).segments > 1) return 1;
  return ceil_div(width, std::int64_t{s.tile_columns} * s.columns);
}

int cuda_second_pass_threads(const Task& task) {
  // Many segments of one group mean many partial sums for one coefficient.
  const Problem& p = task.problem;
  const std::int64_t most =
      std::max(p.segments_per_numerator_group(), p.segments_per_denominator_group());
  return most > 64 ? 512 : 64;
}

bool cuda_has_second_pass(const Task& task, const CudaSchedule& s) {
  return task.sum_terms() > 0 &&
         (s.sums == CudaSchedule::two_pass || s.sums == CudaSchedule::programmatic);
}

CudaLaunch cuda_launch(const Task& task, const CudaSchedule& s, std::int64_t rows,
                       std::int64_t inner, int multiprocessors) {
  if (rows < 1 || inner < 1 || multiprocessors < 1) {
    fail_argument(
        "a launch needs rows, inner and multiprocessors of at least 1; they are {}, {}, {}", rows,
        inner, multiprocessors);
  }
  if (rows >= kMaxRows) {
    fail(Status::unsupported, "{} rows are more than one CUDA launch takes; split them below {}",
         rows, kMaxRows);
  }
  const Problem& p = task.problem;
  const std::int64_t segment_tiles = cuda_tiles_of_segment(task, s, p.segment_width() * inner);
  const std::int64_t tiles = ceil_div(p.segments(), cuda_tile(task, s).segments) * segment_tiles;
  const std::int64_t outputs =
      (task.gradients.da ? p.numerator_groups * p.numerator_terms() : 0) +
      (task.gradients.db ? p.denominator_groups * p.denominator_terms() : 0);
  if (tiles > kMaxGridX || outputs > kMaxGridX) {
    fail(Status::unsupported,
         "{} column tiles and {} coefficients: CUDA launches at most {} blocks", tiles, outputs,
         kMaxGridX);
  }
  CudaLaunch launch;
  launch.grid_x = std::uint32_t(tiles);
  launch.grid_y = std::uint32_t(row_blocks(task, s, tiles, rows, multiprocessors));
  launch.threads = std::uint32_t(s.threads());
  if (cuda_has_second_pass(task, s)) {
    launch.second_pass_blocks = std::uint32_t(outputs);
    launch.second_pass_threads = std::uint32_t(cuda_second_pass_threads(task));
  }
  if (outputs > 0 && s.sums != CudaSchedule::block_atomics) {
    const std::int64_t sums =
        task.sum_terms() * p.segments() * segment_tiles * std::int64_t{sizeof(double)};
    launch.workspace_bytes = sums * std::int64_t{launch.grid_y};
    if (s.sums == CudaSchedule::last_block) {
      launch.tile_sums_offset = launch.workspace_bytes;
      launch.counters_offset = launch.tile_sums_offset + sums;
      launch.workspace_bytes = launch.counters_offset + counter_bytes(launch);
    }
  }
  return launch;
}

CudaCall cuda_call(const Task& task, const CudaSchedule& s, const CudaLaunch& launch,
                   const Call& call, void* workspace) {
  const Problem& p = task.problem;
  const auto x_size = std::int64_t(size_of(p.x_type));
  const auto y_size = std::int64_t(size_of(p.y_type));
  CudaCall c{};
  c.x = call.x;
  c.dy = call.dy;
  c.out = call.out;
  c.a = call.a;
  c.b = call.b;
  c.partial = static_cast<double*>(workspace);
  c.da = call.da;
  c.db = call.db;
  if (s.sums == CudaSchedule::last_block) {
    auto* bytes = static_cast<std::byte*>(workspace);
    c.tile_sums = reinterpret_cast<double*>(bytes + launch.tile_sums_offset);
    c.counters = reinterpret_cast<std::uint32_t*>(bytes + launch.counters_offset);
  }
  c.rows = call.rows;
  c.width = p.segment_width() * call.inner;
  c.x_stride = call.x_stride * x_size;
  c.dy_stride = call.dy_stride * y_size;
  c.out_stride = call.out_stride * (task.backward() ? x_size : y_size);
  c.row_blocks = launch.grid_y;
  c.group_step = launch.grid_y * std::uint32_t(s.tile_rows);
  c.groups = std::uint32_t(call.rows / s.rows_in_flight);
  const std::int64_t step_rows = std::int64_t{c.group_step} * s.rows_in_flight;
  c.x_step = step_rows * c.x_stride;
  c.dy_step = step_rows * c.dy_stride;
  c.out_step = step_rows * c.out_stride;
  c.accumulate_da = c.accumulate_db = call.accumulate ? 1 : 0;
  return c;
}

std::array<CudaClear, 2> cuda_clears(const Task& task, const CudaSchedule& s,
                                     const CudaLaunch& launch, const CudaCall& call) {
  if (task.sum_terms() == 0) return {};
  if (s.sums == CudaSchedule::last_block) return {{{call.counters, counter_bytes(launch)}, {}}};
  if (s.sums != CudaSchedule::block_atomics || call.accumulate_da != 0) return {};
  const Problem& p = task.problem;
  const auto size = std::int64_t(size_of(p.coefficient_type()));
  std::array<CudaClear, 2> clears;
  if (task.gradients.da) clears[0] = {call.da, p.numerator_groups * p.numerator_terms() * size};
  if (task.gradients.db) {
    clears[1] = {call.db, p.denominator_groups * p.denominator_terms() * size};
  }
  return clears;
}

bool cuda_vectors_fit(const Task& task, const CudaSchedule& s, const Call& call) {
  if (s.columns == 1) return true;
  const Problem& p = task.problem;
  const auto fits = [&](const void* pointer, std::int64_t stride, Type type) {
    const std::int64_t bytes = std::min<std::int64_t>(32, s.columns * std::int64_t(size_of(type)));
    const bool strides = call.rows <= 1 || stride % s.columns == 0;
    return pointer == nullptr || (aligned(pointer, bytes) && strides);
  };
  const Type out = task.backward() ? p.x_type : p.y_type;
  return p.segment_width() * call.inner % s.columns == 0 && fits(call.x, call.x_stride, p.x_type) &&
         fits(call.dy, call.dy_stride, p.y_type) && fits(call.out, call.out_stride, out);
}

}  // namespace grkan
