// Which CUDA schedules can be generated for a task, and why others can't.
#include <algorithm>

#include "core/error.h"
#include "cuda/backend.h"
#include "cuda/limits.h"

namespace grkan {
namespace {

std::string why_illegal_sums(const Task& task, const CudaSchedule& s, const Target& target,
                             Determinism determinism) {
  if (!task.sums()) {
    if (s.accumulator != 0) return "f64acc does not apply where nothing is summed";
    return {};
  }
  if (s.sums > CudaSchedule::block_atomics) return fmt::format("sums {} is unknown", s.sums);
  if (s.accumulator == CudaSchedule::f64 && task.problem.math_type() == Type::f64) {
    return "f64acc is for f32 arithmetic; f64 compensates";
  }
  const int capability = target.compute_capability();
  if (s.sums == CudaSchedule::programmatic && capability < kProgrammaticArchitecture) {
    return fmt::format("programmatic needs sm_{} or later; the target is {}",
                       kProgrammaticArchitecture, target.name);
  }
  constexpr int kWarp = 32;
  if (s.sums == CudaSchedule::last_block && s.threads() < kWarp) {
    return fmt::format("lastblock adds by whole warps; the block has {} threads", s.threads());
  }
  if (s.sums != CudaSchedule::block_atomics) return {};
  if (determinism != Determinism::not_guaranteed) {
    return "blockatomics adds in any order; it needs determinism not_guaranteed";
  }
  if (task.problem.half_coefficients) return "blockatomics adds to gradients of f32 or f64";
  // Its error grows with the blocks of a group, which must therefore be few.
  if (task.problem.layout == Layout::channels_first) return "blockatomics needs channels-last";
  if (s.slab != 0) return "blockatomics goes with blocks, not with slab";
  return {};
}

// gpu_to_gpu: what decides the order and the rounding of operations is fixed by the task.
std::string why_not_gpu_to_gpu(const Task& task, const CudaSchedule& s, const Target& target) {
  CudaSchedule fixed(default_schedule(task, target, 1, 1, Determinism::gpu_to_gpu));
  fixed.min_blocks = s.min_blocks;
  fixed.loads = s.loads;
  fixed.stores = s.stores;
  if (s.sums == CudaSchedule::programmatic) fixed.sums = s.sums;
  if (!task.sums()) {  // every element for itself
    fixed.columns = s.columns;
    fixed.rows_in_flight = s.rows_in_flight;
    fixed.tile_columns = s.tile_columns;
    fixed.tile_rows = s.tile_rows;
    fixed.slab = s.slab;
    fixed.blocks = s.blocks;
  }
  if (s == fixed) return {};
  return "gpu_to_gpu fixes the schedule to " + to_string(fixed);
}

}  // namespace

std::string CudaBackend::why_illegal(const Task& task, const Schedule& schedule,
                                     const Target& target, Determinism determinism) const {
  const CudaSchedule s(schedule);
  const Problem& p = task.problem;
  if (s.columns != 1 && s.columns != 2 && s.columns != 4 && s.columns != 8) {
    return fmt::format("columns {} is not 1, 2, 4 or 8", s.columns);
  }
  const int widest = cuda_widest_access(s, target);
  const int bytes = s.columns * int(std::min(size_of(p.x_type), size_of(p.y_type)));
  if (bytes > widest) {
    return fmt::format("{} columns are {} bytes, more than one access of {}", s.columns, bytes,
                       widest);
  }
  if (s.rows_in_flight < 1 || s.rows_in_flight > 8) {
    return fmt::format("rows_in_flight {} is not in 1 to 8", s.rows_in_flight);
  }
  if (s.tile_columns < 1 || s.tile_rows < 1 ||
      std::int64_t{s.tile_columns} * s.tile_rows > kMostThreads) {
    return fmt::format("tile {} x {} is {} threads; 1 to {} can be launched", s.tile_columns,
                       s.tile_rows, std::int64_t{s.tile_columns} * s.tile_rows, kMostThreads);
  }
  if (s.min_blocks < 0 || std::int64_t{s.min_blocks} * s.threads() > 2048) {
    return fmt::format("min_blocks {} of {} threads are more than a multiprocessor's 2048",
                       s.min_blocks, s.threads());
  }
  if (s.blocks < 1) return fmt::format("blocks {} is not positive", s.blocks);
  if (s.division < CudaSchedule::ieee || s.division > CudaSchedule::approximate) {
    return "division must be div, newton or approx";
  }
  if (p.math_type() == Type::f64 && s.division != CudaSchedule::ieee) return "f64 divides by div";
  if (s.packed != 0) {
    if (target.compute_capability() < kPackedArchitecture) {
      return fmt::format("packed needs sm_{} or later; the target is {}", kPackedArchitecture,
                         target.name);
    }
    if (p.math_type() == Type::f64) return "packed is for f32 arithmetic";
    if (s.columns % 2 != 0) return fmt::format("packed needs pairs of columns, not {}", s.columns);
  }
  const bool writes = !task.backward() || task.gradients.dx;
  if (s.stores != 0 && !writes) return "stcs does not apply where no tensor is written";
  if (std::string why = why_misplaced("run", s.run, task.sums(), task); !why.empty()) return why;
  if (std::string why = why_misplaced("sums", s.sums, task.sums(), task); !why.empty()) return why;
  if (std::string why = why_illegal_sums(task, s, target, determinism); !why.empty()) return why;
  if (task.sums() && s.run % s.rows_in_flight != 0) {
    return fmt::format("run {} is not a multiple of rows_in_flight {}", s.run, s.rows_in_flight);
  }
  if (cuda_shared_bytes(task, s) > kSharedBytes) {
    return fmt::format("{} sums of {} threads need {} bytes of shared memory; {} are there",
                       task.sum_terms(), s.threads(), cuda_shared_bytes(task, s), kSharedBytes);
  }
  if (p.layout == Layout::channels_last) {
    const std::int64_t width = p.segment_width();
    if (width % s.columns != 0) {
      return fmt::format("{} columns do not divide the group width {}", s.columns, width);
    }
    const std::int64_t threads = width / s.columns;
    if (threads % s.tile_columns != 0 && s.tile_columns % threads != 0) {
      return fmt::format(
          "tile_columns {} neither divides nor is a multiple of a group's {} threads",
          s.tile_columns, threads);
    }
  }
  if (determinism == Determinism::gpu_to_gpu) return why_not_gpu_to_gpu(task, s, target);
  return {};
}

}  // namespace grkan
