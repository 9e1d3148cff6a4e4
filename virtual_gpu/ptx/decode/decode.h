// From the tree of a kernel to its Program.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "virtual_gpu/ptx/program.h"
#include "virtual_gpu/ptx/ptx.h"

namespace grkan::vgpu {

// Addresses of a module's .global and .const variables.
using Symbols = std::map<std::string, std::uint64_t, std::less<>>;

struct ParameterPlace {
  std::size_t offset = 0;
  std::size_t size = 0;
};
// Parameters one after another, each at its alignment.
std::vector<ParameterPlace> place_parameters(const PtxFunction& function);

// Throws Error (compile_failed) naming the line and what is not known.
std::shared_ptr<const Program> decode(const PtxModule& module, const PtxFunction& kernel,
                                      const Symbols& symbols);

}  // namespace grkan::vgpu
