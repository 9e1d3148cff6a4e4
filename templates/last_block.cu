// True in the last of `count` blocks to come here. It can read what they all wrote before: each
// block's writes are made visible before it counts itself, and the last one reads after that.
__device__ __forceinline__ bool is_last(unsigned* counter, unsigned count) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicAdd(counter, 1u) == count - 1;
  __syncthreads();
  if (last) __threadfence();
  return last;
}

// The last block of a column of tiles adds that column's partial sums, a warp for each pair; the
// last of those blocks adds columns up into gradients. All in a fixed order.
__device__ __forceinline__ void finish_sums(const CudaCall& call) {
  if (!is_last(call.counters + blockIdx.x, gridDim.y)) return;
  constexpr int kWarps = kThreads / 32;
  const int warp = threadIdx.x / 32;
#pragma unroll 1
  for (int pair = warp < kWarps ? warp : kPairs; pair < kPairs; pair += kWarps) {
    const long long place = place_of_pair(pair);
//@if ragged
    if (place < 0) continue;
//@end
    const double* partial = call.partial + place * call.row_blocks;
    double sum = 0;
#pragma unroll 1
    for (unsigned i = threadIdx.x % 32; i < gridDim.y; i += 32) sum += partial[i];
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      sum += __shfl_down_sync(0xffffffffu, sum, distance);
    }
    if (threadIdx.x % 32 == 0) call.tile_sums[place] = sum;
  }
  if (!is_last(call.counters + gridDim.x, gridDim.x)) return;
//@if channels_last
  constexpr long long kTiles = $tiles;  // of a segment
//@else
  const long long kTiles = gridDim.x / kSegments;
//@end
#pragma unroll 1
  for (unsigned number = threadIdx.x; number < kOutputs; number += kThreads) {
    const Output output = output_of(number);
    const long long first = static_cast<long long>(output.term) * kSegments + output.segment;
    const double* sums = call.tile_sums + first * kTiles;
    double sum = 0;
#pragma unroll 1
    for (long long i = 0; i < output.segments * kTiles; ++i) sum += sums[i];
    write_gradient(call, output, sum);
  }
}

