// What both kernels share. In front of this text stand kWidth (channels of a group), kGroups and
// kThreads (of a block).
// Degrees (5, 4), denominator A, f32, rows dense; da and db are zero before the launch.
constexpr int kChannels = kWidth * kGroups;
constexpr int kTermsA = 6;
constexpr int kTermsB = 4;
constexpr int kTerms = kTermsA + kTermsB;

struct PeerCall {
  const float* x;
  const float* dy;
  float* dx;
  const float* a;
  const float* b;
  float* da;
  float* db;
  long long rows;
};

struct Coefficients {
  float a[kTermsA];
  float b[kTermsB];
};

__device__ __forceinline__ Coefficients load_coefficients(const PeerCall& call, int group) {
  Coefficients c;
#pragma unroll
  for (int i = 0; i < kTermsA; ++i) c.a[i] = __ldg(call.a + group * kTermsA + i);
#pragma unroll
  for (int i = 0; i < kTermsB; ++i) c.b[i] = __ldg(call.b + group * kTermsB + i);
  return c;
}

// dx of one element, and its terms of da0..da5, db1..db4; those of db as if b were positive.
__device__ __forceinline__ float gradient(const Coefficients& c, float x, float dy,
                                          float (&term)[kTerms]) {
  float p = c.a[5];
  float dp = 0;
#pragma unroll
  for (int i = 4; i >= 0; --i) {
    dp = i == 4 ? p : fmaf(dp, x, p);
    p = fmaf(p, x, c.a[i]);
  }
  const float t = fabsf(x);
  float q = fabsf(c.b[3]);
  float dq = 0;
#pragma unroll
  for (int i = 2; i >= -1; --i) {
    dq = i == 2 ? q : fmaf(dq, t, q);
    q = fmaf(q, t, i >= 0 ? fabsf(c.b[i]) : 1.0f);
  }
  float r;
  asm("div.full.f32 %0, %1, %2;" : "=f"(r) : "f"(1.0f), "f"(q));
  const float w = dy * r;
  const float v = -(w * (p * r));
  float power = w;
#pragma unroll
  for (int i = 0; i < kTermsA; ++i) {
    term[i] = power;
    power *= x;
  }
  power = v;
#pragma unroll
  for (int i = 0; i < kTermsB; ++i) {
    power *= t;
    term[kTermsA + i] = power;
  }
  return fmaf(w, dp, v * copysignf(dq, x));
}

// Adds to da or db in global memory; b, of a term of db, is its coefficient.
__device__ __forceinline__ void add(const PeerCall& call, int group, int term, float value,
                                    float b) {
  if (term < kTermsA) {
    atomicAdd(call.da + group * kTermsA + term, value);
  } else {
    atomicAdd(call.db + group * kTermsB + term - kTermsA, b < 0 ? -value : value);
  }
}

