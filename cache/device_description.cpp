#include "cache/device_description.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace grkan {

bool same_device(const DeviceDescription& a, const DeviceDescription& b) {
  if (a.kind != b.kind || a.architecture != b.architecture || a.units != b.units) return false;
  if (a.kind == "cpu") return a.name == b.name && a.features == b.features;
  const auto [small, large] = std::minmax(a.memory_bytes, b.memory_bytes);
  return double(small) >= 0.9 * double(large);
}

DeviceDescription describe(const DeviceInfo& device) {
  DeviceDescription d;
  d.kind = device_kind(device.name) == DeviceKind::cpu ? "cpu" : "cuda";
  d.architecture = device.target.name;
  d.name = device.model;
  d.features = device.features;
  d.units = device.units;
  d.memory_bytes = device.memory;
  d.cache_bytes = device.cache;
  return d;
}

nlohmann::ordered_json device_json(const DeviceDescription& d) {
  return {{"kind", d.kind},
          {"architecture", d.architecture},
          {"name", d.name},
          {"features", d.features},
          {"units", d.units},
          {"memory_bytes", d.memory_bytes},
          {"cache_bytes", d.cache_bytes}};
}

DeviceDescription device_of_json(const nlohmann::json& json) {
  const auto text = [&](const char* key) {
    const auto at = json.find(key);
    return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  const auto integer = [&](const char* key) {
    const auto at = json.find(key);
    return at != json.end() && at->is_number_integer() ? at->get<std::int64_t>() : 0;
  };
  return {.kind = text("kind"),
          .architecture = text("architecture"),
          .name = text("name"),
          .features = text("features"),
          .units = integer("units"),
          .memory_bytes = integer("memory_bytes"),
          .cache_bytes = integer("cache_bytes")};
}

}  // namespace grkan
