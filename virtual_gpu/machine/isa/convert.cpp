// cvt: between all types, with rounding and saturation.
#include <cfenv>
#include <cmath>

#include "virtual_gpu/machine/half_value.h"
#include "virtual_gpu/machine/isa/lanes.h"

namespace grkan::vgpu::GRKAN_VGPU_ISA {
namespace {

template <class F>
[[gnu::always_inline]] inline void each_active(const Warp& w, F f) {
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((w.mask >> lane & 1U) != 0) f(lane);
  }
}

bool is_float(PtxType t) {
  return t == PtxType::f16 || t == PtxType::bf16 || t == PtxType::f32 || t == PtxType::f64;
}
bool is_signed(PtxType t) {
  return t == PtxType::s8 || t == PtxType::s16 || t == PtxType::s32 || t == PtxType::s64;
}
bool is_integer(PtxType t) {
  return is_signed(t) || t == PtxType::u8 || t == PtxType::u16 || t == PtxType::u32 ||
         t == PtxType::u64;
}

// How a slow conversion finds its operands; packed into Instruction::offset.
enum class Whole : u8 { none, even, zero, minus, plus };  // rounding to an integer
struct Plan {
  PtxType to = PtxType::none;
  PtxType from = PtxType::none;
  u8 to_bytes = 0;  // of the registers
  u8 from_bytes = 0;
  NarrowRounding rounding = NarrowRounding::nearest;
  Whole whole = Whole::none;
  bool flush = false;
  u8 clamp = 0;  // 1: .sat, 2: .relu
};
static_assert(sizeof(Plan) == 8);

u64 load_register(Warp& w, u32 at, int bytes, int lane) {
  switch (bytes) {
    case 2:
      return slot<u16>(w, at)[lane];
    case 4:
      return slot<u32>(w, at)[lane];
    default:
      return slot<u64>(w, at)[lane];
  }
}
void store_register(Warp& w, u32 at, int bytes, int lane, u64 value) {
  switch (bytes) {
    case 2:
      slot<u16>(w, at)[lane] = u16(value);
      break;
    case 4:
      slot<u32>(w, at)[lane] = u32(value);
      break;
    default:
      slot<u64>(w, at)[lane] = value;
      break;
  }
}

s128 integer_of(PtxType type, u64 bits) {
  switch (type) {
    case PtxType::u8:
      return u8(bits);
    case PtxType::u16:
      return u16(bits);
    case PtxType::u32:
      return u32(bits);
    case PtxType::u64:
      return bits;
    case PtxType::s8:
      return s8(bits);
    case PtxType::s16:
      return s16(bits);
    case PtxType::s32:
      return s32(bits);
    default:
      return s64(bits);
  }
}

int bits_in(PtxType type) {
  switch (type) {
    case PtxType::u8:
    case PtxType::s8:
      return 8;
    case PtxType::u16:
    case PtxType::s16:
      return 16;
    case PtxType::u32:
    case PtxType::s32:
      return 32;
    default:
      return 64;
  }
}

s128 least_of(PtxType t) { return is_signed(t) ? -(s128(1) << (bits_in(t) - 1)) : s128(0); }
s128 most_of(PtxType t) { return (s128(1) << (bits_in(t) - (is_signed(t) ? 1 : 0))) - 1; }
s128 clamped(PtxType t, s128 v) {
  return v < least_of(t) ? least_of(t) : v > most_of(t) ? most_of(t) : v;
}

double float_of(const Plan& plan, u64 bits) {
  switch (plan.from) {
    case PtxType::f16:
      return f16_to_float(u16(bits));
    case PtxType::bf16:
      return bf16_to_float(u16(bits));
    case PtxType::f32: {
      const float v = bits_of<float>(u32(bits));
      return plan.flush ? flushed(v) : v;
    }
    default:
      return bits_of<double>(bits);
  }
}

double whole_of(Whole whole, double v) {
  switch (whole) {
    case Whole::even:
      return ::nearbyint(v);
    case Whole::zero:
      return ::trunc(v);
    case Whole::minus:
      return ::floor(v);
    case Whole::plus:
      return ::ceil(v);
    default:
      return v;
  }
}

u64 to_integer(const Plan& plan, double value) {
  if (value != value) {
    const bool zero = plan.from != PtxType::f64 && bits_in(plan.to) < 64;
    return zero ? 0 : u64{1} << (bits_in(plan.to) - 1);
  }
  const double v = whole_of(plan.whole, value);
  if (v >= 0x1p64) return u64(most_of(plan.to));
  if (v <= -0x1p64) return u64(least_of(plan.to));
  return u64(clamped(plan.to, s128(v)));
}

u64 to_float(const Plan& plan, double value) {
  if (plan.clamp == 1) value = value > 0 ? (value < 1 ? value : 1) : 0;
  switch (plan.to) {
    case PtxType::f16:
    case PtxType::bf16: {
      const Narrow format = plan.to == PtxType::f16 ? Narrow::f16 : Narrow::bf16;
      const u16 bits = narrowed(format, plan.rounding, value);
      return plan.clamp == 2 && (bits & 0x8000) != 0 && value == value ? 0 : bits;
    }
    case PtxType::f32: {
      const float v = canonical(float(value));
      return bits_of<u32>(plan.flush ? flushed(v) : v);
    }
    default:
      return bits_of<u64>(canonical(value));
  }
}

// Every conversion but those below, a lane at a time. Rounding to f32 and f64 is the host's.
u64 converted(const Plan& plan, u64 bits) {
  if (is_integer(plan.from)) {
    const s128 v = integer_of(plan.from, bits);
    if (is_integer(plan.to)) {
      const s128 r = plan.clamp == 1 ? clamped(plan.to, v) : integer_of(plan.to, u64(v));
      return u64(r);  // sign or zero extended into a wider register
    }
    const bool negative = v < 0;
    const u64 magnitude = u64(negative ? -v : v);
    if (plan.to == PtxType::f32) {
      return bits_of<u32>(negative ? float(s64(v)) : float(magnitude));
    }
    if (plan.to == PtxType::f64) {
      return bits_of<u64>(negative ? double(s64(v)) : double(magnitude));
    }
    return to_float(plan, odd_integer(magnitude, negative));
  }
  const double v = float_of(plan, bits);
  if (is_integer(plan.to)) return to_integer(plan, v);
  return to_float(plan, whole_of(plan.whole, v));
}

int host_rounding(NarrowRounding rounding) {
  switch (rounding) {
    case NarrowRounding::zero:
      return FE_TOWARDZERO;
    case NarrowRounding::minus:
      return FE_DOWNWARD;
    case NarrowRounding::plus:
      return FE_UPWARD;
    default:
      return FE_TONEAREST;
  }
}

[[gnu::noinline]] void convert_lanes(Warp& w, const Instruction& i, const Plan& plan) {
  each_active(w, [&](int lane) {
    const u64 value = converted(plan, load_register(w, i.a, plan.from_bytes, lane));
    store_register(w, i.d, plan.to_bytes, lane, value);
  });
}

void convert_any(Warp& w, const Instruction& i) {
  const Plan plan = bits_of<Plan>(i.offset);
  // Narrow formats round by themselves; the double they come from must be exact.
  const bool narrow = plan.to == PtxType::f16 || plan.to == PtxType::bf16;
  const bool other = plan.rounding != NarrowRounding::nearest && !narrow;
  void (*volatile work)(Warp&, const Instruction&, const Plan&) = &convert_lanes;
  if (other) std::fesetround(host_rounding(plan.rounding));
  work(w, i, plan);
  if (other) std::fesetround(FE_TONEAREST);
}

// cvt.rn.f16x2.f32 d, a, b: a becomes the upper half.
void convert_pair(Warp& w, const Instruction& i) {
  const Plan plan = bits_of<Plan>(i.offset);
  const float* a = slot<float>(w, i.a);
  const float* b = slot<float>(w, i.b);
  u32* d = slot<u32>(w, i.d);
  each_active(w, [&](int lane) {
    d[lane] = u32(to_float(plan, double(a[lane]))) << 16 | u32(to_float(plan, double(b[lane])));
  });
}

[[gnu::always_inline]] inline u32 bf16_bits(float v) {
  const u32 bits = bits_of<u32>(v);
  const u32 result = (bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16;
  return (bits & 0x7FFFFFFFU) > 0x7F800000U ? 0x7FFFU : result;
}
// f32 to f16, to nearest even, without a branch. After Fabian Giesen's observation that adding a
// power of two lets the adder round a subnormal.
[[gnu::always_inline]] inline u32 f16_bits(float v) {
  const u32 bits = bits_of<u32>(v);
  const u32 sign = bits >> 16 & 0x8000U;
  const u32 magnitude = bits & 0x7FFFFFFFU;
  const u32 normal = (magnitude + 0xFFFU + (magnitude >> 13 & 1U) - (112U << 23)) >> 13;
  const u32 small = bits_of<u32>(bits_of<float>(magnitude) + 0.5F) - 0x3F000000U;
  u32 result = magnitude < (113U << 23) ? small : normal;
  result = magnitude >= 0x47800000U ? 0x7C00U : result;
  result = magnitude > 0x7F800000U ? 0x7FFFU : result | sign;
  return result;
}
[[gnu::always_inline]] inline float f16_value(u16 h) {
  const u32 magnitude = h & 0x7FFFU;
  const u32 sign = u32(h & 0x8000U) << 16;
  const u32 normal = (magnitude << 13) + (112U << 23);
  const u32 special = (magnitude << 13) | 0x7F800000U;
  const u32 small = bits_of<u32>(float(s32(magnitude)) * 0x1p-24F);
  u32 result = magnitude < 0x400U ? small : normal;
  result = magnitude >= 0x7C00U ? special : result;
  return canonical(bits_of<float>(result | sign));
}

// The conversions that kernels are full of.
Selection fast(const Plan& plan, bool pair) {
  if (plan.flush || plan.clamp != 0 || plan.whole != Whole::none ||
      plan.rounding != NarrowRounding::nearest) {
    return {};
  }
  if (pair) {
    if (plan.to == PtxType::bf16) {
      return op2<u32, float, float>(
          [](float a, float b) { return bf16_bits(a) << 16 | bf16_bits(b); });
    }
    return op2<u32, float, float>([](float a, float b) { return f16_bits(a) << 16 | f16_bits(b); });
  }
  if (plan.from == PtxType::f32) {
    if (plan.to == PtxType::f64)
      return op1<double, float>([](float a) { return canonical(double(a)); });
    if (plan.to == PtxType::f16) return op1<u16, float>([](float a) { return f16_bits(a); });
    if (plan.to == PtxType::bf16) return op1<u16, float>([](float a) { return bf16_bits(a); });
  }
  if (plan.from == PtxType::f64 && plan.to == PtxType::f32) {
    return op1<float, double>([](double a) { return canonical(float(a)); });
  }
  if (plan.from == PtxType::f16 && plan.to == PtxType::f32) {
    return op1<float, u16>([](u16 a) { return f16_value(a); });
  }
  if (plan.from == PtxType::bf16 && plan.to == PtxType::f32) {
    return op1<float, u16>([](u16 a) { return canonical(bits_of<float>(u32(a) << 16)); });
  }
  return with_integer(plan.from, [&]<class S>() -> Selection {
    switch (plan.to) {
      case PtxType::u16:
      case PtxType::s16:
        return op1<u16, S>([](S a) { return a; });
      case PtxType::u32:
      case PtxType::s32:
        return op1<u32, S>([](S a) { return a; });
      case PtxType::u64:
      case PtxType::s64:
        return op1<u64, S>([](S a) { return a; });
      case PtxType::f32:
        return op1<float, S>([](S a) { return float(a); });
      case PtxType::f64:
        return op1<double, S>([](S a) { return double(a); });
      default:
        return {};
    }
  });
}

bool take_rounding(Form& form, Plan& plan) {
  bool found = true;
  if (form.take("rn")) {
    plan.rounding = NarrowRounding::nearest;
  } else if (form.take("rz")) {
    plan.rounding = NarrowRounding::zero;
  } else if (form.take("rm")) {
    plan.rounding = NarrowRounding::minus;
  } else if (form.take("rp")) {
    plan.rounding = NarrowRounding::plus;
  } else {
    found = false;
  }
  if (form.take("rni")) plan.whole = Whole::even;
  if (form.take("rzi")) plan.whole = Whole::zero;
  if (form.take("rmi")) plan.whole = Whole::minus;
  if (form.take("rpi")) plan.whole = Whole::plus;
  return found;
}

// Which need a rounding mode, and which may not have one.
bool legal(const Plan& plan, bool rounding) {
  const bool from_float = is_float(plan.from);
  const bool to_float = is_float(plan.to);
  if ((!from_float && !is_integer(plan.from)) || (!to_float && !is_integer(plan.to))) return false;
  if (!to_float) return !rounding && from_float == (plan.whole != Whole::none) && plan.clamp != 2;
  if (!from_float) return rounding && plan.whole == Whole::none;
  const bool narrowing = size_of(plan.to) < size_of(plan.from);
  if (narrowing) return rounding && plan.whole == Whole::none;
  return !rounding || plan.from != plan.to;
}

}  // namespace

Selection select_convert(Form& form) {
  if (!form.is("cvt")) return {};
  Plan plan;
  const bool rounding = take_rounding(form, plan);
  plan.flush = form.take("ftz");
  if (form.take("sat")) plan.clamp = 1;
  if (form.take("relu")) plan.clamp = 2;
  plan.to = form.type();
  plan.from = form.type();
  const bool pair = plan.to == PtxType::f16x2 || plan.to == PtxType::bf16x2;
  if (pair) {
    plan.to = plan.to == PtxType::f16x2 ? PtxType::f16 : PtxType::bf16;
    if (plan.from != PtxType::f32 || !rounding || plan.whole != Whole::none) return {};
    Selection s = fast(plan, true);
    if (s.handler == nullptr) s = selection<u32, u32, u32>(&convert_pair);
    s.offset = bits_of<s64>(plan);
    return s;
  }
  if (!legal(plan, rounding)) return {};
  plan.to_bytes = u8(form.destination_bytes);
  plan.from_bytes = u8(form.source_bytes);
  if (plan.from_bytes == 0) plan.from_bytes = u8(size_of(plan.from) < 2 ? 2 : size_of(plan.from));
  if (plan.to_bytes < size_of(plan.to) || plan.from_bytes < size_of(plan.from)) return {};
  if (plan.to_bytes == size_of(plan.to) && plan.from_bytes == size_of(plan.from)) {
    Selection s = fast(plan, false);
    if (s.handler != nullptr) return s;
  }
  Selection s;
  s.handler = &convert_any;
  s.count = 2;
  s.sizes[0] = s8(plan.to_bytes);
  s.sizes[1] = s8(plan.from_bytes);
  s.offset = bits_of<s64>(plan);
  return s;
}

}  // namespace grkan::vgpu::GRKAN_VGPU_ISA
