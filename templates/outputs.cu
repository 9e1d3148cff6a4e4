//@if da
//@if db
constexpr unsigned kOutputsA = kSegments / kSegmentsPerA * kTermsA;
constexpr unsigned kOutputs = kOutputsA + kSegments / kSegmentsPerB * kTermsB;
//@else
constexpr unsigned kOutputs = kSegments / kSegmentsPerA * kTermsA;
//@end
//@else
constexpr unsigned kOutputs = kSegments / kSegmentsPerB * kTermsB;
//@end

// One coefficient's gradient: an element of da or db, and the segments it sums over.
struct Output {
//@if both
  bool of_a;
//@end
  unsigned index;  // in da or db
  unsigned term;  // of a segment's sums
  unsigned segment;  // the first
  int segments;
};

__device__ __forceinline__ Output output_of(unsigned number) {
  Output output;
//@if both
  output.of_a = number < kOutputsA;
  output.index = output.of_a ? number : number - kOutputsA;
  const unsigned group = output.of_a ? output.index / kTermsA : output.index / kTermsB;
  output.term = output.of_a ? output.index % kTermsA : kTermsA + output.index % kTermsB;
  output.segments = output.of_a ? kSegmentsPerA : kSegmentsPerB;
//@else
//@if da
  output.index = number;
  const unsigned group = number / kTermsA;
  output.term = number % kTermsA;
  output.segments = kSegmentsPerA;
//@else
  output.index = number;
  const unsigned group = number / kTermsB;
  output.term = number % kTermsB;
  output.segments = kSegmentsPerB;
//@end
//@end
  output.segment = group * output.segments;
  return output;
}

//@if half_coefficients
__device__ __forceinline__ void add_rounded($coefficient* gradient, double sum, int accumulate) {
  if (accumulate) sum += low_$coefficient_type(*gradient);
  *gradient = static_cast<$coefficient>(pair_$coefficient_type(static_cast<float>(sum), 0));
}

//@end
__device__ __forceinline__ void write_gradient(const CudaCall& call, const Output& output,
                                               double sum) {
//@if da
//@if both
  if (output.of_a) {
//@else
  {
//@end
    $coefficient* da = static_cast<$coefficient*>(call.da) + output.index;
//@if half_coefficients
    add_rounded(da, sum, call.accumulate_da);
//@else
    *da = static_cast<$math>(call.accumulate_da ? *da + sum : sum);
//@end
  }
//@end
//@if db
//@if both
  if (!output.of_a) {
//@else
  {
//@end
//@if magnitudes_of_b
    // Q has |b|; a zero counts as positive, so that it can learn.
//@if half_coefficients
    if (low_$coefficient_type(static_cast<const $coefficient*>(call.b)[output.index]) < 0) sum = -sum;
//@else
    if (static_cast<const $math*>(call.b)[output.index] < 0) sum = -sum;
//@end
//@end
    $coefficient* db = static_cast<$coefficient*>(call.db) + output.index;
//@if half_coefficients
    add_rounded(db, sum, call.accumulate_db);
//@else
    *db = static_cast<$math>(call.accumulate_db ? *db + sum : sum);
//@end
  }
//@end
}

