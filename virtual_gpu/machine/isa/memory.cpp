// Loads and stores.
#include "virtual_gpu/machine/isa/lanes.h"
#include "virtual_gpu/machine/memory_access.h"

namespace grkan::vgpu::GRKAN_VGPU_ISA {
namespace {

// Blocks on several host threads may race where the program does: that is its own, and reported.
#define GRKAN_GUEST_ACCESS gnu::no_sanitize("thread")

template <class T>
[[gnu::always_inline, GRKAN_GUEST_ACCESS]] inline T read(const std::byte* at) {
  T value;
  __builtin_memcpy(&value, at, sizeof(T));
  return value;
}
template <class T>
[[gnu::always_inline, GRKAN_GUEST_ACCESS]] inline void write(std::byte* at, T value) {
  __builtin_memcpy(at, &value, sizeof(T));
}

void find_addresses(Warp& w, const Instruction& i, u64* addresses) {
  const u64 offset = u64(i.offset);
  if (i.wide_address) {
    const u64* a = slot<u64>(w, i.a);
    for (int lane = 0; lane < kLanes; ++lane) addresses[lane] = a[lane] + offset;
  } else {
    const u32* a = slot<u32>(w, i.a);
    for (int lane = 0; lane < kLanes; ++lane) addresses[lane] = u64(u32(a[lane] + u32(offset)));
  }
}

bool contiguous(const u64* addresses, u64 stride) {
  u64 differences = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    differences |= addresses[lane] ^ (addresses[0] + u64(lane) * stride);
  }
  return differences == 0;
}

template <class T, class R>
[[GRKAN_GUEST_ACCESS]] void load_from(Space space, Warp& w, const Instruction& i,
                                      const u64* addresses) {
  constexpr std::ptrdiff_t kSize = sizeof(T);
  const std::ptrdiff_t bytes = kSize * i.count;
  if (space == Space::global && w.mask == kAllLanes && contiguous(addresses, u64(bytes))) {
    if (const std::byte* from = resolve_contiguous(w, i, addresses, int(bytes), false).data) {
      for (int e = 0; e < i.count; ++e) {
        if (i.elements[e] == kNoSlot) continue;
        R* d = slot<R>(w, i.elements[e]);
        const std::byte* at = from + e * kSize;
        // NOLINTNEXTLINE(bugprone-signed-char-misuse): a signed load widens with its sign
        for (int lane = 0; lane < kLanes; ++lane) d[lane] = R(read<T>(at + lane * bytes));
      }
      return;
    }
  }
  // One parameter for all.
  if (space == Space::parameter && i.count == 1 && contiguous(addresses, 0)) {
    const u64 at = addresses[0];
    const u64 size = w.worker->parameter_bytes;
    if (at % sizeof(T) == 0 && at <= size && size - at >= sizeof(T)) {
      // NOLINTNEXTLINE(bugprone-signed-char-misuse)
      const R value = R(read<T>(w.worker->parameters + at));
      if (i.elements[0] == kNoSlot) return;
      each_lane<R>(w, i.elements[0], [=](int) { return value; });
      return;
    }
  }
  std::byte* pointers[kLanes];
  resolve(space, w, i, {addresses, int(bytes), AccessKind::load, nullptr}, pointers);
  for (int e = 0; e < i.count; ++e) {
    if (i.elements[e] == kNoSlot) continue;
    R* d = slot<R>(w, i.elements[e]);
    for (int lane = 0; lane < kLanes; ++lane) {
      // NOLINTNEXTLINE(bugprone-signed-char-misuse)
      if ((w.mask >> lane & 1U) != 0) d[lane] = R(read<T>(pointers[lane] + e * kSize));
    }
  }
}

template <class T, class R>
[[GRKAN_GUEST_ACCESS]] void store_to(Space space, Warp& w, const Instruction& i,
                                     const u64* addresses) {
  constexpr std::ptrdiff_t kSize = sizeof(T);
  const std::ptrdiff_t bytes = kSize * i.count;
  if (space == Space::global && w.mask == kAllLanes && contiguous(addresses, u64(bytes))) {
    const Contiguous to = resolve_contiguous(w, i, addresses, int(bytes), true);
    if (to.data != nullptr) {
      std::byte* const places[] = {to.data, to.copy};
      for (std::byte* begin : places) {
        if (begin == nullptr) continue;
        for (int e = 0; e < i.count; ++e) {
          const R* a = slot<R>(w, i.elements[e]);
          std::byte* at = begin + e * kSize;
          for (int lane = 0; lane < kLanes; ++lane) write<T>(at + lane * bytes, T(a[lane]));
        }
      }
      return;
    }
  }
  alignas(64) std::byte values[kLanes * 32];
  for (int e = 0; e < i.count; ++e) {
    const R* a = slot<R>(w, i.elements[e]);
    std::byte* at = values + e * kSize;
    for (int lane = 0; lane < kLanes; ++lane) write<T>(at + lane * bytes, T(a[lane]));
  }
  std::byte* pointers[kLanes];
  resolve(space, w, i, {addresses, int(bytes), AccessKind::store, values}, pointers);
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((w.mask >> lane & 1U) == 0) continue;
    const std::byte* from = values + lane * bytes;
    for (int e = 0; e < i.count; ++e) {
      write<T>(pointers[lane] + e * kSize, read<T>(from + e * kSize));
    }
  }
}

