// kColumns adjacent $type elements in memory, in accesses of up to 16 bytes.
//@if half
//@if pairs
struct alignas($access) Pack_$type {
  unsigned word[kColumns / 2];
};
//@else
struct Pack_$type {
  unsigned short half;
};
//@end
//@else
struct alignas($access) Pack_$type {
  $storage value[kColumns];
};
//@end
//@if load
__device__ __forceinline__ Pack_$type load_$type(const char* at) {
  return *reinterpret_cast<const Pack_$type*>(at);
}
__device__ __forceinline__ void unpack(const Pack_$type& pack, $math (&value)[kColumns]) {
//@if half
//@if pairs
#pragma unroll
  for (int j = 0; j < kColumns; j += 2) {
    value[j] = low_$type(pack.word[j / 2]);
    value[j + 1] = high_$type(pack.word[j / 2]);
  }
//@else
  value[0] = low_$type(pack.half);
//@end
//@else
#pragma unroll
  for (int j = 0; j < kColumns; ++j) value[j] = pack.value[j];
//@end
}
//@end
//@if store
__device__ __forceinline__ void store_$type(char* at, const $math (&value)[kColumns]) {
  Pack_$type pack;
//@if half
//@if pairs
#pragma unroll
  for (int j = 0; j < kColumns; j += 2) pack.word[j / 2] = pair_$type(value[j], value[j + 1]);
//@else
  pack.half = static_cast<unsigned short>(pair_$type(value[0], 0.0f));
//@end
//@else
#pragma unroll
  for (int j = 0; j < kColumns; ++j) pack.value[j] = value[j];
//@end
  *reinterpret_cast<Pack_$type*>(at) = pack;
}
//@end

