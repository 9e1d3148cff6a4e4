// Initialisation and what a device is.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "core/error.h"
#include "virtual_gpu/driver/limits.h"
#include "virtual_gpu/driver/state.h"

namespace grkan::vgpu::driver {
namespace {

constexpr const char* kVariable = "GRKAN_VIRTUAL";
constexpr const char* kDefaultModel = "h200";

// The configuration that `texts` give one after the other; a line on stderr where one is wrong.
std::optional<Configuration> configuration(std::initializer_list<const char*> texts,
                                           const LaunchOptions& options) {
  Configuration result{.models = {}, .options = options};
  for (const char* text : texts) {
    if (text == nullptr) continue;
    try {
      result = parse_configuration(text, std::move(result));
    } catch (const Error& error) {
      std::fprintf(stderr, "grkan virtual GPU: %s \"%s\": %s\n", kVariable, text, error.what());
      return std::nullopt;
    }
  }
  return result;
}

std::optional<int> attribute(const GpuModel& model, int which) {
  const BlockLimits limits = block_limits(model);
  switch (which) {
    case 1:  // MAX_THREADS_PER_BLOCK
    case 2:  // MAX_BLOCK_DIM_X
    case 3:
      return kMostThreads;
    case 4:
      return int(kMostBlockZ);
    case 5:  // MAX_GRID_DIM_X
      return int(kMostGridX);
    case 6:
    case 7:
      return int(kMostGridYZ);
    case 8:  // MAX_SHARED_MEMORY_PER_BLOCK
      return int(kDefaultShared);
    case 9:  // TOTAL_CONSTANT_MEMORY
      return 65536;
    case 10:  // WARP_SIZE
      return 32;
    case 11:  // MAX_PITCH
      return 0x7FFFFFFF;
    case 12:  // MAX_REGISTERS_PER_BLOCK
    case 82:  // MAX_REGISTERS_PER_MULTIPROCESSOR
      return int(model.registers_per_multiprocessor.value);
    case 13:  // CLOCK_RATE in kHz
      return int(model.clock_mhz.value * 1000);
    case 14:  // TEXTURE_ALIGNMENT
    case 30:  // SURFACE_ALIGNMENT
      return 512;
    case 16:  // MULTIPROCESSOR_COUNT
      return int(model.multiprocessors.value);
    case 31:   // CONCURRENT_KERNELS
    case 41:   // UNIFIED_ADDRESSING
    case 78:   // STREAM_PRIORITIES_SUPPORTED
    case 79:   // GLOBAL_L1_CACHE_SUPPORTED
    case 80:   // LOCAL_L1_CACHE_SUPPORTED
    case 90:   // COMPUTE_PREEMPTION_SUPPORTED
    case 115:  // MEMORY_POOLS_SUPPORTED
      return 1;
    case 38:  // L2_CACHE_SIZE
      return int(model.l2_bytes.value);
    case 39:  // MAX_THREADS_PER_MULTIPROCESSOR
      return int(model.threads_per_multiprocessor.value);
    case 51:  // TEXTURE_PITCH_ALIGNMENT
      return 32;
    case 75:  // COMPUTE_CAPABILITY_MAJOR
      return model.compute_capability / 10;
    case 76:
      return model.compute_capability % 10;
    case 81:  // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
      return int(model.shared_bytes_per_multiprocessor.value);
    case 97:  // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
      return int(limits.shared_opt_in);
    case 106:  // MAX_BLOCKS_PER_MULTIPROCESSOR
      return limits.blocks;
    case 111:  // RESERVED_SHARED_MEMORY_PER_BLOCK
      return int(limits.shared_reserved);
    case 134:  // HOST_NUMA_ID
      return -1;
    default:  // what the virtual GPU does not have: textures, host memory, clusters, ...
      if (which < 1 || which > 147) return std::nullopt;
      return 0;
  }
}

}  // namespace

Result cuInit(unsigned flags) {
  if (flags != 0) return Result::invalid_value;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (s.initialised) return Result::success;
  auto wanted = configuration({std::getenv(kVariable), s.program_text.c_str()}, {});
  if (!wanted) return Result::invalid_value;
  if (wanted->models.empty()) wanted->models = {&gpu_model(kDefaultModel)};
  s.options = wanted->options;
  add_devices(wanted->models);
  s.initialised = true;
  return Result::success;
}

int grkan_virtual_configure(const char* text) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto wanted = configuration({text}, s.options);
  if (!wanted || text == nullptr) return int(Result::invalid_value);
  if (!s.initialised) {
    s.program_text = text;
    return 0;
  }
  s.options = wanted->options;
  add_devices(wanted->models);
  return 0;
}

int grkan_virtual_device(const char* name) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (name == nullptr || !s.initialised) return -1;
  try {
    const GpuModel* model = &gpu_model(name);
    add_devices({model});
    const auto found =
        std::ranges::find_if(s.devices, [&](const auto& device) { return device->model == model; });
    return (*found)->ordinal;
  } catch (const Error& error) {
    std::fprintf(stderr, "grkan virtual GPU: %s\n", error.what());
    return -1;
  }
}

Result cuDeviceGetCount(int* count) {
  return guarded([&] {
    if (count == nullptr) return Result::invalid_value;
    *count = int(state().devices.size());
    return Result::success;
  });
}

Result cuDeviceGet(Device* device, int ordinal) {
  return with_device(ordinal, [&](DeviceState& found) {
    if (device == nullptr) return Result::invalid_value;
    *device = found.ordinal;
    return Result::success;
  });
}

Result cuDeviceGetName(char* name, int size, Device device) {
  return with_device(device, [&](DeviceState& found) {
    if (name == nullptr || size <= 0) return Result::invalid_value;
    const std::string text = std::string(found.model->marketing) + " (virtual GPU)";
    const std::size_t length = std::min(text.size(), std::size_t(size) - 1);
    std::memcpy(name, text.data(), length);
    name[length] = '\0';
    return Result::success;
  });
}

// Of the device's number and model alone, so that a program finds it again.
Result cuDeviceGetUuid(Uuid* uuid, Device device) {
  return with_device(device, [&](DeviceState& found) {
    if (uuid == nullptr) return Result::invalid_value;
    *uuid = {{'g', 'r', 'k', 'a', 'n', char(found.ordinal)}};
    const std::size_t room = sizeof uuid->bytes - 6;
    std::memcpy(uuid->bytes + 6, found.model->name.data(),
                std::min(room, found.model->name.size()));
    return Result::success;
  });
}

Result cuDeviceGetUuid_v2(Uuid* uuid, Device device) { return cuDeviceGetUuid(uuid, device); }

Result cuDeviceGetAttribute(int* value, int which, Device device) {
  return with_device(device, [&](DeviceState& found) {
    const std::optional<int> known = attribute(*found.model, which);
    if (value == nullptr || !known) return Result::invalid_value;
    *value = *known;
    return Result::success;
  });
}

Result cuDeviceTotalMem_v2(std::size_t* bytes, Device device) {
  return with_device(device, [&](DeviceState& found) {
    if (bytes == nullptr) return Result::invalid_value;
    *bytes = found.memory->capacity();
    return Result::success;
  });
}

Result cuDeviceCanAccessPeer(int* can, Device device, Device peer) {
  return with_device(device, [&](DeviceState&) {
    if (find_device(peer) == nullptr) return Result::invalid_device;
    if (can == nullptr) return Result::invalid_value;
    *can = 0;  // a kernel reaches its own device's memory alone
    return Result::success;
  });
}

}  // namespace grkan::vgpu::driver
