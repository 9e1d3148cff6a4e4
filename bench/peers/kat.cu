// KAT's order of summation: a thread an element, and an addition in global memory for each of its
// terms.
extern "C" __global__ void __launch_bounds__(kThreads) kat_backward(const PeerCall call) {
  const unsigned element = blockIdx.x * kThreads + threadIdx.x;
  if (element >= call.rows * kChannels) return;
  const int group = element % kChannels / kWidth;
  const Coefficients c = load_coefficients(call, group);
  float term[kTerms];
  call.dx[element] = gradient(c, call.x[element], call.dy[element], term);
#pragma unroll
  for (int i = 0; i < kTerms; ++i) add(call, group, i, term[i], i < kTermsA ? 0 : c.b[i - kTermsA]);
}