template <class T, class R, bool kStore>
void access(Space space, Warp& w, const Instruction& i, const u64* addresses) {
  if constexpr (kStore) {
    store_to<T, R>(space, w, i, addresses);
  } else {
    load_from<T, R>(space, w, i, addresses);
  }
}

template <class T, class R, bool kStore, Space kSpace>
void one_space(Warp& w, const Instruction& i) {
  alignas(64) u64 addresses[kLanes];
  find_addresses(w, i, addresses);
  access<T, R, kStore>(kSpace, w, i, addresses);
}

// Lanes that point into the same space go together.
template <class T, class R, bool kStore>
void any_space(Warp& w, const Instruction& i) {
  alignas(64) u64 addresses[kLanes];
  find_addresses(w, i, addresses);
  const u32 all = w.mask;
  u32 ended = 0;
  for (u32 left = all; left != 0;) {
    const Space space = space_of(addresses[__builtin_ctz(left)]);
    u32 lanes = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      if ((left >> lane & 1U) != 0 && space_of(addresses[lane]) == space) lanes |= 1U << lane;
    }
    alignas(64) u64 inside[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) inside[lane] = addresses[lane] - window_of(space);
    w.mask = lanes;
    access<T, R, kStore>(space, w, i, inside);
    ended |= lanes & ~w.mask;
    left &= ~lanes;
  }
  w.mask = all & ~ended;
}

template <class T, class R, bool kStore>
Handler by_space(Space space) {
  switch (space) {
    case Space::global:
    case Space::constant:
      return &one_space<T, R, kStore, Space::global>;
    case Space::shared:
      return &one_space<T, R, kStore, Space::shared>;
    case Space::local:
      return &one_space<T, R, kStore, Space::local>;
    case Space::parameter:
      return kStore ? nullptr : &one_space<T, R, kStore, Space::parameter>;
    default:
      return &any_space<T, R, kStore>;
  }
}

// A register may be wider than what is loaded (extended by its sign) or stored (its low part).
template <class T, bool kStore>
Handler by_register(Space space, int bytes) {
  switch (bytes) {
    case 2:
      if constexpr (sizeof(T) <= 2) return by_space<T, u16, kStore>(space);
      return nullptr;
    case 4:
      if constexpr (sizeof(T) <= 4) return by_space<T, u32, kStore>(space);
      return nullptr;
    case 8:
      return by_space<T, u64, kStore>(space);
    default:
      return nullptr;
  }
}

template <bool kStore>
Handler by_type(PtxType type, Space space, int bytes) {
  switch (type) {
    case PtxType::b8:
    case PtxType::u8:
      return by_register<u8, kStore>(space, bytes);
    case PtxType::s8:
      return by_register<s8, kStore>(space, bytes);
    case PtxType::s16:
      return by_register<s16, kStore>(space, bytes);
    case PtxType::s32:
      return by_register<s32, kStore>(space, bytes);
    default:
      break;
  }
  switch (size_of(type)) {
    case 2:
      return by_register<u16, kStore>(space, bytes);
    case 4:
      return by_register<u32, kStore>(space, bytes);
    case 8:
      return by_register<u64, kStore>(space, bytes);
    default:
      return nullptr;
  }
}

}  // namespace

// form.destination_bytes: of the registers loaded or stored.
Selection select_memory(Form& form, Space space, int count, bool store) {
  const PtxType type = form.type();
  if (size_of(type) * count > 32) return {};
  Selection s;
  s.handler = store ? by_type<true>(type, space, form.destination_bytes)
                    : by_type<false>(type, space, form.destination_bytes);
  s.count = size_of(type);  // bytes of an element
  return s;
}

}  // namespace grkan::vgpu::GRKAN_VGPU_ISA
