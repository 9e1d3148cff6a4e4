// Two adjacent columns at once: what f32x2 operations leave to each half.
__device__ __forceinline__ float2 both(float value) { return make_float2(value, value); }
__device__ __forceinline__ float2 minus(float2 a) { return make_float2(-a.x, -a.y); }
//@if divisions
__device__ __forceinline__ float2 divided(float2 a, float2 b) {
  return make_float2(a.x / b.x, a.y / b.y);
}
//@end
//@if newton
__device__ __forceinline__ float2 minus_rcp(float2 q) { return make_float2(rcp(-q.x), rcp(-q.y)); }
//@end
//@if magnitudes
__device__ __forceinline__ float2 magnitude(float2 a) {
  return make_float2(fabsf(a.x), fabsf(a.y));
}
//@end
//@if signs
__device__ __forceinline__ uint2 bits_of(float2 a) {
  return make_uint2(__float_as_uint(a.x), __float_as_uint(a.y));
}
__device__ __forceinline__ float2 floats_of(uint2 a) {
  return make_float2(__uint_as_float(a.x), __uint_as_float(a.y));
}
__device__ __forceinline__ uint2 bits_and(uint2 a, uint2 b) {
  return make_uint2(a.x & b.x, a.y & b.y);
}
__device__ __forceinline__ uint2 bits_xor(uint2 a, uint2 b) {
  return make_uint2(a.x ^ b.x, a.y ^ b.y);
}
//@end

