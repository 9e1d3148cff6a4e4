// Integer arithmetic. Compiled with -fwrapv: signed numbers wrap as on the GPU.
#include "virtual_gpu/machine/isa/lanes.h"

namespace grkan::vgpu::GRKAN_VGPU_ISA {
namespace {

template <class T>
struct Wide;
template <>
struct Wide<u16> {
  using type = u32;
};
template <>
struct Wide<s16> {
  using type = s32;
};
template <>
struct Wide<u32> {
  using type = u64;
};
template <>
struct Wide<s32> {
  using type = s64;
};
template <>
struct Wide<u64> {
  using type = u128;
};
template <>
struct Wide<s64> {
  using type = s128;
};
template <class T>
using wide = Wide<T>::type;
// At least 32 bits and unsigned, so that a product of 16-bit numbers can't overflow an int.
template <class T>
using safe = std::conditional_t<sizeof(T) == 8, u64, u32>;

template <class T>
inline constexpr int kBits = int(sizeof(T)) * 8;

template <class T>
T clamp_s32(T value) {
  constexpr s64 kMost = 0x7FFFFFFF;
  return value > kMost ? kMost : value < -kMost - 1 ? -kMost - 1 : value;
}

template <class T>
T divide(T a, T b) {
  if (b == 0) return T(~T{0});
  if (std::is_signed_v<T> && b == T(-1)) return T(0 - safe<T>(a));
  return T(a / b);
}
template <class T>
T remainder(T a, T b) {
  if (b == 0) return a;
  if (std::is_signed_v<T> && b == T(-1)) return 0;
  return T(a % b);
}

template <class T>
T low_product(T a, T b) {
  return T(safe<T>(a) * safe<T>(b));
}
template <class T>
T high_product(T a, T b) {
  return T(wide<T>(wide<T>(a) * wide<T>(b)) >> kBits<T>);
}
template <class T>
T low24(T a, T b, bool high) {
  const auto cut = [](T v) {
    return s64(std::is_signed_v<T> ? s64(s32(u32(v) << 8) >> 8) : s64(u32(v) & 0xFFFFFFU));
  };
  const s64 product = cut(a) * cut(b);
  return T(high ? product >> 16 : product);
}

Selection select_sum(Form& form, bool minus) {
  const bool saturate = form.take("sat");
  const bool carry_out = form.take("cc");
  const PtxType type = form.type();
  if (saturate) {
    if (type != PtxType::s32 || carry_out) return {};
    return minus ? op2<s32, s32, s32>([](s32 a, s32 b) { return clamp_s32(s64(a) - s64(b)); })
                 : op2<s32, s32, s32>([](s32 a, s32 b) { return clamp_s32(s64(a) + s64(b)); });
  }
  if (carry_out) return {};
  return with_integer(type, [&]<class T>() {
    return minus ? op2<T, T, T>([](T a, T b) { return safe<T>(a) - safe<T>(b); })
                 : op2<T, T, T>([](T a, T b) { return safe<T>(a) + safe<T>(b); });
  });
}

// add.cc, addc, sub.cc, subc: the carry of sub is its borrow.
template <class T, bool kMinus, bool kIn, bool kOut>
void with_carry(Warp& w, const Instruction& i) {
  const T* a = slot<T>(w, i.a);
  const T* b = slot<T>(w, i.b);
  T* d = slot<T>(w, i.d);
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((w.mask >> lane & 1U) == 0) continue;
    const u128 in = kIn ? w.carry >> lane & 1U : 0;
    const u128 result = kMinus ? u128(a[lane]) - b[lane] - in : u128(a[lane]) + b[lane] + in;
    d[lane] = T(result);
    if (kOut) {
      w.carry = (w.carry & ~(1U << lane)) | u32(result >> kBits<T> & 1U) << lane;
    }
  }
}

template <class T>
Selection carry_form(bool minus, bool in, bool out) {
  const Handler handlers[2][2][2] = {
      {{nullptr, &with_carry<T, false, false, true>},
       {&with_carry<T, false, true, false>, &with_carry<T, false, true, true>}},
      {{nullptr, &with_carry<T, true, false, true>},
       {&with_carry<T, true, true, false>, &with_carry<T, true, true, true>}}};
  return selection<T, T, T>(handlers[minus][in][out]);
}

Selection select_carry(Form& form, bool minus, bool in) {
  const bool out = form.take("cc");
  switch (form.type()) {
    case PtxType::u32:
    case PtxType::s32:
      return carry_form<u32>(minus, in, out);
    case PtxType::u64:
    case PtxType::s64:
      return carry_form<u64>(minus, in, out);
    default:
      return {};
  }
}

Selection select_product(Form& form) {
  const bool low = form.take("lo");
  const bool high = form.take("hi");
  const bool is_wide = form.take("wide");
  return with_integer(form.type(), [&]<class T>() -> Selection {
    if (low) return op2<T, T, T>([](T a, T b) { return low_product(a, b); });
    if (high) return op2<T, T, T>([](T a, T b) { return high_product(a, b); });
    if constexpr (sizeof(T) < 8) {
      if (is_wide) return op2<wide<T>, T, T>([](T a, T b) { return wide<T>(a) * wide<T>(b); });
    }
    return {};
  });
}

// mad and, for the high word of 128-bit products, its carry forms.
template <class T, bool kHigh, bool kIn, bool kOut>
void mad_carry(Warp& w, const Instruction& i) {
  const T* a = slot<T>(w, i.a);
  const T* b = slot<T>(w, i.b);
  const T* c = slot<T>(w, i.c);
  T* d = slot<T>(w, i.d);
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((w.mask >> lane & 1U) == 0) continue;
    const T product = kHigh ? high_product(a[lane], b[lane]) : low_product(a[lane], b[lane]);
    using U = safe<T>;
    const u128 sum = u128(U(product)) + U(c[lane]) + (kIn ? w.carry >> lane & 1U : 0);
    d[lane] = T(sum);
    if (kOut) w.carry = (w.carry & ~(1U << lane)) | u32(sum >> kBits<T> & 1U) << lane;
  }
}

