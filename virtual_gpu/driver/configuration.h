// The text of the environment variable GRKAN_VIRTUAL: comma-separated key=value, e.g.
// "model=h200+t4,checks=out_of_bounds+misaligned,seed=7,ulps=2,threads=1".
#pragma once

#include <string_view>
#include <vector>

#include "core/gpu_models.h"
#include "virtual_gpu/machine/launch.h"

namespace grkan::vgpu {

struct Configuration {
  std::vector<const GpuModel*> models;  // one for each device; empty: the text has none
  LaunchOptions options;
};

// What `text` names replaces what `from` has. Throws invalid_argument saying what was expected.
Configuration parse_configuration(std::string_view text, Configuration from = {});

}  // namespace grkan::vgpu
