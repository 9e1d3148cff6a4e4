// kColumns adjacent $type elements in memory, in accesses of up to $widest bytes.
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
  $element value[$count];
};
//@end
//@if load
__device__ __forceinline__ Pack_$type load_$type(const char* at) {
//@if ldcs
  Pack_$type pack;
#pragma unroll
  for (int i = 0; i < sizeof pack / sizeof($chunk); ++i) {
    reinterpret_cast<$chunk*>(&pack)[i] = __ldcs(reinterpret_cast<const $chunk*>(at) + i);
  }
  return pack;
//@else
  return *reinterpret_cast<const Pack_$type*>(at);
//@end
}
__device__ __forceinline__ void unpack(const Pack_$type& pack, $value (&value)[$count]) {
//@if half
//@if packed
#pragma unroll
  for (int j = 0; j < $count; ++j) {
    value[j] = make_float2(low_$type(pack.word[j]), high_$type(pack.word[j]));
  }
//@else
//@if pairs
#pragma unroll
  for (int j = 0; j < kColumns; j += 2) {
    value[j] = low_$type(pack.word[j / 2]);
    value[j + 1] = high_$type(pack.word[j / 2]);
  }
//@else
  value[0] = low_$type(pack.half);
//@end
//@end
//@else
#pragma unroll
  for (int j = 0; j < $count; ++j) value[j] = pack.value[j];
//@end
}
//@end
//@if store
__device__ __forceinline__ void store_$type(char* at, const $value (&value)[$count]) {
  Pack_$type pack;
//@if half
//@if packed
#pragma unroll
  for (int j = 0; j < $count; ++j) pack.word[j] = pair_$type(value[j].x, value[j].y);
//@else
//@if pairs
#pragma unroll
  for (int j = 0; j < kColumns; j += 2) pack.word[j / 2] = pair_$type(value[j], value[j + 1]);
//@else
  pack.half = static_cast<unsigned short>(pair_$type(value[0], 0.0f));
//@end
//@end
//@else
#pragma unroll
  for (int j = 0; j < $count; ++j) pack.value[j] = value[j];
//@end
//@if stcs
#pragma unroll
  for (int i = 0; i < sizeof pack / sizeof($chunk); ++i) {
    __stcs(reinterpret_cast<$chunk*>(at) + i, reinterpret_cast<$chunk*>(&pack)[i]);
  }
//@else
  *reinterpret_cast<Pack_$type*>(at) = pack;
//@end
}
//@end

