// Where a thread works. Rows are taken in groups of kRows; only the last group of a tensor can be
// short.
struct Place {
  unsigned group;  // the first group of rows
  int segment;
  long long column;  // the first element in a row
//@if ragged
  bool inside;  // the column lies in the row: else the thread has no rows
//@end
};

__device__ __forceinline__ Place place_of_thread(const CudaCall& call) {
  Place place;
  const unsigned tile_column = threadIdx.x % kTileColumns * kColumns;
  place.group = blockIdx.y * kTileRows + threadIdx.x / kTileColumns;
//@if channels_last
  const unsigned column = blockIdx.x * (kTileColumns * kColumns) + tile_column;
  place.column = column;
//@if ragged
  place.inside = column < unsigned(kSegments) * kWidth;
  place.segment = place.inside ? column / kWidth : kSegments - 1;
//@else
  place.segment = column / kWidth;
//@end
//@else
  // A tile lies in one segment; the segment's last tile may reach past it.
  const long long within =
      static_cast<long long>(blockIdx.x / kSegments) * (kTileColumns * kColumns) + tile_column;
  place.inside = within < call.width;
  place.segment = blockIdx.x % kSegments;
  place.column = place.segment * call.width + within;
//@end
  return place;
}

// The place of a thread's columns in a row of a tensor.
template <class T, class Pointer>
__device__ __forceinline__ Pointer* row_of(Pointer* tensor, long long row, long long stride,
                                           Place place) {
  return tensor + row * stride + place.column * static_cast<long long>(sizeof(T));
}

//@if tail
// The first row after the last whole group, for the threads that take those rows: the last ones,
// which have the fewest groups. For all others there is none.
__device__ __forceinline__ long long first_row_left(const CudaCall& call, Place place) {
//@if ragged
  const bool mine = place.group == call.group_step - 1 && place.inside;
//@else
  const bool mine = place.group == call.group_step - 1;
//@end
  return mine ? static_cast<long long>(call.groups) * kRows : call.rows;
}

//@end
__device__ __forceinline__ Coefficients load_coefficients(const CudaCall& call, int segment) {
  Coefficients c;
  const $coefficient* a = static_cast<const $coefficient*>(call.a) +
                   static_cast<long long>(segment / kSegmentsPerA) * kTermsA;
#pragma unroll
  for (int i = 0; i < kTermsA; ++i) c.a[i] = $load_a;
//@if b
  const $coefficient* b = static_cast<const $coefficient*>(call.b) +
                   static_cast<long long>(segment / kSegmentsPerB) * kTermsB;
#pragma unroll
  for (int i = 0; i < kTermsB; ++i) c.b[i] = $load_b;
//@end
//@if prepare
  prepare(c);
//@end
  return c;
}

