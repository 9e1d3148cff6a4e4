// f32, f64 and packed f32 arithmetic, exact as IEEE says, in each rounding mode.
#include <cfenv>

#include "virtual_gpu/machine/isa/lanes.h"

namespace grkan::vgpu::GRKAN_VGPU_ISA {
namespace {

// The handler between two changes of the host's rounding mode. It is called through a volatile
// pointer: nothing of it moves across them.
template <Handler kHandler, int kMode>
void under_rounding(Warp& w, const Instruction& i) {
  Handler volatile handler = kHandler;
  std::fesetround(kMode);
  handler(w, i);
  std::fesetround(FE_TONEAREST);
}
enum class Rounding { nearest, zero, minus, plus, none };

Rounding take_rounding(Form& form) {
  if (form.take("rn")) return Rounding::nearest;
  if (form.take("rz")) return Rounding::zero;
  if (form.take("rm")) return Rounding::minus;
  if (form.take("rp")) return Rounding::plus;
  return Rounding::none;
}
template <Handler kHandler>
Handler rounded(Rounding rounding) {
  switch (rounding) {
    case Rounding::zero:
      return &under_rounding<kHandler, FE_TOWARDZERO>;
    case Rounding::minus:
      return &under_rounding<kHandler, FE_DOWNWARD>;
    case Rounding::plus:
      return &under_rounding<kHandler, FE_UPWARD>;
    default:
      return kHandler;
  }
}

// .sat: to [0, 1], NaN to +0.
float saturated(float v) { return v > 0.0F ? (v < 1.0F ? v : 1.0F) : 0.0F; }

struct Add {
  template <class T>
  T operator()(T a, T b) const {
    return a + b;
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b) const {
    return a - b;
  }
};
struct Mul {
  template <class T>
  T operator()(T a, T b) const {
    return a * b;
  }
};
struct Div {
  template <class T>
  T operator()(T a, T b) const {
    return a / b;
  }
};
struct Fma {
  float operator()(float a, float b, float c) const { return __builtin_fmaf(a, b, c); }
  double operator()(double a, double b, double c) const { return __builtin_fma(a, b, c); }
};
struct Sqrt {
  float operator()(float a) const { return __builtin_sqrtf(a); }
  double operator()(double a) const { return __builtin_sqrt(a); }
};
struct Reciprocal {
  template <class T>
  T operator()(T a) const {
    return T(1) / a;
  }
};

// An operation with .ftz on its inputs and output, and .sat.
template <class Op, bool kFlush, bool kSaturate>
struct Single {
  static float in(float v) { return kFlush ? flushed(v) : v; }
  static float out(float v) {
    if (kFlush) v = flushed(v);
    return kSaturate ? saturated(v) : canonical(v);
  }
  template <class... T>
  float operator()(T... v) const {
    return out(Op{}(in(v)...));
  }
};
template <class Op>
struct Double {
  template <class... T>
  double operator()(T... v) const {
    return canonical(Op{}(v...));
  }
};

template <class Op, class T, int kSources>
struct HandlerOf;
template <class F, class T>
struct HandlerOf<F, T, 1> {
  static constexpr Handler value = &of1<T, T, F>;
};
template <class F, class T>
struct HandlerOf<F, T, 2> {
  static constexpr Handler value = &of2<T, T, T, F>;
};
template <class F, class T>
struct HandlerOf<F, T, 3> {
  static constexpr Handler value = &of3<T, T, T, T, F>;
};

// f32x2 is two lanes' worth of f32 in a 64-bit register.
template <class F, int kSources>
struct Pair {
  static u64 join(float low, float high) {
    return u64(bits_of<u32>(high)) << 32 | bits_of<u32>(low);
  }
  static float low(u64 v) { return bits_of<float>(u32(v)); }
  static float high(u64 v) { return bits_of<float>(u32(v >> 32)); }
  template <class... T>
  u64 operator()(T... v) const {
    return join(F{}(low(v)...), F{}(high(v)...));
  }
};

Selection sized(Handler handler, int bytes, int sources) {
  Selection s;
  s.handler = handler;
  s.count = 1 + sources;
  for (int i = 0; i <= sources; ++i) s.sizes[i] = std::int8_t(bytes);
  return s;
}

// An arithmetic operation in f32, f64 or f32x2 with .ftz, .sat and a rounding mode.
template <class Op, int kSources>
Selection arithmetic(Form& form, bool rounding_needed) {
  const Rounding rounding = take_rounding(form);
  if (rounding == Rounding::none && rounding_needed) return {};
  const bool flush = form.take("ftz");
  const bool saturate = form.take("sat");
  switch (form.type()) {
    case PtxType::f32: {
      const Handler handlers[2][2] = {
          {rounded<HandlerOf<Single<Op, false, false>, float, kSources>::value>(rounding),
           rounded<HandlerOf<Single<Op, false, true>, float, kSources>::value>(rounding)},
          {rounded<HandlerOf<Single<Op, true, false>, float, kSources>::value>(rounding),
           rounded<HandlerOf<Single<Op, true, true>, float, kSources>::value>(rounding)}};
      return sized(handlers[flush][saturate], 4, kSources);
    }
    case PtxType::f64:
      if (flush || saturate) return {};
      return sized(rounded<HandlerOf<Double<Op>, double, kSources>::value>(rounding), 8, kSources);
    case PtxType::f32x2: {
      if (saturate) return {};
      const Handler handlers[2] = {
          rounded<HandlerOf<Pair<Single<Op, false, false>, kSources>, u64, kSources>::value>(
              rounding),
          rounded<HandlerOf<Pair<Single<Op, true, false>, kSources>, u64, kSources>::value>(
              rounding)};
      return sized(handlers[flush], 8, kSources);
    }
    default:
      return {};
  }
}

// -0 < +0; one NaN gives the other operand, or with .NaN a NaN.
template <class T, class U, bool kMost, bool kNan>
struct Extreme {
  T operator()(T a, T b) const {
    const T nan = canonical(T(__builtin_nan("")));
    if (kNan && (__builtin_isnan(a) || __builtin_isnan(b))) return nan;
    if (__builtin_isnan(a)) return __builtin_isnan(b) ? nan : b;
    if (__builtin_isnan(b)) return a;
    // Where both are zero, the signs decide: `or` has the minus sign, `and` only if both have it.
    if (a == b) {
      const U x = bits_of<U>(a);
      const U y = bits_of<U>(b);
      return bits_of<T>(kMost ? U(x & y) : U(x | y));
    }
    return kMost == (a > b) ? a : b;
  }
};

template <bool kMost>
Selection extreme(Form& form) {
  const bool flush = form.take("ftz");
  const bool nan = form.take("NaN");
  const PtxType type = form.type();
  if (type == PtxType::f64 && !flush && !nan) {
    return op2<double, double, double>(Extreme<double, u64, kMost, false>{});
  }
  if (type != PtxType::f32) return {};
  using Plain = Extreme<float, u32, kMost, false>;
  using Nan = Extreme<float, u32, kMost, true>;
  if (flush) {
    return nan ? op2<float, float, float>(Single<Nan, true, false>{})
               : op2<float, float, float>(Single<Plain, true, false>{});
  }
  return nan ? op2<float, float, float>(Nan{}) : op2<float, float, float>(Plain{});
}

template <bool kNegate>
Selection sign(Form& form) {
  const bool flush = form.take("ftz");
  const PtxType type = form.type();
  if (type == PtxType::f64 && !flush) {
    constexpr u64 kSign = u64{1} << 63;
    return op1<u64, u64>([](u64 a) { return kNegate ? a ^ kSign : a & ~kSign; });
  }
  if (type != PtxType::f32) return {};
  constexpr u32 kSign = 0x80000000U;
  if (flush) {
    return op1<u32, u32>([](u32 a) {
      const u32 f = bits_of<u32>(flushed(bits_of<float>(a)));
      return kNegate ? f ^ kSign : f & ~kSign;
    });
  }
  return op1<u32, u32>([](u32 a) { return kNegate ? a ^ kSign : a & ~kSign; });
}

template <class T>
Selection copysign_form() {
  return op2<T, T, T>([](T a, T b) {
    constexpr T kSign = T(T{1} << (sizeof(T) * 8 - 1));
    return T((b & ~kSign) | (a & kSign));
  });
}

}  // namespace

Selection select_float(Form& form) {
  if (form.is("add")) return arithmetic<Add, 2>(form, false);
  if (form.is("sub")) return arithmetic<Sub, 2>(form, false);
  if (form.is("mul")) return arithmetic<Mul, 2>(form, false);
  if (form.is("fma") || form.is("mad")) return arithmetic<Fma, 3>(form, true);
  if (form.is("div")) return arithmetic<Div, 2>(form, true);
  // The approximate forms are in special.cpp.
  if (form.is("sqrt")) return arithmetic<Sqrt, 1>(form, true);
  if (form.is("rcp")) return arithmetic<Reciprocal, 1>(form, true);
  if (form.is("min")) return extreme<false>(form);
  if (form.is("max")) return extreme<true>(form);
  if (form.is("neg")) return sign<true>(form);
  if (form.is("abs")) return sign<false>(form);
  if (form.is("copysign")) {
    switch (form.type()) {
      case PtxType::f32:
        return copysign_form<u32>();
      case PtxType::f64:
        return copysign_form<u64>();
      default:
        return {};
    }
  }
  return {};
}

}  // namespace grkan::vgpu::GRKAN_VGPU_ISA
