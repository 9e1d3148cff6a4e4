#include "virtual_gpu/ptx/handlers.h"

namespace grkan::vgpu {

#define GRKAN_VGPU_SELECTORS_OF(isa)                                                       \
  {&isa::select_integer, &isa::select_bits,    &isa::select_float,   &isa::select_special, \
   &isa::select_half,    &isa::select_compare, &isa::select_convert, &isa::select_memory}

const Selectors& selectors() {
  static constexpr Selectors kBaseline = GRKAN_VGPU_SELECTORS_OF(baseline);
#if defined(__x86_64__)
  static constexpr Selectors kV3 = GRKAN_VGPU_SELECTORS_OF(v3);
  static const bool newer = __builtin_cpu_supports("x86-64-v3") != 0;
  if (newer) return kV3;
#endif
  return kBaseline;
}

}  // namespace grkan::vgpu
