constexpr int kSecondThreads = $second_threads;
//@if da
//@if db
constexpr unsigned kOutputsA = kSegments / kSegmentsPerA * kTermsA;
//@end
//@end

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
  unsigned output = blockIdx.x;
//@if da
//@if db
  const bool of_a = output < kOutputsA;
  if (!of_a) output -= kOutputsA;
  const unsigned group = of_a ? output / kTermsA : output / kTermsB;
  const unsigned term = of_a ? output % kTermsA : kTermsA + output % kTermsB;
  const int segments = of_a ? kSegmentsPerA : kSegmentsPerB;
//@else
  const unsigned group = output / kTermsA;
  const unsigned term = output % kTermsA;
  constexpr int segments = kSegmentsPerA;
//@end
//@else
  const unsigned group = output / kTermsB;
  const unsigned term = output % kTermsB;
  constexpr int segments = kSegmentsPerB;
//@end
  const long long first =
      static_cast<long long>(term) * kSegments + static_cast<long long>(group) * segments;
  double sum = sum_of_partials(call.partial + first * segment_partials, segments * segment_partials);
  if (threadIdx.x != 0) return;
//@if da
//@if db
  if (of_a) {
//@else
  {
//@end
    $math* da = static_cast<$math*>(call.da) + output;
    *da = static_cast<$math>(call.accumulate_da ? *da + sum : sum);
  }
//@end
//@if db
//@if da
  if (!of_a) {
//@else
  {
//@end
//@if prepare
    // Q has |b|; a zero counts as positive, so that it can learn.
    if (static_cast<const $math*>(call.b)[output] < 0) sum = -sum;
//@end
    $math* db = static_cast<$math*>(call.db) + output;
    *db = static_cast<$math>(call.accumulate_db ? *db + sum : sum);
  }
//@end
}
