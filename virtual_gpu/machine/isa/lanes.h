// Loops over the lanes of a warp, for the files that are compiled once for each kind of processor
// (GRKAN_VGPU_ISA is their namespace). They use nothing inline from the standard library: the
// linker keeps one copy of an inline function, and it might be the one for the newer processor.
#pragma once

#include <cstdint>
#include <type_traits>

#include "virtual_gpu/machine/warp.h"
#include "virtual_gpu/ptx/form.h"

// Before a loop over lanes: no lane reads what another one writes.
#if defined(__clang__)
#define GRKAN_INDEPENDENT
#else
#define GRKAN_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace grkan::vgpu::GRKAN_VGPU_ISA {
namespace {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;
__extension__ using u128 = unsigned __int128;
__extension__ using s128 = __int128;

template <class To, class From>
[[gnu::always_inline]] inline To bits_of(From from) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, from);
}

// d[lane] = f(lane) for the lanes of the mask. f is computed for all lanes: it must not trap.
template <class D, class F>
[[gnu::always_inline]] inline void each_lane(Warp& w, u32 d, F f) {
  D* out = slot<D>(w, d);
  if (w.mask == kAllLanes) {
    GRKAN_INDEPENDENT
    for (int lane = 0; lane < kLanes; ++lane) out[lane] = f(lane);
    return;
  }
  alignas(64) D result[kLanes];
  const u32 mask = w.mask;
  for (int lane = 0; lane < kLanes; ++lane) result[lane] = f(lane);
  GRKAN_INDEPENDENT
  for (int lane = 0; lane < kLanes; ++lane) {
    out[lane] = (mask >> lane & 1U) != 0 ? result[lane] : out[lane];
  }
}

template <class D, class A, class F>
void of1(Warp& w, const Instruction& i) {
  const A* a = slot<A>(w, i.a);
  each_lane<D>(w, i.d, [=](int lane) { return D(F{}(a[lane])); });
}

template <class D, class A, class B, class F>
void of2(Warp& w, const Instruction& i) {
  const A* a = slot<A>(w, i.a);
  const B* b = slot<B>(w, i.b);
  each_lane<D>(w, i.d, [=](int lane) { return D(F{}(a[lane], b[lane])); });
}

template <class D, class A, class B, class C, class F>
void of3(Warp& w, const Instruction& i) {
  const A* a = slot<A>(w, i.a);
  const B* b = slot<B>(w, i.b);
  const C* c = slot<C>(w, i.c);
  each_lane<D>(w, i.d, [=](int lane) { return D(F{}(a[lane], b[lane], c[lane])); });
}

template <class D, class A, class B, class C, class E, class F>
void of4(Warp& w, const Instruction& i) {
  const A* a = slot<A>(w, i.a);
  const B* b = slot<B>(w, i.b);
  const C* c = slot<C>(w, i.c);
  const E* e = slot<E>(w, i.e);
  each_lane<D>(w, i.d, [=](int lane) { return D(F{}(a[lane], b[lane], c[lane], e[lane])); });
}

template <class... T>
Selection selection(Handler handler) {
  return {handler, {std::int8_t(sizeof(T))...}, int(sizeof...(T)), -1, 0, 0};
}
template <class D, class A, class F>
Selection op1(F) {
  return selection<D, A>(&of1<D, A, F>);
}
template <class D, class A, class B, class F>
Selection op2(F) {
  return selection<D, A, B>(&of2<D, A, B, F>);
}
template <class D, class A, class B, class C, class F>
Selection op3(F) {
  return selection<D, A, B, C>(&of3<D, A, B, C, F>);
}
template <class D, class A, class B, class C, class E, class F>
Selection op4(F) {
  return selection<D, A, B, C, E>(&of4<D, A, B, C, E, F>);
}

// Calls f.operator()<T>() with the C++ type of an integer type; nothing for others.
template <class F>
Selection with_integer(PtxType type, F f) {
  switch (type) {
    case PtxType::u16:
      return f.template operator()<u16>();
    case PtxType::s16:
      return f.template operator()<s16>();
    case PtxType::u32:
      return f.template operator()<u32>();
    case PtxType::s32:
      return f.template operator()<s32>();
    case PtxType::u64:
      return f.template operator()<u64>();
    case PtxType::s64:
      return f.template operator()<s64>();
    default:
      return {};
  }
}
template <class F>
Selection with_bits(PtxType type, F f) {
  switch (type) {
    case PtxType::b16:
      return f.template operator()<u16>();
    case PtxType::b32:
      return f.template operator()<u32>();
    case PtxType::b64:
      return f.template operator()<u64>();
    default:
      return {};
  }
}

// f32: subnormals to zero with their sign; results that are NaN all have one form.
[[gnu::always_inline]] inline float flushed(float value) {
  const u32 bits = bits_of<u32>(value);
  return bits_of<float>((bits & 0x7F800000U) == 0 ? bits & 0x80000000U : bits);
}
[[gnu::always_inline]] inline float canonical(float value) {
  const u32 bits = bits_of<u32>(value);
  return bits_of<float>((bits & 0x7FFFFFFFU) > 0x7F800000U ? 0x7FFFFFFFU : bits);
}
[[gnu::always_inline]] inline double canonical(double value) {
  const u64 bits = bits_of<u64>(value);
  return bits_of<double>(value != value ? u64{0x7FFFFFFFFFFFFFFF} : bits);
}

}  // namespace
}  // namespace grkan::vgpu::GRKAN_VGPU_ISA
