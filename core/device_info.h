// DeviceInfo: what a device is, as far as a winner depends on it. A plain value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/gpu_models.h"
#include "core/target.h"

namespace grkan {

struct DeviceInfo {
  std::string name;         // as a user names it: "cpu", "cuda:0", "virtual:h200"
  std::string model;        // "AMD EPYC 7B13", "NVIDIA H100 80GB HBM3"
  std::string features;     // CPU: what the target's name does not say; may be empty
  Target target;            // empty name: a CPU below x86-64-v3, which runs the portable kernels
  int units = 0;            // CPU: threads that a call may use; GPU: multiprocessors
  std::int64_t memory = 0;  // bytes; 0: unknown
  std::int64_t cache = 0;   // bytes of the last-level cache (GPU: L2); 0: unknown
  std::string driver;       // GPU: the driver's CUDA version, "13.0"
  bool is_virtual = false;  // a GPU executed on the CPU: it counts, and what it times is no GPU's

  bool operator==(const DeviceInfo&) const = default;
  [[nodiscard]] bool cpu() const { return name == "cpu"; }
};

// The kind of device that `name` names; throws invalid_argument on anything but "cpu", "cuda:N" and
// "virtual:MODEL".
enum class DeviceKind : std::uint8_t { cpu, cuda, virtual_gpu };
DeviceKind device_kind(std::string_view name);

// This machine's CPU, of which a call may use that many threads (0: all this process may run on).
DeviceInfo describe_cpu(int threads = 0);
// A GPU that is such a model, as its driver would tell of it.
DeviceInfo describe_gpu(const GpuModel& model);

// The number of processors this process may run on.
int available_processors();

// Bytes that this process can use without swapping: what the system has, page cache included, and
// what its control group (v2) leaves, whichever is less.
std::size_t available_memory();

}  // namespace grkan
