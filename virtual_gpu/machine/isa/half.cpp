// f16 and bf16 arithmetic, single and packed: computed exactly (or rounded to odd) in double, then
// rounded once.
#include <cmath>

#include "virtual_gpu/machine/half_value.h"
#include "virtual_gpu/machine/isa/lanes.h"

namespace grkan::vgpu::GRKAN_VGPU_ISA {
namespace {

enum Mode : u8 { kFlush = 1, kSaturate = 2, kRelu = 4, kNan = 8 };

struct F16 {
  static constexpr Narrow kFormat = Narrow::f16;
  static constexpr u16 kInfinity = 0x7C00;
  static constexpr u16 kSmallestNormal = 0x0400;
  static float in(u16 v) { return f16_to_float(v); }
};
struct Bf16 {
  static constexpr Narrow kFormat = Narrow::bf16;
  static constexpr u16 kInfinity = 0x7F80;
  static constexpr u16 kSmallestNormal = 0x0080;
  static float in(u16 v) { return bf16_to_float(v); }
};

template <class Format>
u16 flushed16(u16 v, u8 mode) {
  return (mode & kFlush) != 0 && (v & 0x7FFF) < Format::kSmallestNormal ? v & 0x8000 : v;
}

template <class Format>
u16 finished(double value, u8 mode) {
  if ((mode & kSaturate) != 0) value = value > 0 ? (value < 1 ? value : 1) : 0;
  u16 result = flushed16<Format>(narrowed(Format::kFormat, NarrowRounding::nearest, value), mode);
  if ((mode & kRelu) != 0 && (result & 0x8000) != 0) result = 0;
  return result;
}

struct Add {
  double operator()(double a, double b) const { return odd_fma(a, 1, b); }
};
struct Sub {
  double operator()(double a, double b) const { return odd_fma(a, 1, -b); }
};
struct Mul {
  double operator()(double a, double b) const { return a * b; }
};
struct Fma {
  double operator()(double a, double b, double c) const { return odd_fma(a, b, c); }
};
struct Exp2 {
  double operator()(double a) const { return ::exp2(a); }
};
struct Tanh {
  double operator()(double a) const { return ::tanh(a); }
};

template <class Format, class Op>
struct Computed {
  template <class... T>
  static u16 of(u8 mode, T... v) {
    return finished<Format>(Op{}(double(Format::in(flushed16<Format>(v, mode)))...), mode);
  }
};

// min and max work on the bits: nothing is rounded.
template <class Format, bool kMost>
struct Extreme {
  static u16 of(u8 mode, u16 a, u16 b) {
    a = flushed16<Format>(a, mode);
    b = flushed16<Format>(b, mode);
    const bool nan_a = (a & 0x7FFF) > Format::kInfinity;
    const bool nan_b = (b & 0x7FFF) > Format::kInfinity;
    if ((nan_a && nan_b) || ((mode & kNan) != 0 && (nan_a || nan_b))) return 0x7FFF;
    if (nan_a) return b;
    if (nan_b) return a;
    const auto rank = [](u16 v) { return (v & 0x8000) != 0 ? -s32(v & 0x7FFF) - 1 : s32(v); };
    return (rank(a) > rank(b)) == kMost ? a : b;
  }
};

template <class Format, bool kNegate>
struct Sign {
  static u16 of(u8 mode, u16 a) {
    a = flushed16<Format>(a, mode);
    return kNegate ? a ^ 0x8000 : a & 0x7FFF;
  }
};

template <class Op, class T, int kSources>
void each_half(Warp& w, const Instruction& i) {
  const T* a = slot<T>(w, i.a);
  const T* b = kSources > 1 ? slot<T>(w, i.b) : a;
  const T* c = kSources > 2 ? slot<T>(w, i.c) : a;
  T* d = slot<T>(w, i.d);
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((w.mask >> lane & 1U) == 0) continue;
    T result = 0;
    for (int half = 0; half < int(sizeof(T)) / 2; ++half) {
      const int shift = 16 * half;
      u16 one = 0;
      if constexpr (kSources == 1) {
        one = Op::of(i.mode, u16(a[lane] >> shift));
      } else if constexpr (kSources == 2) {
        one = Op::of(i.mode, u16(a[lane] >> shift), u16(b[lane] >> shift));
      } else {
        one = Op::of(i.mode, u16(a[lane] >> shift), u16(b[lane] >> shift), u16(c[lane] >> shift));
      }
      result = T(result | T(T(one) << shift));
    }
    d[lane] = result;
  }
}

template <class Op, int kSources>
Selection halves(bool packed, u8 mode) {
  Selection s;
  s.handler = packed ? &each_half<Op, u32, kSources> : &each_half<Op, u16, kSources>;
  s.count = 1 + kSources;
  for (int i = 0; i <= kSources; ++i) s.sizes[i] = packed ? 4 : 2;
  s.mode = mode;
  return s;
}

template <class Format>
Selection select_format(const Form& form, bool packed, u8 mode, bool approximate) {
  if (approximate) {
    if (form.is("ex2")) return halves<Computed<Format, Exp2>, 1>(packed, mode);
    if (form.is("tanh")) return halves<Computed<Format, Tanh>, 1>(packed, mode);
    return {};
  }
  if (form.is("add")) return halves<Computed<Format, Add>, 2>(packed, mode);
  if (form.is("sub")) return halves<Computed<Format, Sub>, 2>(packed, mode);
  if (form.is("mul")) return halves<Computed<Format, Mul>, 2>(packed, mode);
  if (form.is("fma")) return halves<Computed<Format, Fma>, 3>(packed, mode);
  if (form.is("min")) return halves<Extreme<Format, false>, 2>(packed, mode);
  if (form.is("max")) return halves<Extreme<Format, true>, 2>(packed, mode);
  if (form.is("neg")) return halves<Sign<Format, true>, 1>(packed, mode);
  if (form.is("abs")) return halves<Sign<Format, false>, 1>(packed, mode);
  return {};
}

}  // namespace

Selection select_half(Form& form) {
  const bool approximate = form.take("approx");
  form.take("rn");
  u8 mode = 0;
  if (form.take("ftz")) mode |= kFlush;
  if (form.take("sat")) mode |= kSaturate;
  if (form.take("relu")) mode |= kRelu;
  if (form.take("NaN")) mode |= kNan;
  switch (form.type()) {
    case PtxType::f16:
      return select_format<F16>(form, false, mode, approximate);
    case PtxType::f16x2:
      return select_format<F16>(form, true, mode, approximate);
    case PtxType::bf16:
      return select_format<Bf16>(form, false, mode, approximate);
    case PtxType::bf16x2:
      return select_format<Bf16>(form, true, mode, approximate);
    default:
      return {};
  }
}

}  // namespace grkan::vgpu::GRKAN_VGPU_ISA
