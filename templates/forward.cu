__device__ __forceinline__ void compute(const Coefficients& c, const Pack_$x& x_pack,
                                        $value (&y)[$count]) {
  $value x[$count];
  unpack(x_pack, x);
#pragma unroll
  for (int j = 0; j < $count; ++j) y[j] = rational(c, x[j]);
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

//@if tail
#pragma unroll 1
  for (long long row = first_row_left(call, place); row < call.rows; ++row) {
    const char* x = static_cast<const char*>(call.x);
    $value result[$count];
    compute(c, load_$x(row_of<$x_storage>(x, row, call.x_stride, place)), result);
    char* y = static_cast<char*>(call.out);
    store_$y(row_of<$y_storage>(y, row, call.out_stride, place), result);
  }
//@end

  // x runs ahead of y: a row of the next step is requested as soon as its registers are free.
  const long long row = static_cast<long long>(place.group) * kRows;
  const char* x =
      row_of<$x_storage>(static_cast<const char*>(call.x), row, call.x_stride, place);
  char* y = row_of<$y_storage>(static_cast<char*>(call.out), row, call.out_stride, place);
  Pack_$x ahead[kRows];
  unsigned group = place.group;
  if (group < groups) {
#pragma unroll
    for (int k = 0; k < kRows; ++k) ahead[k] = load_$x(x + k * call.x_stride);
  }
#pragma unroll 1
  while (group < groups) {
    group += call.group_step;
    x += call.x_step;
    const bool more = group < groups;
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      $value result[$count];
      compute(c, ahead[k], result);
      if (more) ahead[k] = load_$x(x + k * call.x_stride);
      store_$y(y + k * call.out_stride, result);
    }
    y += call.out_step;
  }

}
