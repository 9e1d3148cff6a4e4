// Adds a block's total of one segment and term to its gradient, which holds zero, or what the call
// accumulates into, at launch.
__device__ __forceinline__ void add_to_gradient(const CudaCall& call, int term, unsigned segment,
                                                double total) {
//@if da
//@if both
  if (term < kTermsA) {
//@else
  {
//@end
    $math* da = static_cast<$math*>(call.da) + segment / kSegmentsPerA * kTermsA + term;
    atomicAdd(da, static_cast<$math>(total));
  }
//@end
//@if db
//@if both
  if (term >= kTermsA) {
    term -= kTermsA;
//@else
  {
//@end
    const unsigned index = segment / kSegmentsPerB * kTermsB + term;
//@if magnitudes_of_b
    // Q has |b|; a zero counts as positive, so that it can learn.
    if (static_cast<const $math*>(call.b)[index] < 0) total = -total;
//@end
    atomicAdd(static_cast<$math*>(call.db) + index, static_cast<$math>(total));
  }
//@end
}

