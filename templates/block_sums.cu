// Sums of a thread. While rows are walked: `high`, to which runs of sums are flushed. At the end:
// the thread's total.
union Cell {
  $math high;
  double total;
};

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

// high += sum without error (Knuth's two-sum): what is rounded off becomes the next run's start.
// Volatile keeps one term after another: side by side they would need registers that the loop has.
__device__ __forceinline__ void flush($math (&sum)[kTerms], Cell* cells, int cell) {
#pragma unroll
  for (int i = 0; i < kTerms; ++i) {
    volatile $math& place = cells[i * kThreads + cell].high;
    const $math old = place;
    const $math high = old + sum[i];
    const $math added = high - old;
    sum[i] = (old - (high - added)) + (sum[i] - added);
    place = high;
  }
}

// The sums of a block to its place in `partial` [term][segment][tile of the segment][row block],
// added in double in a fixed order.
__device__ __forceinline__ void write_partial(const CudaCall& call, int pair, double total) {
  const int term = pair % kTerms;
//@if channels_last
//@if narrow
  const unsigned segment = blockIdx.x * kTileSegments + pair / kTerms;
//@if ragged
  if (segment >= kSegments) return;
//@end
  const long long place = static_cast<long long>(term) * kSegments + segment;
//@else
  // Tiles are numbered segment by segment.
  const long long place = static_cast<long long>(term) * gridDim.x + blockIdx.x;
//@end
//@else
  const unsigned tiles = gridDim.x / kSegments;
  const long long place =
      (static_cast<long long>(term) * kSegments + blockIdx.x % kSegments) * tiles +
      blockIdx.x / kSegments;
//@end
  call.partial[place * call.row_blocks + blockIdx.y] = total;
}

__device__ __forceinline__ void write_block_sums(const CudaCall& call, const $math (&sum)[kTerms],
                                                 Cell* cells, int cell) {
#pragma unroll
  for (int i = 0; i < kTerms; ++i) {
    Cell& mine = cells[i * kThreads + cell];
    mine.total = static_cast<double>(mine.high) + static_cast<double>(sum[i]);
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
    write_partial(call, threadIdx.x, block);
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
      write_partial(call, pair, total);
    }
  }
//@end
}

