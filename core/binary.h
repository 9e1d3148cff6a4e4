// Binary: what a compiler made of a source, as plain bytes; and what it said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/schedule.h"
#include "core/target.h"
#include "core/task.h"

namespace grkan {

// What one kernel takes of a device, as its compiler says. Absent: it doesn't (LLVM tells no
// spills).
struct KernelResources {
  std::string symbol;
  std::optional<int> registers;
  std::optional<int> spill_bytes;  // stores and loads together
  std::optional<int> shared_bytes;
  std::optional<int> code_bytes;
  bool operator==(const KernelResources&) const = default;
};

struct Binary {
  Task task;
  std::string compiled_schedule;  // compiled_text() of the schedule
  Target target;
  std::string compiler;     // name, version and build, e.g. "nvrtc 13.0.88" or "llvm 22.1.8"
  std::string source_hash;  // of the source text and the options
  std::string code;         // CPU: a relocatable ELF object. CUDA: the cubin
  std::string ptx;          // CUDA only
  // The main kernel first, then the second pass where there is one.
  std::vector<KernelResources> kernels;

  bool operator==(const Binary&) const = default;
};

// Bytes of a file or a message. parse_binary throws io_error on anything that serialize did not
// write (truncated, other format), and on a binary for a GPU without kernels.
std::string serialize(const Binary& binary);
Binary parse_binary(std::string_view bytes);

}  // namespace grkan
