#include "cuda/backend.h"

#include <algorithm>

#include "cuda/launch.h"
#include "cuda/limits.h"

namespace grkan {
namespace {

constexpr std::int64_t kSectorBytes = 32;  // the least that memory moves
// Elements of the smallest tile that a workspace is enough for.
constexpr std::int64_t kSmallestTile = 32;

// Blocks that add to one coefficient, on any device.
double most_blocks(const Task& task, const CudaSchedule& s) {
  constexpr int kMultiprocessors = 256;  // more than any device has
  const double wave = s.slab > 0 ? double(kMostSlabs) : double(kMultiprocessors) * s.blocks;
  // Where a row alone has more tiles than a wave, those.
  return std::max(wave, double(task.problem.channels));
}

// Terms that one running sum takes before it goes into double (f64: into a compensated sum).
double run_terms(const Task& task, const CudaSchedule& s) {
  if (!task.sums()) return 0;
  // A thread's last run also takes the rows after the last whole group, and every run what the
  // flush before it rounded off. Kahan's sum of the runs costs two roundings, the thread's total
  // one.
  constexpr double kAbove = 3;
  const double rows = s.run + s.rows_in_flight - 1;
  // Packed sums take every other column; their halves are added before a flush.
  const double run = (s.packed != 0 ? rows * s.columns / 2 + 2 : rows * s.columns + 1) + kAbove;
  const bool atomics = s.sums == CudaSchedule::block_atomics;
  if (task.problem.math_type() != Type::f64 && !atomics) return run;
  // f64: the threads of a block, and then the blocks, are added in plain double. block_atomics:
  // blocks are added in the arithmetic's type.
  const double threads = task.problem.math_type() == Type::f64 ? s.threads() : 0;
  return run + threads + most_blocks(task, s);
}

}  // namespace

std::string_view CudaBackend::example() const {
  return "v4_r2_x24_y10_newton_run16_twopass@blocks4";
}

std::string CudaBackend::why_pointless(const Task& task, const Schedule& schedule,
                                       const Schedule& standard, const Target& /*target*/,
                                       std::int64_t rows, std::int64_t inner) const {
  if (schedule == standard) return {};
  const CudaSchedule s(schedule);
  const Problem& p = task.problem;
  const std::int64_t columns = p.channels * (p.layout == Layout::channels_last ? 1 : inner);
  if (s.threads() < 64) return "blocks of fewer than 64 threads";
  if (s.threads() > 512) return "blocks of more than 512 threads";
  if (s.columns > 1 && std::int64_t(s.columns) * s.tile_columns > columns) {
    return "tiles are wider than a row";
  }
  if (s.tile_rows > 1 && s.tile_rows / 2 >= rows) return "tiles have more rows than there are";
  // Blocks side by side then share sectors, at other times: 1.2 to 2.9 times the best one's time on
  // an H200, at their best. Where the default's are no wider, nothing is.
  const std::int64_t row =
      p.layout == Layout::channels_last ? p.channels : p.segment_width() * inner;
  const auto bytes_across = [&](const CudaSchedule& of) {
    const auto size = std::int64_t(std::min(size_of(p.x_type), size_of(p.y_type)));
    return std::min(row, std::int64_t(of.columns) * of.tile_columns) * size;
  };
  if (bytes_across(s) < std::min(kSectorBytes, bytes_across(CudaSchedule(standard)))) {
    return "rows of a tile are under a sector";
  }
  return {};
}

std::vector<Schedule> CudaBackend::loaded_beside(const Task& task, const Schedule& schedule) const {
  const CudaSchedule s(schedule);
  if (s.columns == 1) return {};
  return {narrow_schedule(task, s)};
}

Arithmetic CudaBackend::arithmetic(const Task& task, const Schedule& schedule) const {
  const CudaSchedule s(schedule);
  const bool divides = s.division == CudaSchedule::ieee;
  // An approximate reciprocal has two roundings, with or without a Newton step.
  return {.reciprocal_roundings = divides ? 1 : 2,
          .pairs_of_terms = s.polynomial == CudaSchedule::estrin,
          .slope_rounds_coefficients = s.polynomial != CudaSchedule::horner,
          .multiplies_by_reciprocal = !divides || s.packed != 0,
          .run = run_terms(task, s)};
}

// One wave of blocks (or, where a row alone has more tiles, those), each with the sums of its
// segments.
WorkspaceBound CudaBackend::workspace_bound(const Task& task, const Target& target,
                                            int units) const {
  if (!task.sums()) return {};
  const Problem& p = task.problem;
  const auto sum = std::int64_t(task.sum_terms()) * std::int64_t{sizeof(double)};
  const std::int64_t wave = std::max(std::int64_t{kMostBlocks} * units, kMostSlabs);
  // A width with a large prime factor may have smaller tiles.
  const CudaSchedule usual(default_schedule(task, target, 1, 1, Determinism::run_to_run));
  std::int64_t smallest = kSmallestTile;
  for (const CudaSchedule& s : {usual, narrow_schedule(task, usual)}) {
    smallest = std::min(smallest, std::int64_t{s.tile_columns} * s.columns);
  }
  // last_block also keeps a sum and counts blocks for each tile.
  const std::int64_t of_tile = 2 * sum + std::int64_t{sizeof(std::uint32_t)};
  if (p.layout == Layout::channels_first) {
    const std::int64_t tiles = p.segment_width() / smallest + 1;
    return {.fixed = std::size_t(sum * wave + of_tile * (p.segments() + 1)),
            .per_inner = std::size_t(of_tile * p.segments() * tiles)};
  }
  constexpr std::int64_t kWidestTile = 1024;  // columns of a tile that has whole segments
  const std::int64_t whole =
      std::clamp<std::int64_t>(kWidestTile / p.segment_width(), 1, p.segments());
  const std::int64_t tiles = p.segments() * (p.segment_width() / smallest + 1);
  return {.fixed = std::size_t(sum * wave * whole + of_tile * (tiles + 1)), .per_inner = 0};
}

}  // namespace grkan
