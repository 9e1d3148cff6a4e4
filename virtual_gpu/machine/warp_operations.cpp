#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "virtual_gpu/machine/memory_access.h"
#include "virtual_gpu/machine/warp.h"
#include "virtual_gpu/ptx/handlers.h"

namespace grkan::vgpu {
namespace {

void write_predicate(Warp& w, std::uint32_t at, std::uint32_t value) {
  if (at == kNoSlot) return;
  std::uint32_t& p = predicate(w, at);
  p = (p & ~w.mask) | (value & w.mask);
}

// shfl

enum class Shuffle : std::uint8_t { up, down, butterfly, index };

struct Source {
  int lane;
  bool in_range;
};

Source source_of(Shuffle mode, int lane, std::uint32_t b, std::uint32_t c) {
  const int step = int(b & 31U);
  const int clamp = int(c & 31U);
  const int segment = int(c >> 8 & 31U);
  const int most = (lane & segment) | (clamp & ~segment & 31);
  const int least = lane & segment;
  int j = lane;
  bool in_range = false;
  switch (mode) {
    case Shuffle::up:
      j = lane - step;
      in_range = j >= most;
      break;
    case Shuffle::down:
      j = lane + step;
      in_range = j <= most;
      break;
    case Shuffle::butterfly:
      j = lane ^ step;
      in_range = j <= most;
      break;
    case Shuffle::index:
      j = least | (step & ~segment & 31);
      in_range = j <= most;
      break;
  }
  return {in_range ? j : lane, in_range};
}

template <Shuffle kMode>
void shuffle(Warp& w, const Instruction& i) {
  std::uint32_t values[kLanes];
  std::memcpy(values, slot<std::uint32_t>(w, i.a), sizeof(values));
  std::uint32_t steps[kLanes];
  std::memcpy(steps, slot<std::uint32_t>(w, i.b), sizeof(steps));
  std::uint32_t bounds[kLanes];
  std::memcpy(bounds, slot<std::uint32_t>(w, i.c), sizeof(bounds));
  std::uint32_t in_range = 0;
  int absent = -1;
  each_lane_of(w.mask, [&](int lane) {
    const Source source = source_of(kMode, lane, steps[lane], bounds[lane]);
    if ((w.mask >> source.lane & 1U) == 0 && absent < 0) absent = lane;
    if (source.in_range) in_range |= 1U << lane;
    if (i.d != kNoSlot) slot<std::uint32_t>(w, i.d)[lane] = values[source.lane];
  });
  write_predicate(w, i.e, in_range);
  if (absent < 0) return;
  w.worker->report(Check::bad_shuffle, w, i, absent, [&] {
    return fmt::format("reads lane {}, which does not take part (lanes {:#010x})",
                       source_of(kMode, absent, steps[absent], bounds[absent]).lane, w.mask);
  });
}

// vote

std::uint32_t vote_source(Warp& w, const Instruction& i) {
  return (i.negate_c ? ~predicate(w, i.a) : predicate(w, i.a)) & w.mask;
}
void vote_all(Warp& w, const Instruction& i) {
  write_predicate(w, i.d, vote_source(w, i) == w.mask ? kAllLanes : 0);
}
void vote_any(Warp& w, const Instruction& i) {
  write_predicate(w, i.d, vote_source(w, i) != 0 ? kAllLanes : 0);
}
void vote_uniform(Warp& w, const Instruction& i) {
  const std::uint32_t source = vote_source(w, i);
  write_predicate(w, i.d, source == 0 || source == w.mask ? kAllLanes : 0);
}
void vote_ballot(Warp& w, const Instruction& i) {
  const std::uint32_t source = vote_source(w, i);
  each_lane_of(w.mask, [&](int lane) { slot<std::uint32_t>(w, i.d)[lane] = source; });
}

// match

template <class T>
void match_any(Warp& w, const Instruction& i) {
  T values[kLanes];
  std::memcpy(values, slot<T>(w, i.a), sizeof(values));
  each_lane_of(w.mask, [&](int lane) {
    std::uint32_t equal = 0;
    each_lane_of(w.mask, [&](int other) {
      if (values[other] == values[lane]) equal |= 1U << other;
    });
    slot<std::uint32_t>(w, i.d)[lane] = equal;
  });
}
template <class T>
void match_all(Warp& w, const Instruction& i) {
  const T first = slot<T>(w, i.a)[std::countr_zero(w.mask)];
  bool equal = true;
  each_lane_of(w.mask, [&](int lane) { equal = equal && slot<T>(w, i.a)[lane] == first; });
  each_lane_of(w.mask, [&](int lane) {
    if (i.d != kNoSlot) slot<std::uint32_t>(w, i.d)[lane] = equal ? w.mask : 0;
  });
  write_predicate(w, i.e, equal ? kAllLanes : 0);
}

// redux

template <class T, class F>
void reduce(Warp& w, const Instruction& i) {
  T result = slot<T>(w, i.a)[std::countr_zero(w.mask)];
  each_lane_of(w.mask & (w.mask - 1),
               [&](int lane) { result = F{}(result, slot<T>(w, i.a)[lane]); });
  each_lane_of(w.mask, [&](int lane) { slot<T>(w, i.d)[lane] = result; });
}
template <class T, class F>
Handler reduction(F) {
  return &reduce<T, F>;
}

using u32 = std::uint32_t;
using s32 = std::int32_t;

Handler select_reduction(Form& form) {
  const bool add = form.take("add");
  const bool min = form.take("min");
  const bool max = form.take("max");
  const bool land = form.take("and");
  const bool lor = form.take("or");
  const bool lxor = form.take("xor");
  switch (form.type()) {
    case PtxType::b32:
      if (land) return reduction<u32>([](u32 a, u32 b) { return a & b; });
      if (lor) return reduction<u32>([](u32 a, u32 b) { return a | b; });
      if (lxor) return reduction<u32>([](u32 a, u32 b) { return a ^ b; });
      return nullptr;
    case PtxType::u32:
      if (add) return reduction<u32>([](u32 a, u32 b) { return a + b; });
      if (min) return reduction<u32>([](u32 a, u32 b) { return std::min(a, b); });
      if (max) return reduction<u32>([](u32 a, u32 b) { return std::max(a, b); });
      return nullptr;
    case PtxType::s32:
      if (add) return reduction<u32>([](u32 a, u32 b) { return a + b; });
      if (min) return reduction<s32>([](s32 a, s32 b) { return std::min(a, b); });
      if (max) return reduction<s32>([](s32 a, s32 b) { return std::max(a, b); });
      return nullptr;
    case PtxType::f32:
      // NaN gives way to a number, as in min and max.
      if (min) return reduction<float>([](float a, float b) { return std::fmin(a, b); });
      if (max) return reduction<float>([](float a, float b) { return std::fmax(a, b); });
      return nullptr;
    default:
      return nullptr;
  }
}

void elect(Warp& w, const Instruction& i) {
  const int first = std::countr_zero(w.mask);
  if (i.d != kNoSlot) {
    each_lane_of(w.mask, [&](int lane) { slot<u32>(w, i.d)[lane] = u32(first); });
  }
  write_predicate(w, i.e, 1U << first);
}

void only_meet(Warp&, const Instruction&) {}

WarpSelection one_source(Handler handler, int bytes, bool second) {
  WarpSelection s;
  s.selection.handler = handler;
  s.selection.sizes[0] = 4;
  s.selection.sizes[1] = std::int8_t(bytes);
  s.selection.count = 2;
  s.second = second;
  return s;
}

}  // namespace

WarpSelection select_warp_operation(Form& form) {
  WarpSelection s;
  if (form.is("bar")) {
    if (form.take("warp") && form.take("sync")) s.selection.handler = &only_meet;
    return s;
  }
  if (!form.take("sync")) return s;
  if (form.is("shfl")) {
    if (form.take("up")) s.selection.handler = &shuffle<Shuffle::up>;
    if (form.take("down")) s.selection.handler = &shuffle<Shuffle::down>;
    if (form.take("bfly")) s.selection.handler = &shuffle<Shuffle::butterfly>;
    if (form.take("idx")) s.selection.handler = &shuffle<Shuffle::index>;
    if (form.type() != PtxType::b32) s.selection.handler = nullptr;
    s.selection.count = 4;
    for (int k = 0; k < 4; ++k) s.selection.sizes[k] = 4;
    s.second = true;
    return s;
  }
  if (form.is("vote")) {
    s.selection.count = 2;
    s.selection.sizes[0] = s.selection.sizes[1] = 0;
    s.predicate_source = true;
    const bool ballot = form.take("ballot");
    if (ballot) s.selection.handler = &vote_ballot;
    if (form.take("all")) s.selection.handler = &vote_all;
    if (form.take("any")) s.selection.handler = &vote_any;
    if (form.take("uni")) s.selection.handler = &vote_uniform;
    if (ballot) s.selection.sizes[0] = 4;
    if (form.type() != (ballot ? PtxType::b32 : PtxType::pred)) s.selection.handler = nullptr;
    return s;
  }
  if (form.is("match")) {
    const bool any = form.take("any");
    const bool all = form.take("all");
    if (any == all) return s;
    switch (form.type()) {
      case PtxType::b32:
        return one_source(any ? &match_any<u32> : &match_all<u32>, 4, all);
      case PtxType::b64:
        return one_source(any ? &match_any<std::uint64_t> : &match_all<std::uint64_t>, 8, all);
      default:
        return s;
    }
  }
  if (form.is("redux")) return one_source(select_reduction(form), 4, false);
  if (form.is("elect")) {
    s.selection.handler = &elect;
    s.selection.count = 1;
    s.selection.sizes[0] = 4;
    s.second = true;
  }
  return s;
}

void run_guarded(Warp& w, const Instruction& i) {
  const std::uint32_t all = w.mask;
  const std::uint32_t p = predicate(w, i.guard);
  const std::uint32_t on = all & (i.guard_negated ? ~p : p);
  w.worker->lanes_off[i.index] += std::uint64_t(std::popcount(all & ~on));
  if (on == 0) return;
  w.mask = on;
  i.unguarded(w, i);
  w.mask |= all & ~on;
}

void run_fence(Warp& w, const Instruction& i) {
  if (w.worker->causality == nullptr || FenceKind(i.mode) == FenceKind::none) return;
  w.worker->causality->fence(w.block->clock, std::uint32_t(w.number * kLanes), w.mask,
                             FenceKind(i.mode));
}

void read_active_mask(Warp& w, const Instruction& i) {
  each_lane_of(w.mask, [&](int lane) { slot<u32>(w, i.d)[lane] = w.mask; });
}
void read_clock32(Warp& w, const Instruction& i) {
  each_lane_of(w.mask, [&](int lane) { slot<u32>(w, i.d)[lane] = u32(w.executed); });
}
void read_clock64(Warp& w, const Instruction& i) {
  each_lane_of(w.mask, [&](int lane) { slot<std::uint64_t>(w, i.d)[lane] = w.executed; });
}

void test_space(Warp& w, const Instruction& i) {
  const std::uint64_t* a = slot<std::uint64_t>(w, i.a);
  std::uint32_t result = 0;
  each_lane_of(w.mask, [&](int lane) {
    if (space_of(a[lane]) == Space(i.mode)) result |= 1U << lane;
  });
  write_predicate(w, i.d, result);
}

void copy_frame(Warp& w, const Instruction& i) {
  const std::size_t frame = w.worker->program->local_bytes;
  each_lane_of(w.mask, [&](int lane) {
    std::byte* local = w.block->local.data() + std::size_t(w.number * kLanes + lane) * frame;
    std::memmove(local + i.target, local + i.offset, i.e);
  });
}

void pack(Warp& w, const Instruction& i) {
  const int whole = i.mode * i.count;
  each_lane_of(w.mask, [&](int lane) {
    std::uint64_t value = 0;
    for (int k = 0; k < i.count; ++k) {
      std::uint64_t part = 0;
      std::memcpy(&part, w.registers + i.elements[k] + std::size_t(lane) * i.mode, i.mode);
      value |= part << (8 * i.mode * k);
    }
    std::memcpy(w.registers + i.d + std::size_t(lane) * std::size_t(whole), &value,
                std::size_t(whole));
  });
}

void unpack(Warp& w, const Instruction& i) {
  const int whole = i.mode * i.count;
  each_lane_of(w.mask, [&](int lane) {
    std::uint64_t value = 0;
    std::memcpy(&value, w.registers + i.a + std::size_t(lane) * std::size_t(whole),
                std::size_t(whole));
    for (int k = 0; k < i.count; ++k) {
      if (i.elements[k] == kNoSlot) continue;
      const std::uint64_t part = value >> (8 * i.mode * k);
      std::memcpy(w.registers + i.elements[k] + std::size_t(lane) * i.mode, &part, i.mode);
    }
  });
}

}  // namespace grkan::vgpu
