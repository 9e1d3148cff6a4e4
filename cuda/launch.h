// The call of a generated CUDA kernel, and the launch that goes with it. Both kernels of a task
// (the main one and the second pass over partial sums) take one CudaCall by value; the generated
// source declares the same struct.
//
// A row has segments() * width elements, width = segment_width() * inner. The grid is
// (column tiles, row blocks); a block's threads are one-dimensional. A block of
// tile_columns x tile_rows threads owns tile_columns * columns adjacent elements; its rows of
// threads take groups of rows_in_flight adjacent rows, from group blockIdx.y * tile_rows + (row of
// threads) in steps of gridDim.y * tile_rows. Channels-last: tiles go along the row; one is a part
// of a segment, or some whole segments. Channels-first: a tile lies within one segment; tile t is
// tile t / segments() of segment t % segments().
//
// A kernel with columns > 1 needs what cuda_vectors_fit() tells; one with columns = 1 runs always.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/call.h"
#include "core/task.h"
#include "cuda/schedule.h"

namespace grkan {

struct CudaCall {
  const void* x;
  const void* dy;   // backward
  void* out;        // y or dx
  const void* a;    // [numerator_groups][m + 1], the arithmetic's type
  const void* b;    // [denominator_groups][terms]
  double* partial;  // [sum_terms][segments][tiles of a segment][row blocks]: the sums of one block
  void* da;         // the arithmetic's type
  void* db;
  double* tile_sums;        // last_block: [sum_terms][segments][tiles of a segment]
  std::uint32_t* counters;  // last_block: finished blocks of each column of tiles, then columns
  std::int64_t rows;
  std::int64_t width;     // elements of a segment in a row
  std::int64_t x_stride;  // bytes between rows
  std::int64_t dy_stride;
  std::int64_t out_stride;
  std::int64_t x_step;  // bytes between a thread's groups of rows
  std::int64_t dy_step;
  std::int64_t out_step;
  std::int64_t row_blocks;     // gridDim.y of the main kernel
  std::uint32_t group_step;    // groups of rows between a thread's groups
  std::uint32_t groups;        // whole groups of rows_in_flight rows
  std::int32_t accumulate_da;  // 1: da = round(da + sum)
  std::int32_t accumulate_db;
};

// Blocks of a grid of slabs: no more, so that its workspace has a bound.
inline constexpr std::int64_t kMostSlabs = 2048;

struct CudaLaunch {
  std::uint32_t grid_x = 0;  // column tiles
  std::uint32_t grid_y = 0;  // row blocks
  std::uint32_t threads = 0;
  std::uint32_t second_pass_blocks = 0;  // 0: there is no second pass
  std::uint32_t second_pass_threads = 0;
  std::int64_t workspace_bytes = 0;   // partial sums and what follows them
  std::int64_t tile_sums_offset = 0;  // last_block: bytes into the workspace
  std::int64_t counters_offset = 0;
  bool operator==(const CudaLaunch&) const = default;
};

// The launch for rows > 0 and inner > 0 on a device with that many multiprocessors: one wave of
// blocks, `blocks` of the schedule on each multiprocessor, fewer where a thread would get less than
// a few rows; or, where the schedule has a `slab`, a block for each so many rows, up to kMostSlabs.
// Throws unsupported when the grid would exceed what CUDA can launch.
CudaLaunch cuda_launch(const Task& task, const CudaSchedule& schedule, std::int64_t rows,
                       std::int64_t inner, int multiprocessors);

// The argument of both kernels for this launch. `workspace`: workspace_bytes of device memory.
CudaCall cuda_call(const Task& task, const CudaSchedule& schedule, const CudaLaunch& launch,
                   const Call& call, void* workspace);

// Device memory to set to zero, in the stream, before the kernel: the counters of last_block; da
// and db of block_atomics unless the call accumulates. Unused entries have no bytes.
struct CudaClear {
  void* memory = nullptr;
  std::int64_t bytes = 0;
};
std::array<CudaClear, 2> cuda_clears(const Task& task, const CudaSchedule& schedule,
                                     const CudaLaunch& launch, const CudaCall& call);

bool cuda_has_second_pass(const Task& task, const CudaSchedule& schedule);

// True when every vector access of the schedule's kernel is aligned for this call: pointers to
// min(32, columns * size) bytes, row strides and (channels-first) a segment's elements to columns.
bool cuda_vectors_fit(const Task& task, const CudaSchedule& schedule, const Call& call);

// How a tile lies on segments, and how its sums are added: what the generated source has as
// constants.
struct CudaTile {
  std::int64_t segments = 1;  // whole segments of a tile; 1 where a tile is a part of one
  bool ragged = false;        // the last tile reaches past the row (or the segment)
  int parts = 1;              // threads that share the members of one (segment, term) sum
  bool operator==(const CudaTile&) const = default;
};
CudaTile cuda_tile(const Task& task, const CudaSchedule& schedule);
// Tiles that a segment of `width` elements is cut into (1 where a tile has whole segments).
std::int64_t cuda_tiles_of_segment(const Task& task, const CudaSchedule& schedule,
                                   std::int64_t width);
// Threads of a second pass' block.
int cuda_second_pass_threads(const Task& task);

}  // namespace grkan
