//@if f64acc
// A thread's sums, to which runs are added.
struct Cell {
  double total;
};
//@else
// Sums of a thread. While rows are walked: `high`, to which runs of sums are flushed. At the end:
// the thread's total.
union Cell {
  $math high;
  double total;
};
//@end

// Threads of one segment in a tile, and segments in a tile.
//@if narrow
constexpr int kSegmentThreads = kWidth / kColumns;
//@else
constexpr int kSegmentThreads = kTileColumns;
//@end
constexpr int kTileSegments = kTileColumns / kSegmentThreads;
constexpr int kMembers = kSegmentThreads * kTileRows;
constexpr int kPairs = kTileSegments * kTerms;  // (segment, term)
constexpr int kParts = $parts;  // threads that share a pair's members

// The place of a thread's cells in a row of kThreads: segments one after another.
__device__ __forceinline__ int cell_of_thread() {
//@if narrow
  const int column = threadIdx.x % kTileColumns;
  const int row = threadIdx.x / kTileColumns;
  return column / kSegmentThreads * kMembers + row * kSegmentThreads + column % kSegmentThreads;
//@else
  return threadIdx.x;
//@end
}

//@if f64acc
// Adds a run to the thread's sums. Volatile keeps one term after another: side by side they would
// need registers that the loop has.
//@else
// high += sum; what is rounded off becomes the next run's start (Kahan's summation). Volatile keeps
// one term after another: side by side they would need registers that the loop has.
//@end
__device__ __forceinline__ void flush($value (&sum)[kTerms], Cell* cells, int cell) {
#pragma unroll
  for (int i = 0; i < kTerms; ++i) {
//@if packed
    const $math part = sum[i].x + sum[i].y;
//@end
//@if f64acc
    volatile double& place = cells[i * kThreads + cell].total;
    place = place + static_cast<double>($part);
    sum[i] = $zero;
//@else
    volatile $math& place = cells[i * kThreads + cell].high;
    const $math old = place;
    const $math high = old + $part;
    const $math rest = $part - (high - old);
    sum[i] = $rest;
    place = high;
//@end
  }
}

//@if !blockatomics
// Where a pair's total belongs in [term][segment][tile of the segment]; -1 past the last segment.
__device__ __forceinline__ long long place_of_pair(int pair) {
  const int term = pair % kTerms;
//@if channels_last
//@if narrow
  const unsigned segment = blockIdx.x * kTileSegments + pair / kTerms;
//@if ragged
  if (segment >= kSegments) return -1;
//@end
  return static_cast<long long>(term) * kSegments + segment;
//@else
  // Tiles are numbered segment by segment.
  return static_cast<long long>(term) * gridDim.x + blockIdx.x;
//@end
//@else
  const unsigned tiles = gridDim.x / kSegments;
  return (static_cast<long long>(term) * kSegments + blockIdx.x % kSegments) * tiles +
         blockIdx.x / kSegments;
//@end
}

//@end
// Hands on a pair's total over the block, added in double in a fixed order.
__device__ __forceinline__ void give_total(const CudaCall& call, int pair, double total) {
//@if blockatomics
//@if narrow
  const unsigned segment = blockIdx.x * kTileSegments + pair / kTerms;
//@if ragged
  if (segment >= kSegments) return;
//@end
//@else
  const unsigned segment = blockIdx.x / $tiles;
//@end
  add_to_gradient(call, pair % kTerms, segment, total);
//@else
  const long long place = place_of_pair(pair);
//@if ragged
  if (place < 0) return;
//@end
  call.partial[place * call.row_blocks + blockIdx.y] = total;
//@end
}

__device__ __forceinline__ void write_block_sums(const CudaCall& call, const $value (&sum)[kTerms],
                                                 Cell* cells, int cell) {
#pragma unroll
  for (int i = 0; i < kTerms; ++i) {
    Cell& mine = cells[i * kThreads + cell];
//@if f64acc
    const double total = mine.total + static_cast<double>($left);
//@else
    const double total = mine.high + $left;
//@end
//@if minus_da
    mine.total = i < kTermsA ? -total : total;  // da's terms were added with the other sign
//@else
    mine.total = total;
//@end
  }
  __syncthreads();
//@if parts
  // kParts threads add a pair's members, then one thread adds what they got.
  double total = 0;
  const int pair = threadIdx.x / kParts;
  if (pair < kPairs) {
    const Cell* members = cells + pair % kTerms * kThreads + pair / kTerms * kMembers;
#pragma unroll
    for (int i = 0; i < kMembers; i += kParts) {
      const int member = i + threadIdx.x % kParts;
      if (i + kParts <= kMembers || member < kMembers) total += members[member].total;
    }
  }
  __syncthreads();
  if (pair < kPairs) cells[threadIdx.x].total = total;
  __syncthreads();
  if (threadIdx.x < kPairs) {
    double block = 0;
#pragma unroll
    for (int i = 0; i < kParts; ++i) block += cells[threadIdx.x * kParts + i].total;
    give_total(call, threadIdx.x, block);
  }
//@else
#pragma unroll
  for (int first = 0; first < kPairs; first += kThreads) {
    const int pair = first + threadIdx.x;
    if (pair < kPairs) {
      const Cell* members = cells + pair % kTerms * kThreads + pair / kTerms * kMembers;
      double total = 0;
#pragma unroll
      for (int i = 0; i < kMembers; ++i) total += members[i].total;
      give_total(call, pair, total);
    }
  }
//@end
}

