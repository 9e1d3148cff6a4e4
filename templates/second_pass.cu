constexpr int kSecondThreads = $second_threads;
// Adds one coefficient's partial sums, in a fixed order. The result is thread 0's.
__device__ __forceinline__ double sum_of_partials(const double* partial, long long count) {
  double sum = 0;
#pragma unroll 1
  for (long long i = threadIdx.x; i < count; i += 4 * kSecondThreads) {
    double value[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      value[k] = 0;
      if (i + k * kSecondThreads < count) value[k] = partial[i + k * kSecondThreads];
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) sum += value[k];
  }
  __shared__ double sums[kSecondThreads];
  sums[threadIdx.x] = sum;
#pragma unroll
  for (int half = kSecondThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  __syncthreads();
  return sums[0];
}

// The second pass: a block for each coefficient adds the partial sums of all blocks of the first.
extern "C" __global__ void __launch_bounds__(kSecondThreads)
    ${symbol}_second_pass(const __grid_constant__ CudaCall call) {
//@if channels_last
  constexpr long long kTiles = $tiles;  // of a segment
  const long long segment_partials = kTiles * call.row_blocks;
//@else
  constexpr long long kTileWidth = kTileColumns * kColumns;
  const long long segment_partials =
      (call.width + kTileWidth - 1) / kTileWidth * call.row_blocks;
//@end
  const Output output = output_of(blockIdx.x);
  const long long first = static_cast<long long>(output.term) * kSegments + output.segment;
//@if programmatic
  asm volatile("griddepcontrol.wait;" ::: "memory");
//@end
  const double sum = sum_of_partials(call.partial + first * segment_partials,
                                     output.segments * segment_partials);
  if (threadIdx.x == 0) write_gradient(call, output, sum);
}
