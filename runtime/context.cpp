#include "runtime/context.h"

#include <cstdio>

#include "cache/files.h"
#include "core/error.h"
#include "core/print.h"
#include "runtime/cpu_device.h"
#include "runtime/cuda_device.h"
#include "runtime/generator.h"

namespace grkan {
namespace {

// Stands in a key for the compiler where none can be asked: a machine with a cache of cubins and
// nothing to compile with. Whatever is compiled for a GPU is stored under it too.
constexpr std::string_view kAnyCompiler = "any";

// Of "nvrtc 13.0.88 /path": the place is no part of a key.
std::string name_and_version(const std::string& compiler) {
  const std::size_t name = compiler.find(' ');
  return name == std::string::npos ? compiler : compiler.substr(0, compiler.find(' ', name + 1));
}

}  // namespace

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

Context::Context(ContextOptions options)
    : options_(resolve(std::move(options))),
      made_(utc_now()),
      pool_(options_.threads, options_.parallel_for),
      compiler_(options_.compiler),
      cache_({.folder = options_.cache_dir,
              .warn = [this](const std::string& line) { log(LogLevel::warn, "{}", line); }}) {}

Context::~Context() = default;

void Context::write(LogLevel level, const std::string& message) {
  if (options_.log.write != nullptr) {
    options_.log.write(options_.log.user, std::int32_t(level) + 1, message.c_str());
  } else {
    print_to(stderr, "grkan: {}: {}\n", to_string(level), message);
  }
}

Device& Context::device(std::string_view name) {
  const DeviceKind kind = device_kind(name);
  const std::lock_guard lock(device_mutex_);
  const auto known = devices_.find(name);
  if (known != devices_.end()) return *known->second;
  std::unique_ptr<Device> made =
      kind == DeviceKind::cpu ? make_cpu_device(pool_, options_) : make_cuda_device(name, options_);
  return *devices_.emplace(std::string(name), std::move(made)).first->second;
}

std::vector<DeviceInfo> Context::devices() {
  std::vector<DeviceInfo> found = {device("cpu").info()};
  const int count = cuda_devices(options_).count;
  for (int i = 0; i < count; ++i) found.push_back(device(fmt::format("cuda:{}", i)).info());
  return found;
}

std::string Context::why_no_cuda() const { return cuda_devices(options_).why; }

std::string Context::key_text(const Task& task, const Schedule& schedule, const Target& target,
                              std::string_view compiler) const {
  return to_text(BinaryKey{.task = task,
                           .compiled_schedule = compiled_text(schedule),
                           .target = target,
                           .compiler = std::string(compiler),
                           .generator = kGeneratorId,
                           .source_hash = {}});
}

std::string Context::compiler_of(const Target& target) {
  if (!target.cuda()) return kCpuCompiler;
  try {
    return name_and_version(compiler_.describe(target));
  } catch (const Error& error) {
    log(LogLevel::debug, "no compiler for {}: {}", target.name, error.what());
    return std::string(kAnyCompiler);
  }
}

// A payload as the binary it should be, or nothing.
std::optional<Binary> Context::load(const std::string& payload, const Task& task,
                                    const Schedule& schedule, const Target& target) {
  try {
    Binary binary = parse_binary(payload);
    if (binary.task == task && binary.compiled_schedule == compiled_text(schedule) &&
        binary.target == target) {
      return binary;
    }
    log(LogLevel::warn, "a cached binary is of another task than its key; it is not used");
  } catch (const Error& error) {
    log(LogLevel::warn, "a cached binary is damaged: {}; it is not used", error.what());
  }
  return std::nullopt;
}

std::optional<Binary> Context::cached_binary(const Task& task, const Schedule& schedule,
                                             const Target& target, std::string_view hint) {
  // A GPU's winner names its binary, so that the compiler need not be asked for its version.
  if (target.cuda() && !hint.empty()) {
    const auto file = cache_.load_binary_by_hash(hint);
    const std::string generator = fmt::format("\"{}\"", kGeneratorId);
    if (file && file->key.find(generator) != std::string::npos) {
      if (auto binary = load(file->payload, task, schedule, target)) return binary;
    }
  }
  const std::string key = key_text(task, schedule, target, compiler_of(target));
  const auto payload = cache_.load_binary(key);
  return payload ? load(*payload, task, schedule, target) : std::nullopt;
}

std::string Context::binary_hash(const Task& task, const Schedule& schedule, const Target& target,
                                 std::string_view compiler) {
  const std::string name =
      compiler.empty() ? compiler_of(target) : name_and_version(std::string(compiler));
  return content_hash(key_text(task, schedule, target, name));
}

Binary Context::binary(const Task& task, const Schedule& schedule, const Target& target,
                       std::string_view hint) {
  const std::lock_guard lock(binary_mutex_);
  const std::string name = key_text(task, schedule, target, "");
  if (const auto known = binaries_.find(name); known != binaries_.end()) return known->second;
  std::optional<Binary> binary = cached_binary(task, schedule, target, hint);
  if (!binary) {
    log(LogLevel::info, "compiling {} {} for {}", to_string(task), to_string(schedule),
        target.name);
    binary = compiler_.compile(task, schedule, target);
    const std::string payload = serialize(*binary);
    cache_.store_binary(key_text(task, schedule, target, compiler_of(target)), payload);
    if (target.cuda()) {
      cache_.store_binary(key_text(task, schedule, target, kAnyCompiler), payload);
    }
  }
  return binaries_.emplace(name, std::move(*binary)).first->second;
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
              return binary(task, wanted, device.target(), main ? hint : std::string_view());
            });
  return kernels_.emplace(name, std::move(made)).first->second;
}

}  // namespace grkan
