// One row of a thread's columns: gives dx and adds to the sums, where the task has them.
__device__ __forceinline__ void compute(const Coefficients& c, const Pack_$x& x_pack,
                                        const Pack_$y& dy_pack$compute_parameters) {
  $value x[$count];
  $value dy[$count];
  unpack(x_pack, x);
  unpack(dy_pack, dy);
#pragma unroll
  for (int j = 0; j < $count; ++j) gradient(c, x[j], dy[j]$gradient_arguments);
}

extern "C" __global__ void __launch_bounds__($launch_bounds)
    $symbol(
        const __grid_constant__ CudaCall call) {
  const Place place = place_of_thread(call);
  const Coefficients c = load_coefficients(call, place.segment);
//@if ragged
  const unsigned groups = place.inside ? call.groups : 0;
//@else
  const unsigned groups = call.groups;
//@end
//@if sums

  __shared__ Cell cells[kTerms * kThreads];
  const int cell = cell_of_thread();
  $value sum[kTerms];
#pragma unroll
  for (int i = 0; i < kTerms; ++i) {
    sum[i] = $zero;
    cells[i * kThreads + cell].$kept = 0;
  }
//@end

//@if tail
#pragma unroll 1
  for (long long row = first_row_left(call, place); row < call.rows; ++row) {
    const char* x = static_cast<const char*>(call.x);
    const char* dy = static_cast<const char*>(call.dy);
//@if dx
    $value result[$count];
//@end
    compute(c, load_$x(row_of<$x_storage>(x, row, call.x_stride, place)),
            load_$y(row_of<$y_storage>(dy, row, call.dy_stride, place))$compute_arguments);
//@if dx
    char* dx = static_cast<char*>(call.out);
    store_$x(row_of<$x_storage>(dx, row, call.out_stride, place), result);
//@end
  }
//@end

  // x and dy run ahead of the arithmetic: a row of the next step is requested as soon as its
  // registers are free.
  const long long row = static_cast<long long>(place.group) * kRows;
  const char* x =
      row_of<$x_storage>(static_cast<const char*>(call.x), row, call.x_stride, place);
  const char* dy =
      row_of<$y_storage>(static_cast<const char*>(call.dy), row, call.dy_stride, place);
//@if dx
  char* dx = row_of<$x_storage>(static_cast<char*>(call.out), row, call.out_stride, place);
//@end
  Pack_$x x_ahead[kRows];
  Pack_$y dy_ahead[kRows];
  unsigned group = place.group;
  if (group < groups) {
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      x_ahead[k] = load_$x(x + k * call.x_stride);
      dy_ahead[k] = load_$y(dy + k * call.dy_stride);
    }
  }
//@if sums
#pragma unroll 1
  while (group < groups) {
    const unsigned stop = min(groups, group + kRun / kRows * call.group_step);
#pragma unroll 1
    do {
//@else
  if (group < groups) {
#pragma unroll 1
    do {
//@end
      group += call.group_step;
      x += call.x_step;
      dy += call.dy_step;
      const bool more = group < groups;
#pragma unroll
      for (int k = 0; k < kRows; ++k) {
//@if dx
        $value result[$count];
//@end
        compute(c, x_ahead[k], dy_ahead[k]$compute_arguments);
        if (more) {
          x_ahead[k] = load_$x(x + k * call.x_stride);
          dy_ahead[k] = load_$y(dy + k * call.dy_stride);
        }
//@if dx
        store_$x(dx + k * call.out_stride, result);
//@end
      }
//@if dx
      dx += call.out_step;
//@end
//@if sums
    } while (group < stop);
    flush(sum, cells, cell);
//@else
    } while (group < groups);
//@end
  }

//@if sums
//@if programmatic
  // The second pass may be set up from here on; it waits for this kernel's end.
  asm volatile("griddepcontrol.launch_dependents;");
//@end
  write_block_sums(call, sum, cells, cell);
//@if lastblock
  finish_sums(call);
//@end
//@end
}
