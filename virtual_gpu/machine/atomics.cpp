// atom and red.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>

#include "virtual_gpu/machine/half_value.h"
#include "virtual_gpu/machine/memory_access.h"
#include "virtual_gpu/ptx/handlers.h"

namespace grkan::vgpu {
namespace {

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

float flushed(float v) { return std::fpclassify(v) == FP_SUBNORMAL ? std::copysign(0.0F, v) : v; }

struct Add {
  template <class T>
  T operator()(T old, T b, T) const {
    return T(old + b);
  }
};
struct Exchange {
  template <class T>
  T operator()(T, T b, T) const {
    return b;
  }
};
struct Compare {
  template <class T>
  T operator()(T old, T b, T c) const {
    return old == b ? c : old;
  }
};
struct And {
  template <class T>
  T operator()(T old, T b, T) const {
    return old & b;
  }
};
struct Or {
  template <class T>
  T operator()(T old, T b, T) const {
    return old | b;
  }
};
struct Xor {
  template <class T>
  T operator()(T old, T b, T) const {
    return old ^ b;
  }
};
struct Min {
  template <class T>
  T operator()(T old, T b, T) const {
    return std::min(old, b);
  }
};
struct Max {
  template <class T>
  T operator()(T old, T b, T) const {
    return std::max(old, b);
  }
};
struct SignedMin {
  template <class T>
  T operator()(T old, T b, T) const {
    using S = std::make_signed_t<T>;
    return T(std::min(S(old), S(b)));
  }
};
struct SignedMax {
  template <class T>
  T operator()(T old, T b, T) const {
    using S = std::make_signed_t<T>;
    return T(std::max(S(old), S(b)));
  }
};
struct Increment {
  u32 operator()(u32 old, u32 b, u32) const { return old >= b ? 0 : old + 1; }
};
struct Decrement {
  u32 operator()(u32 old, u32 b, u32) const { return old == 0 || old > b ? b : old - 1; }
};
// In global memory f32 atomics flush subnormals, in shared memory they don't.
template <bool kFlush>
struct AddF32 {
  u32 operator()(u32 old, u32 b, u32) const {
    float x = std::bit_cast<float>(old);
    float y = std::bit_cast<float>(b);
    if (kFlush) x = flushed(x);
    if (kFlush) y = flushed(y);
    float sum = x + y;
    if (kFlush) sum = flushed(sum);
    return std::isnan(sum) ? 0x7FFFFFFFU : std::bit_cast<u32>(sum);
  }
};
struct AddF64 {
  u64 operator()(u64 old, u64 b, u64) const {
    const double sum = std::bit_cast<double>(old) + std::bit_cast<double>(b);
    return std::isnan(sum) ? u64{0x7FFFFFFFFFFFFFFF} : std::bit_cast<u64>(sum);
  }
};
template <Narrow kFormat>
u16 add16(u16 a, u16 b) {
  const auto value = [](u16 v) {
    return double(kFormat == Narrow::f16 ? f16_to_float(v) : bf16_to_float(v));
  };
  return narrowed(kFormat, NarrowRounding::nearest, odd_fma(value(a), 1, value(b)));
}
template <Narrow kFormat>
struct AddHalf {
  u16 operator()(u16 old, u16 b, u16) const { return add16<kFormat>(old, b); }
};
template <Narrow kFormat>
struct AddPair {
  u32 operator()(u32 old, u32 b, u32) const {
    return u32(add16<kFormat>(u16(old), u16(b))) | u32(add16<kFormat>(u16(old >> 16), u16(b >> 16)))
                                                       << 16;
  }
};

// Blocks of other host threads may update the same place.
template <class T, class F>
T exchange(std::byte* at, T b, T c) {
  if (reinterpret_cast<std::uintptr_t>(at) % sizeof(T) != 0) {  // reported as misaligned
    T old;
    std::memcpy(&old, at, sizeof(T));
    const T next = F{}(old, b, c);
    std::memcpy(at, &next, sizeof(T));
    return old;
  }
  std::atomic_ref<T> place(*reinterpret_cast<T*>(at));
  T old = place.load();
  while (!place.compare_exchange_weak(old, F{}(old, b, c))) {
  }
  return old;
}

void find_addresses(Warp& w, const Instruction& i, u64* addresses) {
  for (int lane = 0; lane < kLanes; ++lane) {
    addresses[lane] = i.wide_address ? slot<u64>(w, i.a)[lane] + u64(i.offset)
                                     : u64(u32(slot<u32>(w, i.a)[lane] + u32(i.offset)));
  }
}

// For the lanes of w.mask, all of them in `space`. Elements: count sources at elements[0 ...], then
// count destinations (kNoSlot: none).
template <class T, class F>
void update(Space space, Warp& w, const Instruction& i, const u64* addresses) {
  std::byte* pointers[kLanes];
  resolve(space, w, i, {addresses, int(sizeof(T)) * i.count, AccessKind::atomic, nullptr},
          pointers);
  for (int k = 0; k < kLanes; ++k) {
    const int lane = w.worker->lane_order[std::size_t(k)];
    if ((w.mask >> lane & 1U) == 0) continue;
    const T c = i.c == kNoSlot ? T{0} : slot<T>(w, i.c)[lane];
    for (int e = 0; e < i.count; ++e) {
      const T b = slot<T>(w, i.elements[e])[lane];
      const T old = exchange<T, F>(pointers[lane] + std::size_t(e) * sizeof(T), b, c);
      if (F{}(old, b, c) != old) ++w.worker->changes;
      const u32 d = i.elements[i.count + e];
      if (d != kNoSlot) slot<T>(w, d)[lane] = old;
      if (space == Space::global) {
        // A compare that fails writes nothing.
        const bool writes = !std::is_same_v<F, Compare> || old == b;
        synchronise(w, i, AccessKind::atomic, lane, addresses[lane] + u64(e) * sizeof(T),
                    d != kNoSlot, writes);
      }
    }
  }
}

// Shared: what it does in shared memory; in all others F.
template <class T, class F, class Shared>
void any_space(Warp& w, const Instruction& i) {
  u64 addresses[kLanes];
  find_addresses(w, i, addresses);
  if (Space(i.mode) == Space::global) return update<T, F>(Space::global, w, i, addresses);
  if (Space(i.mode) == Space::shared) return update<T, Shared>(Space::shared, w, i, addresses);
  const u32 all = w.mask;
  u32 ended = 0;
  for (u32 left = all; left != 0;) {
    const Space space = space_of(addresses[std::countr_zero(left)]);
    u32 lanes = 0;
    u64 inside[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      if ((left >> lane & 1U) != 0 && space_of(addresses[lane]) == space) lanes |= 1U << lane;
      inside[lane] = addresses[lane] - window_of(space);
    }
    w.mask = lanes;
    if (space == Space::shared) {
      update<T, Shared>(space, w, i, inside);
    } else {
      update<T, F>(space, w, i, inside);
    }
    ended |= lanes & ~w.mask;
    left &= ~lanes;
  }
  w.mask = all & ~ended;
}

template <class T, class F, class Shared = F>
AtomicSelection atomic(bool commutes) {
  AtomicSelection s;
  s.handler = &any_space<T, F, Shared>;
  s.bytes = int(sizeof(T));
  s.commutes = commutes;
  return s;
}

template <class T>
AtomicSelection by_bits(Form& form) {
  if (form.take("and")) return atomic<T, And>(true);
  if (form.take("or")) return atomic<T, Or>(true);
  if (form.take("xor")) return atomic<T, Xor>(true);
  if (form.take("exch")) return atomic<T, Exchange>(false);
  if (form.take("cas")) {
    AtomicSelection s = atomic<T, Compare>(false);
    s.compare = true;
    return s;
  }
  return {};
}

template <class T, bool kSigned>
AtomicSelection by_integer(Form& form) {
  if (form.take("add")) return atomic<T, Add>(true);
  if (form.take("min")) {
    return kSigned ? atomic<T, SignedMin>(true) : atomic<T, Min>(true);
  }
  if (form.take("max")) {
    return kSigned ? atomic<T, SignedMax>(true) : atomic<T, Max>(true);
  }
  if constexpr (sizeof(T) == 4 && !kSigned) {
    if (form.take("inc")) return atomic<T, Increment>(false);
    if (form.take("dec")) return atomic<T, Decrement>(false);
  }
  return by_bits<T>(form);
}

}  // namespace

AtomicSelection select_atomic(Form& form, Space space) {
  const int elements = form.take("v2") ? 2 : form.take("v4") ? 4 : form.take("v8") ? 8 : 1;
  const PtxType type = form.type();
  AtomicSelection s;
  const bool flushless = form.take("noftz");
  switch (type) {
    case PtxType::b16:
      if (form.take("exch")) s = atomic<u16, Exchange>(false);
      if (form.take("cas")) {
        s = atomic<u16, Compare>(false);
        s.compare = true;
      }
      break;
    case PtxType::b32:
      s = by_bits<u32>(form);
      break;
    case PtxType::b64:
      s = by_bits<u64>(form);
      break;
    case PtxType::u32:
      s = by_integer<u32, false>(form);
      break;
    case PtxType::s32:
      s = by_integer<u32, true>(form);
      break;
    case PtxType::u64:
      s = by_integer<u64, false>(form);
      break;
    case PtxType::s64:
      s = by_integer<u64, true>(form);
      break;
    case PtxType::f32:
      if (form.take("add")) s = atomic<u32, AddF32<true>, AddF32<false>>(false);
      break;
    case PtxType::f64:
      if (form.take("add")) s = atomic<u64, AddF64>(false);
      break;
    case PtxType::f16:
      if (flushless && form.take("add")) s = atomic<u16, AddHalf<Narrow::f16>>(false);
      break;
    case PtxType::bf16:
      if (flushless && form.take("add")) s = atomic<u16, AddHalf<Narrow::bf16>>(false);
      break;
    case PtxType::f16x2:
      if (flushless && form.take("add")) s = atomic<u32, AddPair<Narrow::f16>>(false);
      break;
    case PtxType::bf16x2:
      if (flushless && form.take("add")) s = atomic<u32, AddPair<Narrow::bf16>>(false);
      break;
    default:
      break;
  }
  s.elements = elements;
  const bool vector_type = type == PtxType::f32 || type == PtxType::f16 || type == PtxType::bf16 ||
                           type == PtxType::f16x2 || type == PtxType::bf16x2;
  // Vectors: red and atom of floating point in global memory, 16 bytes at most.
  if (elements > 1 && (!vector_type || space == Space::shared || elements * s.bytes > 16))
    return {};
  return s;
}

}  // namespace grkan::vgpu
