// Logic, shifts, bit fields, moves and selection.
#include "virtual_gpu/machine/isa/lanes.h"

namespace grkan::vgpu::GRKAN_VGPU_ISA {
namespace {

template <class T>
inline constexpr u32 kBits = u32(sizeof(T)) * 8;

// Predicates: one bit for each lane.
template <class F>
void of_predicates(Warp& w, const Instruction& i) {
  u32& d = predicate(w, i.d);
  const u32 b = i.b == kNoSlot ? 0 : predicate(w, i.b);
  d = (d & ~w.mask) | (F{}(predicate(w, i.a), b) & w.mask);
}
template <class F>
Selection predicates(F, int sources) {
  return {
      &of_predicates<F>, {0, 0, std::int8_t(sources == 2 ? 0 : -1), -1, -1}, 1 + sources, -1, 0, 0};
}

template <class F>
Selection logic2(Form& form, F f) {
  const PtxType type = form.type();
  if (type == PtxType::pred) return predicates(f, 2);
  return with_bits(type,
                   [&]<class T>() { return op2<T, T, T>([](T a, T b) { return F{}(a, b); }); });
}

template <class T>
T extract(T a, u32 b, u32 c) {
  using U = std::make_unsigned_t<T>;
  const u32 position = b & 0xFFU;
  const u32 length = c & 0xFFU;
  if (length == 0) return 0;
  const U shifted = position >= kBits<T> ? U{0} : U(U(a) >> position);
  bool sign = false;
  if (std::is_signed_v<T>) {
    const u32 top = position + length - 1;
    sign = (U(a) >> (top < kBits<T> ? top : kBits<T> - 1) & 1U) != 0;
  }
  // Bits that lie past the top of a take the sign as well.
  const u32 there = position >= kBits<T> ? 0 : kBits<T> - position;
  const u32 kept = length < there ? length : there;
  const U low = kept >= kBits<T> ? ~U{0} : U((U{1} << kept) - 1);
  return T((shifted & low) | (sign ? ~low : U{0}));
}

template <class T>
T insert(T a, T b, u32 c, u32 d) {
  const u32 position = c & 0xFFU;
  const u32 length = d & 0xFFU;
  if (position >= kBits<T> || length == 0) return b;
  const T ones = length >= kBits<T> ? T(~T{0}) : T((T{1} << length) - 1);
  const T field = T(ones << position);
  return T((b & ~field) | (T(a << position) & field));
}

template <class T>
u32 leading_zeros(T a) {
  if (a == 0) return kBits<T>;
  return sizeof(T) == 8 ? u32(__builtin_clzll(a)) : u32(__builtin_clz(u32(a)));
}

template <class T>
u32 find_leading(T a, bool as_shift) {
  using U = std::make_unsigned_t<T>;
  const U u = std::is_signed_v<T> && a < 0 ? U(~U(a)) : U(a);
  if (u == 0) return ~u32{0};
  const u32 zeros = leading_zeros(u);
  return as_shift ? zeros : kBits<T> - 1 - zeros;
}

template <class T>
T reversed(T a) {
  T r = 0;
  for (u32 i = 0; i < kBits<T>; ++i) r = T(r | (a >> i & 1U) << (kBits<T> - 1 - i));
  return r;
}

u32 permute(u32 a, u32 b, u32 selector) {
  const u64 bytes = u64(b) << 32 | a;
  u32 r = 0;
  for (int i = 0; i < 4; ++i) {
    const u32 control = selector >> 4 * i & 0xFU;
    u32 byte = u32(bytes >> 8 * (control & 7U)) & 0xFFU;
    if ((control & 8U) != 0) byte = (byte & 0x80U) != 0 ? 0xFF : 0;
    r |= byte << 8 * i;
  }
  return r;
}

// The named modes of prmt as selectors of the general one, by the two low bits of c.
constexpr u32 kForward4[4] = {0x3210, 0x4321, 0x5432, 0x6543};
constexpr u32 kBackward4[4] = {0x5670, 0x6701, 0x7012, 0x0123};
constexpr u32 kReplicate8[4] = {0x0000, 0x1111, 0x2222, 0x3333};
constexpr u32 kClampLeft[4] = {0x3210, 0x3211, 0x3222, 0x3333};
constexpr u32 kClampRight[4] = {0x0000, 0x1110, 0x2210, 0x3210};
constexpr u32 kReplicate16[4] = {0x1010, 0x3232, 0x1010, 0x3232};
template <const u32* kTable>
Selection permuted() {
  return op3<u32, u32, u32, u32>([](u32 a, u32 b, u32 c) { return permute(a, b, kTable[c & 3U]); });
}

Selection select_permute(Form& form) {
  const bool f4e = form.take("f4e");
  const bool b4e = form.take("b4e");
  const bool rc8 = form.take("rc8");
  const bool ecl = form.take("ecl");
  const bool ecr = form.take("ecr");
  const bool rc16 = form.take("rc16");
  if (form.type() != PtxType::b32) return {};
  // prmt.b32.f4e has its mode after the type; modifiers are taken in any order.
  if (f4e) return permuted<kForward4>();
  if (b4e) return permuted<kBackward4>();
  if (rc8) return permuted<kReplicate8>();
  if (ecl) return permuted<kClampLeft>();
  if (ecr) return permuted<kClampRight>();
  if (rc16) return permuted<kReplicate16>();
  return op3<u32, u32, u32, u32>([](u32 a, u32 b, u32 c) { return permute(a, b, c); });
}

Selection select_funnel(Form& form) {
  const bool left = form.take("l");
  const bool right = form.take("r");
  const bool wrap = form.take("wrap");
  const bool clamp = form.take("clamp");
  if (left == right || wrap == clamp || form.type() != PtxType::b32) return {};
  if (left) {
    if (wrap) {
      return op3<u32, u32, u32, u32>(
          [](u32 a, u32 b, u32 c) { return (u64(b) << 32 | a) << (c & 31U) >> 32; });
    }
    return op3<u32, u32, u32, u32>(
        [](u32 a, u32 b, u32 c) { return (u64(b) << 32 | a) << (c < 32 ? c : 32) >> 32; });
  }
  if (wrap) {
    return op3<u32, u32, u32, u32>(
        [](u32 a, u32 b, u32 c) { return (u64(b) << 32 | a) >> (c & 31U); });
  }
  return op3<u32, u32, u32, u32>(
      [](u32 a, u32 b, u32 c) { return (u64(b) << 32 | a) >> (c < 32 ? c : 32); });
}

void lookup3(Warp& w, const Instruction& i) {
  const u32* a = slot<u32>(w, i.a);
  const u32* b = slot<u32>(w, i.b);
  const u32* c = slot<u32>(w, i.c);
  u32 table[8];
  for (int k = 0; k < 8; ++k) table[k] = (i.offset >> k & 1) != 0 ? ~u32{0} : 0;
  const auto choose = [](u32 s, u32 one, u32 zero) { return (s & one) | (~s & zero); };
  each_lane<u32>(w, i.d, [&](int lane) {
    const u32 x = a[lane];
    const u32 y = b[lane];
    const u32 z = c[lane];
    const u32 high = choose(y, choose(z, table[7], table[6]), choose(z, table[5], table[4]));
    const u32 low = choose(y, choose(z, table[3], table[2]), choose(z, table[1], table[0]));
    return choose(x, high, low);
  });
}

template <class T>
void select_by_predicate(Warp& w, const Instruction& i) {
  const T* a = slot<T>(w, i.a);
  const T* b = slot<T>(w, i.b);
  const u32 p = i.negate_c ? ~predicate(w, i.c) : predicate(w, i.c);
  each_lane<T>(w, i.d, [=](int lane) { return (p >> lane & 1U) != 0 ? a[lane] : b[lane]; });
}

template <class T>
Selection moved() {
  return op1<T, T>([](T a) { return a; });
}

Selection select_move(Form& form) {
  const PtxType type = form.type();
  switch (type == PtxType::pred ? 0 : size_of(type)) {
    case 0:
      return type == PtxType::pred ? predicates([](u32 a, u32) { return a; }, 1) : Selection{};
    case 2:
      return moved<u16>();
    case 4:
      return moved<u32>();
    case 8:
      return moved<u64>();
    default:
      return {};
  }
}

template <class T>
void choose_by_sign(Warp& w, const Instruction& i) {
  const T* a = slot<T>(w, i.a);
  const T* b = slot<T>(w, i.b);
  const s32* c = slot<s32>(w, i.c);
  each_lane<T>(w, i.d, [=](int lane) { return c[lane] >= 0 ? a[lane] : b[lane]; });
}
// By an f32: -0 counts as 0, and NaN as negative.
template <class T>
void choose_by_float(Warp& w, const Instruction& i) {
  const T* a = slot<T>(w, i.a);
  const T* b = slot<T>(w, i.b);
  const float* c = slot<float>(w, i.c);
  if (i.mode != 0) {
    each_lane<T>(w, i.d, [=](int lane) { return flushed(c[lane]) >= 0 ? a[lane] : b[lane]; });
    return;
  }
  each_lane<T>(w, i.d, [=](int lane) { return c[lane] >= 0 ? a[lane] : b[lane]; });
}

template <class T>
Selection slct(PtxType by, bool ftz) {
  Selection s =
      selection<T, T, T, u32>(by == PtxType::f32 ? &choose_by_float<T> : &choose_by_sign<T>);
  s.mode = ftz ? 1 : 0;
  return s;
}

Selection select_slct(Form& form) {
  const bool ftz = form.take("ftz");
  const PtxType type = form.type();
  const PtxType by = form.type();
  if (by != PtxType::s32 && by != PtxType::f32) return {};
  switch (size_of(type)) {
    case 2:
      return slct<u16>(by, ftz);
    case 4:
      return slct<u32>(by, ftz);
    case 8:
      return slct<u64>(by, ftz);
    default:
      return {};
  }
}

Selection select_selp(Form& form) {
  const auto make = []<class T>() {
    return Selection{
        &select_by_predicate<T>, {sizeof(T), sizeof(T), sizeof(T), 0, -1}, 4, -1, 0, 0};
  };
  switch (size_of(form.type())) {
    case 2:
      return make.template operator()<u16>();
    case 4:
      return make.template operator()<u32>();
    case 8:
      return make.template operator()<u64>();
    default:
      return {};
  }
}

Selection select_shift(Form& form) {
  if (form.is("shl")) {
    return with_bits(form.type(), []<class T>() {
      return op2<T, T, u32>([](T a, u32 b) { return b < kBits<T> ? T(a << b) : T{0}; });
    });
  }
  const PtxType type = form.type();
  const auto shift = []<class T>() {
    return op2<T, T, u32>([](T a, u32 b) {
      if (std::is_signed_v<T>) return T(a >> (b < kBits<T> ? b : kBits<T> - 1));
      return b < kBits<T> ? T(a >> b) : T{0};
    });
  };
  const Selection s = with_bits(type, shift);
  return s.handler != nullptr ? s : with_integer(type, shift);
}

Selection select_field(Form& form) {
  if (form.is("bfi")) {
    return with_bits(form.type(), []<class T>() -> Selection {
      if constexpr (sizeof(T) >= 4) {
        return op4<T, T, T, u32, u32>([](T a, T b, u32 c, u32 d) { return insert(a, b, c, d); });
      }
      return {};
    });
  }
  return with_integer(form.type(), []<class T>() -> Selection {
    if constexpr (sizeof(T) >= 4) {
      return op3<T, T, u32, u32>([](T a, u32 b, u32 c) { return extract(a, b, c); });
    }
    return {};
  });
}

}  // namespace

Selection select_bits(Form& form) {
  if (form.is("and")) return logic2(form, [](auto a, auto b) { return a & b; });
  if (form.is("or")) return logic2(form, [](auto a, auto b) { return a | b; });
  if (form.is("xor")) return logic2(form, [](auto a, auto b) { return a ^ b; });
  if (form.is("not")) {
    const PtxType type = form.type();
    if (type == PtxType::pred) return predicates([](u32 a, u32) { return ~a; }, 1);
    return with_bits(type, []<class T>() { return op1<T, T>([](T a) { return ~a; }); });
  }
  if (form.is("cnot")) {
    return with_bits(form.type(),
                     []<class T>() { return op1<T, T>([](T a) { return a == 0 ? 1 : 0; }); });
  }
  if (form.is("shl") || form.is("shr")) return select_shift(form);
  if (form.is("mov")) return select_move(form);
  if (form.is("selp")) return select_selp(form);
  if (form.is("slct")) return select_slct(form);
  if (form.is("bfe") || form.is("bfi")) return select_field(form);
  if (form.is("prmt")) return select_permute(form);
  if (form.is("shf")) return select_funnel(form);
  if (form.is("lop3")) {
    if (form.type() != PtxType::b32) return {};
    Selection s = selection<u32, u32, u32, u32>(&lookup3);
    s.immediate = 4;
    return s;
  }
  if (form.is("popc")) {
    return with_bits(form.type(), []<class T>() {
      return op1<u32, T>([](T a) { return __builtin_popcountll(a); });
    });
  }
  if (form.is("clz")) {
    return with_bits(form.type(),
                     []<class T>() { return op1<u32, T>([](T a) { return leading_zeros(a); }); });
  }
  if (form.is("brev")) {
    return with_bits(form.type(),
                     []<class T>() { return op1<T, T>([](T a) { return reversed(a); }); });
  }
  if (form.is("bfind")) {
    const bool as_shift = form.take("shiftamt");
    return with_integer(form.type(), [&]<class T>() {
      return as_shift ? op1<u32, T>([](T a) { return find_leading(a, true); })
                      : op1<u32, T>([](T a) { return find_leading(a, false); });
    });
  }
  if (form.is("bmsk")) {
    const bool clamp = form.take("clamp");
    if (clamp == form.take("wrap") || form.type() != PtxType::b32) return {};
    const auto mask = [](u32 a, u32 b) {
      const u64 ones = b >= 32 ? 0xFFFFFFFFU : (u64{1} << b) - 1;
      return a >= 32 ? u32{0} : u32(ones << a);
    };
    if (clamp) return op2<u32, u32, u32>(mask);
    return op2<u32, u32, u32>(
        [](u32 a, u32 b) { return u32(((u64{1} << (b & 31U)) - 1) << (a & 31U)); });
  }
  return {};
}

}  // namespace grkan::vgpu::GRKAN_VGPU_ISA
