#include "virtual_gpu/machine/module.h"

#include <cstring>

#include "core/error.h"
#include "virtual_gpu/ptx/decode/decode.h"

namespace grkan::vgpu {
namespace {

// The variable's bytes with the addresses of other variables filled in.
std::vector<std::byte> initial_bytes(const PtxVariable& v, const Symbols& symbols) {
  std::vector<std::byte> bytes = v.initial;
  bytes.resize(v.bytes);
  for (const PtxVariable::Reference& reference : v.references) {
    const auto found = symbols.find(reference.name);
    if (found == symbols.end()) {
      fail(Status::compile_failed, "line {}: '{}' is initialised with '{}', which is no variable",
           v.line, v.name, reference.name);
    }
    const std::uint64_t address = found->second + std::uint64_t(reference.addend);
    std::memcpy(bytes.data() + reference.offset, &address, sizeof(address));
  }
  return bytes;
}

}  // namespace

Module::Module(std::string_view ptx, Memory& memory) : memory_(memory) {
  const PtxModule tree = parse_ptx(ptx);
  ptx_version_ = tree.version;
  target_ = tree.target;
  Symbols symbols;
  try {
    for (const PtxVariable& v : tree.variables) {
      if (v.space != Space::global && v.space != Space::constant) continue;
      const std::uint64_t address = memory.allocate(std::max<std::size_t>(v.bytes, 1));
      if (address == 0) {
        fail(Status::out_of_memory, "line {}: no memory for '{}' ({} bytes)", v.line, v.name,
             v.bytes);
      }
      globals_.push_back({v.name, address, v.bytes});
      if (!symbols.emplace(v.name, address).second) {
        fail(Status::compile_failed, "line {}: '{}' is declared twice", v.line, v.name);
      }
    }
    for (const PtxVariable& v : tree.variables) {
      const auto found = symbols.find(v.name);
      if (found == symbols.end() || v.bytes == 0) continue;
      // What has no initial value is zero.
      const std::vector<std::byte> bytes = initial_bytes(v, symbols);
      memory.write(found->second, bytes.data(), bytes.size());
    }
    for (const PtxFunction& f : tree.functions) {
      if (!f.entry || !f.defined) continue;
      ModuleKernel kernel;
      kernel.name = f.name;
      for (const ParameterPlace& place : place_parameters(f)) {
        kernel.parameters.push_back({place.offset, place.size});
        kernel.parameter_bytes = place.offset + place.size;
      }
      kernel.max_threads = f.max_threads;
      kernel.min_blocks = f.min_blocks;
      kernel.program = decode(tree, f, symbols);
      kernel.shared_bytes = kernel.program->static_shared;
      kernel.local_bytes = kernel.program->local_bytes;
      kernels_.push_back(std::move(kernel));
    }
  } catch (...) {
    for (const Global& global : globals_) memory.free(global.address);
    throw;
  }
}

Module::~Module() {
  for (const Global& global : globals_) memory_.free(global.address);
}

const ModuleKernel* Module::kernel(std::string_view name) const {
  for (const ModuleKernel& kernel : kernels_) {
    if (kernel.name == name) return &kernel;
  }
  return nullptr;
}

}  // namespace grkan::vgpu