Selection select_mad(Form& form, bool in) {
  const bool low = form.take("lo");
  const bool high = form.take("hi");
  const bool is_wide = form.take("wide");
  const bool saturate = form.take("sat");
  const bool out = form.take("cc");
  return with_integer(form.type(), [&]<class T>() -> Selection {
    if (saturate) {
      if (!high || !std::is_same_v<T, s32> || in || out) return {};
      return op3<s32, s32, s32, s32>(
          [](s32 a, s32 b, s32 c) { return clamp_s32(s64(high_product(a, b)) + c); });
    }
    if constexpr (sizeof(T) >= 4) {
      if (in || out) {
        if (low == high) return {};
        const Handler handlers[2][2][2] = {
            {{nullptr, &mad_carry<T, false, false, true>},
             {&mad_carry<T, false, true, false>, &mad_carry<T, false, true, true>}},
            {{nullptr, &mad_carry<T, true, false, true>},
             {&mad_carry<T, true, true, false>, &mad_carry<T, true, true, true>}}};
        return selection<T, T, T, T>(handlers[high][in][out]);
      }
    }
    if (in || out) return {};
    using U = safe<T>;
    if (low) return op3<T, T, T, T>([](T a, T b, T c) { return U(a) * U(b) + U(c); });
    if (high) return op3<T, T, T, T>([](T a, T b, T c) { return U(high_product(a, b)) + U(c); });
    if constexpr (sizeof(T) < 8) {
      using W = wide<T>;
      if (is_wide) {
        return op3<W, T, T, W>([](T a, T b, W c) { return safe<W>(W(a) * W(b)) + safe<W>(c); });
      }
    }
    return {};
  });
}

Selection select_24(Form& form, bool add) {
  const bool low = form.take("lo");
  const bool high = form.take("hi");
  if (low == high) return {};
  const PtxType type = form.type();
  const auto choose = [&]<class T>() {
    if (add) {
      return high ? op3<T, T, T, T>([](T a, T b, T c) { return u32(low24(a, b, true)) + u32(c); })
                  : op3<T, T, T, T>([](T a, T b, T c) { return u32(low24(a, b, false)) + u32(c); });
    }
    return high ? op2<T, T, T>([](T a, T b) { return low24(a, b, true); })
                : op2<T, T, T>([](T a, T b) { return low24(a, b, false); });
  };
  if (type == PtxType::u32) return choose.template operator()<u32>();
  if (type == PtxType::s32) return choose.template operator()<s32>();
  return {};
}

// dp4a: four products of bytes; dp2a: two of a's halves with b's lower or upper bytes.
template <class A, class B>
u32 dot4(u32 a, u32 b, u32 c) {
  for (int i = 0; i < 4; ++i) c += u32(s32(A(a >> 8 * i)) * s32(B(b >> 8 * i)));
  return c;
}
template <class A, class B, bool kHigh>
u32 dot2(u32 a, u32 b, u32 c) {
  for (int i = 0; i < 2; ++i)
    c += u32(s32(A(a >> 16 * i)) * s32(B(b >> (8 * i + (kHigh ? 16 : 0)))));
  return c;
}

Selection select_dot(Form& form) {
  const bool four = form.is("dp4a");
  const bool low = form.take("lo");
  const bool high = form.take("hi");
  if (four ? low || high : low == high) return {};
  const PtxType a = form.type();
  const PtxType b = form.type();
  for (const PtxType t : {a, b}) {
    if (t != PtxType::u32 && t != PtxType::s32) return {};
  }
  const auto choose = [&]<class A4, class A2, class B>() {
    if (four)
      return op3<u32, u32, u32, u32>([](u32 x, u32 y, u32 z) { return dot4<A4, B>(x, y, z); });
    return high ? op3<u32, u32, u32, u32>(
                      [](u32 x, u32 y, u32 z) { return dot2<A2, B, true>(x, y, z); })
                : op3<u32, u32, u32, u32>(
                      [](u32 x, u32 y, u32 z) { return dot2<A2, B, false>(x, y, z); });
  };
  if (a == PtxType::u32) {
    return b == PtxType::u32 ? choose.template operator()<u8, u16, u8>()
                             : choose.template operator()<u8, u16, s8>();
  }
  return b == PtxType::u32 ? choose.template operator()<s8, s16, u8>()
                           : choose.template operator()<s8, s16, s8>();
}

