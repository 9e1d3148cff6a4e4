// What is a thread's own, and the kernel's parameters.
#include "virtual_gpu/machine/memory_spaces.h"

namespace grkan::vgpu {

void resolve_local(Warp& w, const Instruction& i, const Access& access, std::byte** pointers) {
  const std::size_t size = w.worker->program->local_bytes;
  check_alignment(w, i, access, "local ");
  const std::uint32_t lost = check_size(w, i, access, pointers, size, "local");
  std::byte* local = w.block->local.data();
  each_lane_of(w.mask & ~lost, [&](int lane) {
    const auto thread = std::size_t(w.number) * kLanes + std::size_t(lane);
    pointers[lane] = local + thread * size + access.addresses[lane];
  });
  if (lost != 0 && access.kind != AccessKind::load) end_threads(w, lost);
}

void resolve_parameter(Warp& w, const Instruction& i, const Access& access, std::byte** pointers) {
  check_alignment(w, i, access, "parameter ");
  const std::uint32_t lost =
      check_size(w, i, access, pointers, w.worker->parameter_bytes, "parameter");
  each_lane_of(w.mask & ~lost, [&](int lane) {
    // Nothing writes through it: there is no store into parameters.
    pointers[lane] = const_cast<std::byte*>(w.worker->parameters) + access.addresses[lane];
  });
}

}  // namespace grkan::vgpu
