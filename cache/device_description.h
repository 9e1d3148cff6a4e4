// DeviceDescription: what winners and measurements keep of the device they were found on.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/device_info.h"

namespace grkan {

// The figures that decide whether a winner was found on "this device".
struct DeviceDescription {
  std::string kind;               // "cpu" or "cuda" (a virtual GPU describes the GPU it stands for)
  std::string architecture;       // the target's name: "x86-64-v4", "sm_90"
  std::string name;               // model, as the device or the data file tells it
  std::string features;           // CPU: what the target's name does not say; may be empty
  std::int64_t units = 0;         // CUDA: multiprocessors; CPU: threads
  std::int64_t memory_bytes = 0;  // 0: unknown
  std::int64_t cache_bytes = 0;   // L2 or last-level; 0: unknown

  bool operator==(const DeviceDescription&) const = default;
};

// CPU: model, features, threads and architecture are equal. CUDA: architecture and multiprocessors
// are equal, and memory within 10 %.
bool same_device(const DeviceDescription& a, const DeviceDescription& b);

// A device as the cache describes it.
DeviceDescription describe(const DeviceInfo& device);

// As winners and measurements hold it.
nlohmann::ordered_json device_json(const DeviceDescription& device);

// The same back, of a line that anyone may have written: what is missing or of another type stays
// empty or 0.
DeviceDescription device_of_json(const nlohmann::json& json);

}  // namespace grkan
