// The call of a generated CUDA kernel, and the launch that goes with it. Both kernels of a task
// (the main one and the second pass over partial sums) take one CudaCall by value; the generated
// source declares the same struct.
//
// A row has segments() * width elements, width = segment_width() * inner. The grid is
// (column tiles, row blocks): a block of tile_columns x tile_rows threads owns tile_columns *
// columns adjacent elements and walks down the rows from blockIdx.y * tile_rows in steps of
// gridDim.y * tile_rows. Channels-first: a tile lies within one segment.
#pragma once

#include <cstdint>
#include <optional>

#include "core/schedule.h"
#include "core/task.h"

namespace grkan {

struct CudaCall {
  const void* x;
  const void* dy;   // backward
  void* out;        // y or dx
  const void* a;    // [numerator_groups][m + 1], the arithmetic's type
  const void* b;    // [denominator_groups][terms]
  double* partial;  // [row blocks][tiles][segments of a tile][sum_terms]: the sums of one block
  void* da;         // the arithmetic's type
  void* db;
  std::int64_t rows;
  std::int64_t width;     // elements of a segment in a row
  std::int64_t x_stride;  // elements between rows
  std::int64_t dy_stride;
  std::int64_t out_stride;
  std::int64_t row_blocks;     // gridDim.y of the main kernel, for the second pass
  std::int32_t accumulate_da;  // 1: da = round(da + sum)
  std::int32_t accumulate_db;
};

struct CudaLaunch {
  std::uint32_t grid_x = 0;  // column tiles
  std::uint32_t grid_y = 0;  // row blocks
  std::uint32_t threads = 0;
  std::uint32_t second_pass_blocks = 0;  // 0: the task has no sums
  std::uint32_t second_pass_threads = 0;
  std::int64_t partial_bytes = 0;  // workspace
  bool operator==(const CudaLaunch&) const = default;
};

// The launch for rows > 0 and inner > 0 on a device with that many multiprocessors. Throws
// unsupported when the grid would exceed what CUDA can launch.
CudaLaunch cuda_launch(const Task& task, const CudaSchedule& schedule, std::int64_t rows,
                       std::int64_t inner, int multiprocessors);

}  // namespace grkan
