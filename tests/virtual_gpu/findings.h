// Findings of the virtual GPU as text, for tests.
#pragma once

#include <string>
#include <vector>

#include "virtual_gpu/checks/finding.h"

namespace grkan {

inline std::string describe(const std::vector<vgpu::Finding>& findings) {
  std::string text;
  for (const vgpu::Finding& f : findings) {
    text += std::string(to_string(f.check)) + ", line " + std::to_string(f.line) + " '" +
            f.instruction + "': " + f.detail + ", " + std::to_string(f.times) + " times\n";
  }
  return text;
}

}  // namespace grkan
