// Target: what a kernel is compiled for. CPUs by level or LLVM's processor name, GPUs by sm_XX.
#pragma once

#include <string>
#include <string_view>

namespace grkan {

struct Target {
  std::string name;  // "x86-64-v3", "x86-64-v4", "znver4", "aarch64", or "sm_90", "sm_100a"

  bool operator==(const Target&) const = default;

  [[nodiscard]] bool cuda() const { return name.starts_with("sm_"); }
  // 90 for sm_90 and sm_90a, 100 for sm_100f; 0 for a CPU.
  [[nodiscard]] int compute_capability() const;
  // Bits of a vector register of a CPU target: 128, 256 or 512.
  [[nodiscard]] int vector_bits() const;
};

// Throws invalid_argument unless the name is a known CPU target or has the form of a GPU's.
Target parse_target(std::string_view text);

// The best CPU target this processor runs, or "" where it is below x86-64-v3 (the portable kernels
// serve it then).
Target host_target();

}  // namespace grkan
