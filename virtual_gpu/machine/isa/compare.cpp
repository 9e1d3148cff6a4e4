// setp and set.
#include "virtual_gpu/machine/half_value.h"
#include "virtual_gpu/machine/isa/lanes.h"

namespace grkan::vgpu::GRKAN_VGPU_ISA {
namespace {

enum Combine : u8 { kNone, kAnd, kOr, kXor };

u32 combined(u8 mode, u32 result, u32 c) {
  switch (mode) {
    case kAnd:
      return result & c;
    case kOr:
      return result | c;
    case kXor:
      return result ^ c;
    default:
      return result;
  }
}

template <class T, class F>
[[gnu::always_inline]] inline u32 compared(const T* a, const T* b, F f) {
  u32 result = 0;
  for (int lane = 0; lane < kLanes; ++lane) result |= u32(f(a[lane], b[lane])) << lane;
  return result;
}

void write_predicates(Warp& w, const Instruction& i, u32 result) {
  const u32 c = i.mode == kNone ? 0 : i.negate_c ? ~predicate(w, i.c) : predicate(w, i.c);
  const u32 p = combined(i.mode, result, c);
  // The second destination is the complement before the combination.
  const u32 q = combined(i.mode, ~result, c);
  u32& d = predicate(w, i.d);
  d = (d & ~w.mask) | (p & w.mask);
  if (i.e != kNoSlot) {
    u32& e = predicate(w, i.e);
    e = (e & ~w.mask) | (q & w.mask);
  }
}

template <class T, class F>
void set_predicate(Warp& w, const Instruction& i) {
  write_predicates(w, i, compared(slot<T>(w, i.a), slot<T>(w, i.b), F{}));
}

// set: all ones or 1.0 for true.
template <class D, class T, class F>
void set_value(Warp& w, const Instruction& i) {
  const u32 result = compared(slot<T>(w, i.a), slot<T>(w, i.b), F{});
  const u32 c = i.mode == kNone ? 0 : i.negate_c ? ~predicate(w, i.c) : predicate(w, i.c);
  const u32 p = combined(i.mode, result, c);
  constexpr D kTrue = std::is_floating_point_v<D> ? D(1) : D(~u32{0});
  each_lane<D>(w, i.d, [=](int lane) { return (p >> lane & 1U) != 0 ? kTrue : D(0); });
}

template <class T, bool kFlush>
struct Value {
  using type = T;
  static T of(T v) {
    if constexpr (kFlush) return flushed(v);
    return v;
  }
};
template <bool kBrain>
struct HalfValue {
  using type = u16;
  static float of(u16 v) { return kBrain ? bf16_to_float(v) : f16_to_float(v); }
};

#define GRKAN_VGPU_COMPARISON(name, expression) \
  template <class V>                            \
  struct name {                                 \
    using T = typename V::type;                 \
    bool operator()(T x, T y) const {           \
      const auto a = V::of(x);                  \
      const auto b = V::of(y);                  \
      return expression;                        \
    }                                           \
  };
GRKAN_VGPU_COMPARISON(Equal, a == b)
GRKAN_VGPU_COMPARISON(NotEqual, (a != b) & (a == a) & (b == b))
GRKAN_VGPU_COMPARISON(Less, a < b)
GRKAN_VGPU_COMPARISON(LessEqual, a <= b)
GRKAN_VGPU_COMPARISON(Greater, a > b)
GRKAN_VGPU_COMPARISON(GreaterEqual, a >= b)
GRKAN_VGPU_COMPARISON(EqualU, (a == b) | (a != a) | (b != b))
GRKAN_VGPU_COMPARISON(NotEqualU, a != b)
GRKAN_VGPU_COMPARISON(LessU, !(a >= b))
GRKAN_VGPU_COMPARISON(LessEqualU, !(a > b))
GRKAN_VGPU_COMPARISON(GreaterU, !(a <= b))
GRKAN_VGPU_COMPARISON(GreaterEqualU, !(a < b))
GRKAN_VGPU_COMPARISON(Both, (a == a) & (b == b))
GRKAN_VGPU_COMPARISON(Neither, (a != a) | (b != b))
#undef GRKAN_VGPU_COMPARISON

// D = void: a predicate.
template <class D, class V, class F>
Handler handler_of() {
  if constexpr (std::is_void_v<D>) {
    return &set_predicate<typename V::type, F>;
  } else {
    return &set_value<D, typename V::type, F>;
  }
}

enum class Order : u8 { none, eq, ne, lt, le, gt, ge, equ, neu, ltu, leu, gtu, geu, num, nan };

template <class D, class V>
Handler by_order(Order order) {
  switch (order) {
    case Order::eq:
      return handler_of<D, V, Equal<V>>();
    case Order::ne:
      return handler_of<D, V, NotEqual<V>>();
    case Order::lt:
      return handler_of<D, V, Less<V>>();
    case Order::le:
      return handler_of<D, V, LessEqual<V>>();
    case Order::gt:
      return handler_of<D, V, Greater<V>>();
    case Order::ge:
      return handler_of<D, V, GreaterEqual<V>>();
    default:
      break;
  }
  if constexpr (!std::is_integral_v<typename V::type> || sizeof(typename V::type) == 2) {
    switch (order) {
      case Order::equ:
        return handler_of<D, V, EqualU<V>>();
      case Order::neu:
        return handler_of<D, V, NotEqualU<V>>();
      case Order::ltu:
        return handler_of<D, V, LessU<V>>();
      case Order::leu:
        return handler_of<D, V, LessEqualU<V>>();
      case Order::gtu:
        return handler_of<D, V, GreaterU<V>>();
      case Order::geu:
        return handler_of<D, V, GreaterEqualU<V>>();
      case Order::num:
        return handler_of<D, V, Both<V>>();
      case Order::nan:
        return handler_of<D, V, Neither<V>>();
      default:
        break;
    }
  }
  return nullptr;
}

template <class D>
Handler by_type(PtxType type, bool flush, Order order) {
  if (flush && type != PtxType::f32) return nullptr;
  switch (type) {
    case PtxType::b16:
    case PtxType::u16:
      return order >= Order::equ ? nullptr : by_order<D, Value<u16, false>>(order);
    case PtxType::s16:
      return order >= Order::equ ? nullptr : by_order<D, Value<s16, false>>(order);
    case PtxType::b32:
    case PtxType::u32:
      return by_order<D, Value<u32, false>>(order);
    case PtxType::s32:
      return by_order<D, Value<s32, false>>(order);
    case PtxType::b64:
    case PtxType::u64:
      return by_order<D, Value<u64, false>>(order);
    case PtxType::s64:
      return by_order<D, Value<s64, false>>(order);
    case PtxType::f32:
      return flush ? by_order<D, Value<float, true>>(order)
                   : by_order<D, Value<float, false>>(order);
    case PtxType::f64:
      return by_order<D, Value<double, false>>(order);
    case PtxType::f16:
      return by_order<D, HalfValue<false>>(order);
    case PtxType::bf16:
      return by_order<D, HalfValue<true>>(order);
    default:
      return nullptr;
  }
}

Order take_order(Form& form) {
  struct Name {
    const char* text;
    Order order;
  };
  constexpr Name kNames[] = {{"eq", Order::eq},   {"ne", Order::ne},   {"lt", Order::lt},
                             {"le", Order::le},   {"gt", Order::gt},   {"ge", Order::ge},
                             {"lo", Order::lt},   {"ls", Order::le},   {"hi", Order::gt},
                             {"hs", Order::ge},   {"equ", Order::equ}, {"neu", Order::neu},
                             {"ltu", Order::ltu}, {"leu", Order::leu}, {"gtu", Order::gtu},
                             {"geu", Order::geu}, {"num", Order::num}, {"nan", Order::nan}};
  for (const Name& name : kNames) {
    if (form.take(name.text)) return name.order;
  }
  return Order::none;
}

// Two halves compared apart: setp.f16x2 p|q.
template <bool kBrain>
void set_pair(Warp& w, const Instruction& i) {
  const u32* a = slot<u32>(w, i.a);
  const u32* b = slot<u32>(w, i.b);
  u32 results[2] = {0, 0};
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int half = 0; half < 2; ++half) {
      const auto value = [&](u32 v) {
        const u16 bits = u16(v >> 16 * half);
        return kBrain ? bf16_to_float(bits) : f16_to_float(bits);
      };
      const float x = value(a[lane]);
      const float y = value(b[lane]);
      bool is = false;
      switch (Order(i.offset)) {
        case Order::eq:
          is = x == y;
          break;
        case Order::ne:
          is = x < y || x > y;
          break;
        case Order::lt:
          is = x < y;
          break;
        case Order::le:
          is = x <= y;
          break;
        case Order::gt:
          is = x > y;
          break;
        case Order::ge:
          is = x >= y;
          break;
        case Order::equ:
          is = !(x < y || x > y);
          break;
        case Order::neu:
          is = x != y;
          break;
        case Order::ltu:
          is = !(x >= y);
          break;
        case Order::leu:
          is = !(x > y);
          break;
        case Order::gtu:
          is = !(x <= y);
          break;
        case Order::geu:
          is = !(x < y);
          break;
        case Order::num:
          is = x == x && y == y;
          break;
        case Order::nan:
          is = x != x || y != y;
          break;
        case Order::none:
          break;
      }
      results[half] |= u32(is) << lane;
    }
  }
  const u32 c = i.mode == kNone ? 0 : i.negate_c ? ~predicate(w, i.c) : predicate(w, i.c);
  const u32 slots[2] = {i.d, i.e};
  for (int half = 0; half < 2; ++half) {
    if (slots[half] == kNoSlot) continue;
    u32& d = predicate(w, slots[half]);
    d = (d & ~w.mask) | (combined(i.mode, results[half], c) & w.mask);
  }
}

}  // namespace