template <class T, bool kMost>
Selection extreme() {
  return op2<T, T, T>([](T a, T b) { return kMost ? (a > b ? a : b) : (a < b ? a : b); });
}

// Two 16-bit numbers in a word.
template <class T, class F>
u32 halves(u32 a, u32 b, F f) {
  return u32(u16(f(T(a), T(b)))) | u32(u16(f(T(a >> 16), T(b >> 16)))) << 16;
}

Selection select_pair(Form& form) {
  const bool is_signed = form.take("s16x2");
  if (!is_signed && !form.take("u16x2")) return {};
  if (form.is("add")) {
    return op2<u32, u32, u32>(
        [](u32 a, u32 b) { return halves<u16>(a, b, [](u16 x, u16 y) { return x + y; }); });
  }
  const bool most = form.is("max");
  if (!most && !form.is("min")) return {};
  if (is_signed) {
    return most ? op2<u32, u32, u32>([](u32 a, u32 b) {
      return halves<s16>(a, b, [](s16 x, s16 y) { return x > y ? x : y; });
    })
                : op2<u32, u32, u32>([](u32 a, u32 b) {
                    return halves<s16>(a, b, [](s16 x, s16 y) { return x < y ? x : y; });
                  });
  }
  return most ? op2<u32, u32, u32>([](u32 a, u32 b) {
    return halves<u16>(a, b, [](u16 x, u16 y) { return x > y ? x : y; });
  })
              : op2<u32, u32, u32>([](u32 a, u32 b) {
                  return halves<u16>(a, b, [](u16 x, u16 y) { return x < y ? x : y; });
                });
}

}  // namespace

Selection select_integer(Form& form) {
  if (const Selection pair = select_pair(form); pair.handler != nullptr) return pair;
  if (form.is("add") || form.is("sub")) {
    // The carry is asked for first: taking it decides the form.
    if (form.take("cc")) {
      switch (form.type()) {
        case PtxType::u32:
        case PtxType::s32:
          return carry_form<u32>(form.is("sub"), false, true);
        case PtxType::u64:
        case PtxType::s64:
          return carry_form<u64>(form.is("sub"), false, true);
        default:
          return {};
      }
    }
    return select_sum(form, form.is("sub"));
  }
  if (form.is("addc") || form.is("subc")) return select_carry(form, form.is("subc"), true);
  if (form.is("mul")) return select_product(form);
  if (form.is("mad")) return select_mad(form, false);
  if (form.is("madc")) return select_mad(form, true);
  if (form.is("mul24")) return select_24(form, false);
  if (form.is("mad24")) return select_24(form, true);
  if (form.is("dp4a") || form.is("dp2a")) return select_dot(form);
  if (form.is("div")) {
    return with_integer(
        form.type(), []<class T>() { return op2<T, T, T>([](T a, T b) { return divide(a, b); }); });
  }
  if (form.is("rem")) {
    return with_integer(form.type(), []<class T>() {
      return op2<T, T, T>([](T a, T b) { return remainder(a, b); });
    });
  }
  if (form.is("sad")) {
    return with_integer(form.type(), []<class T>() {
      using U = safe<T>;
      return op3<T, T, T, T>(
          [](T a, T b, T c) { return U(c) + (a > b ? U(a) - U(b) : U(b) - U(a)); });
    });
  }
  if (form.is("abs")) {
    return with_integer(form.type(), []<class T>() {
      return op1<T, T>([](T a) { return a < 0 ? 0 - safe<T>(a) : safe<T>(a); });
    });
  }
  if (form.is("neg")) {
    return with_integer(form.type(),
                        []<class T>() { return op1<T, T>([](T a) { return 0 - safe<T>(a); }); });
  }
  if (form.is("min") || form.is("max")) {
    const bool most = form.is("max");
    const bool relu = form.take("relu");
    const PtxType type = form.type();
    if (relu) {
      if (type != PtxType::s32) return {};
      return most ? op2<s32, s32, s32>(
                        [](s32 a, s32 b) { return a > b ? (a > 0 ? a : 0) : (b > 0 ? b : 0); })
                  : op2<s32, s32, s32>([](s32 a, s32 b) {
                      const s32 m = a < b ? a : b;
                      return m > 0 ? m : 0;
                    });
    }
    return with_integer(type,
                        [&]<class T>() { return most ? extreme<T, true>() : extreme<T, false>(); });
  }
  return {};
}

}  // namespace grkan::vgpu::GRKAN_VGPU_ISA
