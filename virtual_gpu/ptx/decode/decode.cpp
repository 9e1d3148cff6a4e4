#include "virtual_gpu/ptx/decode/decode.h"

#include "virtual_gpu/ptx/decode/builder.h"

namespace grkan::vgpu {
std::vector<ParameterPlace> place_parameters(const PtxFunction& function) {
  std::vector<ParameterPlace> places;
  std::size_t at = 0;
  for (const int n : function.parameters) {
    const PtxVariable& v = function.variables[std::size_t(n)];
    at = rounded_up(at, v.alignment);
    places.push_back({at, v.bytes});
    at += v.bytes;
  }
  return places;
}

std::shared_ptr<const Program> decode(const PtxModule& module, const PtxFunction& kernel,
                                      const Symbols& symbols) {
  return Builder(module, symbols).build(kernel);
}

}  // namespace grkan::vgpu
