// What a cubin tells of its kernels. Its machine code can't be executed here, but only the
// assembler that made it knows what a kernel takes of a multiprocessor; PTX does not say.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace grkan::vgpu {

struct CubinKernel {
  std::string name;
  int registers = 0;             // of a thread
  std::size_t shared_bytes = 0;  // of a block, static
  std::size_t local_bytes = 0;   // of a thread: its stack frame, spilled registers included

  bool operator==(const CubinKernel&) const = default;
};

// The kernels of an image that begins as an ELF file; empty where it is no cubin. An image comes
// without its size, as the driver API has it: what its headers say of it is believed.
std::vector<CubinKernel> read_cubin(const void* image);

}  // namespace grkan::vgpu
