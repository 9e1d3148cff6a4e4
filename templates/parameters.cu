constexpr int kColumns = $columns;  // adjacent elements of a thread, all in one segment
constexpr int kRows = $rows_in_flight;  // adjacent rows of a thread, requested ahead of the arithmetic
constexpr int kTileColumns = $tile_columns;  // threads of a block along the columns
constexpr int kTileRows = $tile_rows;  // threads of a block along the rows
constexpr int kThreads = kTileColumns * kTileRows;
constexpr int kSegments = $segments;  // runs of channels with the same coefficients
constexpr int kSegmentsPerA = $segments_per_a;  // segments of a numerator group
//@if b
constexpr int kSegmentsPerB = $segments_per_b;  // segments of a denominator group
//@end
//@if channels_last
constexpr int kWidth = $segment_width;  // elements of a segment in a row
//@end
constexpr int kTermsA = $numerator_terms;
//@if b
constexpr int kTermsB = $denominator_terms;
//@end
//@if sums
constexpr int kTerms = $sum_terms;  // sums of a segment: $sum_names
constexpr int kRun = $run;  // rows summed before a compensated flush
//@end

static_assert(kColumns > 0 && kRows > 0);
static_assert(kThreads > 0 && kThreads <= 1024);
//@if channels_last
static_assert(kWidth % kColumns == 0, "a thread's columns lie in one segment");
static_assert(kWidth % (kTileColumns * kColumns) == 0 || kTileColumns * kColumns % kWidth == 0,
              "a tile is a part of a segment or some whole segments");
//@end
//@if sums
static_assert(kRun % kRows == 0, "a run is some whole steps of the row loop");
//@end

// The call, as the launching side fills it (the same struct for all kernels).
struct CudaCall {
  const void* x;
  const void* dy;
  void* out;
  const void* a;
  const void* b;
  double* partial;  // [term][segment][tile of the segment][row block]
  void* da;
  void* db;
  double* tile_sums;  // [term][segment][tile of the segment]
  unsigned* counters;  // of finished blocks, zero at launch: of each column of tiles, of columns
  long long rows;
  long long width;  // elements of a segment in a row
  long long x_stride;  // bytes between rows
  long long dy_stride;
  long long out_stride;
  long long x_step;  // bytes between a thread's groups of rows
  long long dy_step;
  long long out_step;
  long long row_blocks;  // gridDim.y of the main kernel
  unsigned group_step;  // groups of rows between a thread's groups
  unsigned groups;  // whole groups of kRows rows
  int accumulate_da;
  int accumulate_db;
};

struct Coefficients {
  $value a[kTermsA];
//@if b
  $value b[kTermsB];
//@end
};