Selection select_compare(Form& form) {
  const bool predicate_result = form.is("setp");
  if (!predicate_result && !form.is("set")) return {};
  const Order order = take_order(form);
  const u8 mode = form.take("and") ? kAnd : form.take("or") ? kOr : form.take("xor") ? kXor : kNone;
  const bool flush = form.take("ftz");
  Selection s;
  s.mode = mode;
  s.count = mode == kNone ? 3 : 4;
  if (mode != kNone) s.sizes[3] = 0;
  if (predicate_result) {
    s.sizes[0] = 0;
    const PtxType type = form.type();
    s.sizes[1] = s.sizes[2] = std::int8_t(size_of(type));
    if ((type == PtxType::f16x2 || type == PtxType::bf16x2) && !flush && order != Order::none) {
      s.handler = type == PtxType::f16x2 ? &set_pair<false> : &set_pair<true>;
      s.offset = int(order);
      return s;
    }
    s.handler = by_type<void>(type, flush, order);
    return s;
  }
  const PtxType to = form.type();
  const PtxType from = form.type();
  s.sizes[0] = 4;
  s.sizes[1] = s.sizes[2] = std::int8_t(size_of(from));
  if (to == PtxType::f32) {
    s.handler = by_type<float>(from, flush, order);
  } else if (to == PtxType::u32 || to == PtxType::s32) {
    s.handler = by_type<u32>(from, flush, order);
  }
  return s;
}

}  // namespace grkan::vgpu::GRKAN_VGPU_ISA
