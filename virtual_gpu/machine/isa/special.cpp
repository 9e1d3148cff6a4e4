// Approximate instructions. Here they are as exact as their type: computed in double and rounded,
// then moved by a few units in the last place where the launch asks for it.
#include <cmath>

#include "virtual_gpu/machine/approximation.h"
#include "virtual_gpu/machine/isa/lanes.h"

namespace grkan::vgpu::GRKAN_VGPU_ISA {
namespace {

// kFlush: .ftz. Operations are on double, so that the rounding to f32 is the only one that counts.
template <class Op, bool kFlush, bool kDirect>
void approximate1(Warp& w, const Instruction& i) {
  const float* a = slot<float>(w, i.a);
  each_lane<float>(w, i.d, [=](int lane) {
    const float in = kFlush ? flushed(a[lane]) : a[lane];
    const float result = kDirect ? Op{}(in) : float(Op{}(double(in)));
    return canonical(kFlush ? flushed(result) : result);
  });
  if (w.worker->approximation_ulps != 0) perturb(w, i);
}

template <class Op, bool kDirect = false>
Selection approximate(bool flush) {
  return selection<float, float>(flush ? &approximate1<Op, true, kDirect>
                                       : &approximate1<Op, false, kDirect>);
}

struct Reciprocal {
  float operator()(float a) const { return 1.0F / a; }
};
struct Sqrt {
  float operator()(float a) const { return __builtin_sqrtf(a); }
};
struct ReciprocalSqrt {
  double operator()(double a) const { return 1.0 / __builtin_sqrt(a); }
};
struct Exp2 {
  double operator()(double a) const { return ::exp2(a); }
};
struct Log2 {
  double operator()(double a) const { return ::log2(a); }
};
struct Sin {
  double operator()(double a) const { return ::sin(a); }
};
struct Cos {
  double operator()(double a) const { return ::cos(a); }
};
struct Tanh {
  double operator()(double a) const { return ::tanh(a); }
};

// .full is right for every b; .approx gives 0 for 2^126 < |b| < 2^128 (NaN for an infinite a).
template <bool kFlush, bool kFull>
void divide(Warp& w, const Instruction& i) {
  const float* a = slot<float>(w, i.a);
  const float* b = slot<float>(w, i.b);
  each_lane<float>(w, i.d, [=](int lane) {
    const float x = kFlush ? flushed(a[lane]) : a[lane];
    const float y = kFlush ? flushed(b[lane]) : b[lane];
    float result = x / y;
    const u32 magnitude = bits_of<u32>(y) & 0x7FFFFFFFU;
    if (!kFull && magnitude > 0x7E800000U && magnitude < 0x7F800000U) result = x * 0.0F;
    return canonical(kFlush ? flushed(result) : result);
  });
  if (w.worker->approximation_ulps != 0) perturb(w, i);
}

// rcp.approx.ftz.f64 and rsqrt.approx.ftz.f64 give the upper 20 bits of the fraction.
struct UpperHalf {
  static double cut(double v) { return bits_of<double>(bits_of<u64>(v) & ~u64{0xFFFFFFFF}); }
  static double flush(double v) {
    const u64 bits = bits_of<u64>(v);
    return (bits >> 52 & 0x7FF) == 0 ? bits_of<double>(bits & u64{1} << 63) : v;
  }
};

Selection select_f64(bool reciprocal, bool root, bool flush) {
  if (reciprocal && flush) {
    return op1<double, double>([](double a) {
      return canonical(UpperHalf::flush(UpperHalf::cut(1.0 / UpperHalf::flush(a))));
    });
  }
  if (root && flush) {
    return op1<double, double>([](double a) {
      return canonical(UpperHalf::cut(1.0 / __builtin_sqrt(UpperHalf::flush(a))));
    });
  }
  if (root) return op1<double, double>([](double a) { return canonical(1.0 / __builtin_sqrt(a)); });
  return {};
}

// testp.finite and so on: a predicate for each lane.
enum class Test : u8 { finite, infinite, number, not_a_number, normal, subnormal };
template <class T, class U>
void test_number(Warp& w, const Instruction& i) {
  constexpr int kFraction = sizeof(T) == 4 ? 23 : 52;
  constexpr U kExponent = sizeof(T) == 4 ? U{0xFF} : U{0x7FF};
  const U* a = slot<U>(w, i.a);
  u32 result = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    const U exponent = a[lane] >> kFraction & kExponent;
    const U fraction = a[lane] & ((U{1} << kFraction) - 1);
    bool is = false;
    switch (Test(i.mode)) {
      case Test::finite:
        is = exponent != kExponent;
        break;
      case Test::infinite:
        is = exponent == kExponent && fraction == 0;
        break;
      case Test::number:
        is = exponent != kExponent || fraction == 0;
        break;
      case Test::not_a_number:
        is = exponent == kExponent && fraction != 0;
        break;
      case Test::normal:
        is = exponent != 0 && exponent != kExponent;
        break;
      case Test::subnormal:
        is = exponent == 0 && fraction != 0;
        break;
    }
    result |= u32(is) << lane;
  }
  u32& d = predicate(w, i.d);
  d = (d & ~w.mask) | (result & w.mask);
}

Selection select_test(Form& form) {
  constexpr const char* kNames[] = {"finite",     "infinite", "number",
                                    "notanumber", "normal",   "subnormal"};
  for (u8 test = 0; test < 6; ++test) {
    if (!form.take(kNames[test])) continue;
    switch (form.type()) {
      case PtxType::f32:
        return {&test_number<float, u32>, {0, 4, -1, -1, -1}, 2, -1, test, 0};
      case PtxType::f64:
        return {&test_number<double, u64>, {0, 8, -1, -1, -1}, 2, -1, test, 0};
      default:
        return {};
    }
  }
  return {};
}

}  // namespace

Selection select_special(Form& form) {
  if (form.is("testp")) return select_test(form);
  const bool full = form.is("div") && form.take("full");
  if (!full && !form.take("approx")) return {};
  const bool flush = form.take("ftz");
  const PtxType type = form.type();
  if (type == PtxType::f64) return select_f64(form.is("rcp"), form.is("rsqrt"), flush);
  if (type != PtxType::f32) return {};
  if (form.is("rcp")) return approximate<Reciprocal, true>(flush);
  if (form.is("sqrt")) return approximate<Sqrt, true>(flush);
  if (form.is("rsqrt")) return approximate<ReciprocalSqrt>(flush);
  if (form.is("ex2")) return approximate<Exp2>(flush);
  if (form.is("lg2")) return approximate<Log2>(flush);
  if (form.is("sin")) return approximate<Sin>(flush);
  if (form.is("cos")) return approximate<Cos>(flush);
  if (form.is("tanh") && !flush) return approximate<Tanh>(flush);
  if (form.is("div")) {
    if (full)
      return selection<float, float, float>(flush ? &divide<true, true> : &divide<false, true>);
    return selection<float, float, float>(flush ? &divide<true, false> : &divide<false, false>);
  }
  return {};
}

}  // namespace grkan::vgpu::GRKAN_VGPU_ISA
