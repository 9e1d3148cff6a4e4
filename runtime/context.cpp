#include "runtime/context.h"

#include "cache/files.h"
#include "core/error.h"
#include "core/gpu_models.h"
#include "cpu/device.h"
#include "cuda/device.h"
#include "runtime/beside.h"
#include "runtime/generator.h"

namespace grkan {

Context::Context(ContextOptions options)
    : options_(resolve(std::move(options))),
      made_(utc_now()),
      log_(options_.log_level.value_or(LogLevel::warn), options_.log),
      pool_(options_.threads, options_.parallel_for),
      compiler_(options_.compiler),
      cache_({.folder = options_.cache_dir,
              .prebuilt = prebuilt_folders(),
              .warn = [this](const std::string& line) { log_(LogLevel::warn, "{}", line); }}),
      binaries_(cache_, compiler_, log_,
                {.generator = kGeneratorId, .cpu_compiler = kCpuCompiler}) {}

Context::~Context() = default;

std::unique_ptr<Device> Context::make_device(std::string_view name, DeviceKind kind) {
  const Allocator& allocator = options_.allocator;
  switch (kind) {
    case DeviceKind::cpu:
      return make_cpu_device(pool_, allocator, options_.cpu_target);
    case DeviceKind::cuda:
      return make_cuda_device(name, options_.cuda_driver, allocator);
    case DeviceKind::virtual_gpu:
      return make_cuda_device(name, virtual_driver_path(), allocator);
  }
  fail(Status::internal, "device {} is of no kind", name);
}

Device& Context::device(std::string_view name) {
  const DeviceKind kind = device_kind(name);
  const std::lock_guard lock(device_mutex_);
  const auto known = devices_.find(name);
  if (known != devices_.end()) return *known->second;
  return *devices_.emplace(std::string(name), make_device(name, kind)).first->second;
}

std::vector<DeviceInfo> Context::devices() {
  std::vector<DeviceInfo> found = {device("cpu").info()};
  const int count = cuda_devices(options_.cuda_driver).count;
  for (int i = 0; i < count; ++i) found.push_back(device(fmt::format("cuda:{}", i)).info());
  return found;
}

std::string Context::why_no_cuda() const { return cuda_devices(options_.cuda_driver).why; }

TuneSite Context::tune_site(Device& device) {
  return {.device = device,
          .cache = cache_,
          .binaries = binaries_,
          .log = log_,
          .determinism = options_.determinism,
          .memory = options_.tune_memory,
          .unmeasured_date = options_.unmeasured_date};
}

std::shared_ptr<const Kernel> Context::kernel(Device& device, const Task& task,
                                              const Schedule& schedule, std::string_view hint) {
  const std::string name =
      fmt::format("{} {} {}", device.info().name, to_string(task), to_string(schedule));
  const std::lock_guard lock(kernel_mutex_);
  if (const auto known = kernels_.find(name); known != kernels_.end()) return known->second;
  std::shared_ptr<const Kernel> made =
      device.target().name.empty()
          ? device.portable(task)
          : device.load(task, schedule, [&](const Schedule& wanted) {
              const bool main = wanted == schedule;  // the hint names this one
              return binaries_.get(task, wanted, device.target(), main ? hint : std::string_view());
            });
  return kernels_.emplace(name, std::move(made)).first->second;
}

}  // namespace grkan
