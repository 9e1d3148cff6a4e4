//@if newton
// An approximate reciprocal: relative error below 1.2 * 2^-23. Where 1 / q is subnormal (q past
// 2^126) it is zero: that is past `finite_below`, and saves five instructions an element.
__device__ __forceinline__ float rcp(float q) {
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(q));
  return r;
}

//@end
//@if bf16
// bf16 is the upper half of an f32; two elements a word, the first in the lower half.
__device__ __forceinline__ float low_bf16(unsigned word) { return __uint_as_float(word << 16); }
__device__ __forceinline__ float high_bf16(unsigned word) {
  return __uint_as_float(word & 0xffff0000u);
}
//@end
//@if store_bf16
#if __CUDA_ARCH__ >= 800
__device__ __forceinline__ unsigned pair_bf16(float low, float high) {
  unsigned word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}
#else
// Rounds to nearest even by integer arithmetic; NaN stays NaN.
__device__ __forceinline__ unsigned round_bf16(float value) {
  const unsigned bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (bits >> 16) | 0x40u;
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
__device__ __forceinline__ unsigned pair_bf16(float low, float high) {
  return round_bf16(low) | (round_bf16(high) << 16);
}
#endif
//@end
//@if bf16

//@end
//@if f16
// f16, two elements a word, the first in the lower half.
__device__ __forceinline__ float low_f16(unsigned word) {
  float value;
  asm("{ .reg .b16 low, high; mov.b32 {low, high}, %1; cvt.f32.f16 %0, low; }"
      : "=f"(value)
      : "r"(word));
  return value;
}
__device__ __forceinline__ float high_f16(unsigned word) {
  float value;
  asm("{ .reg .b16 low, high; mov.b32 {low, high}, %1; cvt.f32.f16 %0, high; }"
      : "=f"(value)
      : "r"(word));
  return value;
}
//@end
//@if store_f16
__device__ __forceinline__ unsigned pair_f16(float low, float high) {
  unsigned word;
#if __CUDA_ARCH__ >= 800
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
#else
  asm("{ .reg .b16 low, high; cvt.rn.f16.f32 low, %1; cvt.rn.f16.f32 high, %2; "
      "mov.b32 %0, {low, high}; }"
      : "=r"(word)
      : "f"(low), "f"(high));
#endif
  return word;
}
//@end
//@if f16

//@end
