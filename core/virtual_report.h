// What a virtual GPU counted and found in its launches (docs/virtual-gpu.md).
#pragma once

#include <nlohmann/json.hpp>

#include "core/device.h"

namespace grkan {

// The launches of a device since the last call; null on a device that does not count.
nlohmann::ordered_json take_launches(Device& device);

// What the checks found in these launches, a trap included.
nlohmann::ordered_json findings_of(const nlohmann::ordered_json& launches);

}  // namespace grkan
