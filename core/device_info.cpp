#include "core/device_info.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "core/error.h"

namespace grkan {
namespace {

// The processor's own name for itself.
std::string cpu_model() {
#if defined(__x86_64__)
  std::array<unsigned, 12> words{};
  for (unsigned i = 0; i < 3; ++i) {
    unsigned* w = words.data() + std::size_t{4} * i;
    if (__get_cpuid(0x80000002U + i, w, w + 1, w + 2, w + 3) == 0) return "x86-64";
  }
  std::array<char, sizeof(words) + 1> text{};
  std::memcpy(text.data(), words.data(), sizeof(words));
  std::string model(text.data());
  const auto space = [](char c) { return c == ' '; };
  model.erase(model.begin(), std::find_if_not(model.begin(), model.end(), space));
  while (!model.empty() && space(model.back())) model.pop_back();
  return model;
#elif defined(__aarch64__)
  return "aarch64";
#else
  return "cpu";
#endif
}

// glibc asks the processor; 0 where it does not tell.
std::int64_t last_level_cache() {
  for (const int level : {_SC_LEVEL3_CACHE_SIZE, _SC_LEVEL2_CACHE_SIZE}) {
    if (const long bytes = sysconf(level); bytes > 0) return bytes;
  }
  return 0;
}

bool has_text_after(std::string_view name, std::string_view prefix) {
  return name.starts_with(prefix) && name.size() > prefix.size();
}

}  // namespace

DeviceKind device_kind(std::string_view name) {
  if (name == "cpu") return DeviceKind::cpu;
  if (has_text_after(name, "virtual:")) return DeviceKind::virtual_gpu;
  if (has_text_after(name, "cuda:") && name.size() <= 8 &&
      name.find_first_not_of("0123456789", 5) == std::string_view::npos) {
    return DeviceKind::cuda;
  }
  fail_field("device",
             "unknown device '{}'; use cpu, cuda:0 (or another number), or virtual:h200 (or "
             "another GPU model)",
             name);
}

int available_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  // Fails on machines of more than 1024 processors.
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return int(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

std::size_t available_memory() {
  auto bytes = std::size_t(sysconf(_SC_AVPHYS_PAGES)) * std::size_t(sysconf(_SC_PAGESIZE));
  std::ifstream system("/proc/meminfo");
  for (std::string line; std::getline(system, line);) {
    constexpr std::string_view kKey = "MemAvailable:";
    if (line.starts_with(kKey))
      bytes = std::strtoull(line.c_str() + kKey.size(), nullptr, 10) << 10;
  }
  // "max" or no file: no limit.
  const auto number = [](const char* path) {
    std::size_t value = 0;
    return std::ifstream(path) >> value ? value : SIZE_MAX;
  };
  const std::size_t limit = number("/sys/fs/cgroup/memory.max");
  const std::size_t used = number("/sys/fs/cgroup/memory.current");
  if (limit != SIZE_MAX && used != SIZE_MAX) bytes = std::min(bytes, limit - std::min(limit, used));
  return bytes;
}

DeviceInfo describe_cpu(int threads) {
  DeviceInfo info;
  info.name = "cpu";
  info.model = cpu_model();
  info.target = host_target();
  info.units = threads > 0 ? threads : available_processors();
  info.memory = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  info.cache = last_level_cache();
  return info;
}

DeviceInfo describe_gpu(const GpuModel& model) {
  DeviceInfo info;
  info.name = "cuda:0";
  info.model = model.marketing;
  info.target = {fmt::format("sm_{}", model.compute_capability)};
  info.units = int(model.multiprocessors.value);
  info.memory = std::int64_t(model.memory_bytes.value);
  return info;
}

}  // namespace grkan
