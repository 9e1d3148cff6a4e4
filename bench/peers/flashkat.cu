// FlashKAT's order of summation: a block a tile of 64 rows and 64 columns of one group; the tile's
// sums, then one addition in global memory for each of them. Lanes past the group's last column or
// the last row compute with zeros.
constexpr int kTile = 64;
constexpr int kTilesOfGroup = (kWidth + kTile - 1) / kTile;
constexpr int kRowsAtOnce = kThreads / kTile;
constexpr int kUnrolled = 4;  // rows of a thread in one step of its loop
constexpr int kWarp = 32;

extern "C" __global__ void __launch_bounds__(kThreads) flashkat_backward(const PeerCall call) {
  const int group = blockIdx.x / kTilesOfGroup;
  const int column = blockIdx.x % kTilesOfGroup * kTile + threadIdx.x % kTile;
  const Coefficients c = load_coefficients(call, group);
  float sum[kTerms] = {};
  const long long first = static_cast<long long>(blockIdx.y) * kTile + threadIdx.x / kTile;
#pragma unroll 1
  for (int step = 0; step < kTile; step += kUnrolled * kRowsAtOnce) {
#pragma unroll
    for (int i = 0; i < kUnrolled; ++i) {
      const long long row = first + step + i * kRowsAtOnce;
      const bool inside = row < call.rows && column < kWidth;
      const long long element = row * kChannels + group * kWidth + column;
      const float x = inside ? call.x[element] : 0.0f;
      const float dy = inside ? call.dy[element] : 0.0f;
      float term[kTerms];
      const float dx = gradient(c, x, dy, term);
      if (inside) call.dx[element] = dx;
#pragma unroll
      for (int k = 0; k < kTerms; ++k) sum[k] += term[k];
    }
  }
  __shared__ float warp_sums[kThreads / kWarp][kTerms];
#pragma unroll
  for (int k = 0; k < kTerms; ++k) {
#pragma unroll
    for (int other = kWarp / 2; other > 0; other /= 2) {
      sum[k] += __shfl_xor_sync(0xffffffffu, sum[k], other);
    }
    if (threadIdx.x % kWarp == 0) warp_sums[threadIdx.x / kWarp][k] = sum[k];
  }
  __syncthreads();
  if (threadIdx.x < kTerms) {
    float tile = 0;
#pragma unroll
    for (int warp = 0; warp < kThreads / kWarp; ++warp) tile += warp_sums[warp][threadIdx.x];
    const int term = threadIdx.x;
    add(call, group, term, tile,
        term < kTermsA ? 0 : __ldg(call.b + group * kTermsB + term - kTermsA));
  }
}
