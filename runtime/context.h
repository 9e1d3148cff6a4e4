// Context: what plans share: devices, threads, loaded kernels, the cache, the compiler. It owns
// everything it made; two contexts do not disturb each other.
#pragma once

#include <fmt/format.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/cache.h"
#include "runtime/compiler_client.h"
#include "runtime/kernel.h"
#include "runtime/options.h"
#include "runtime/thread_pool.h"

namespace grkan {

// A device as the cache describes it.
DeviceDescription describe(const DeviceInfo& device);

class Context {
 public:
  explicit Context(ContextOptions options = {});
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] const ContextOptions& options() const { return options_; }
  // When it was made, as winners are dated.
  [[nodiscard]] const std::string& made() const { return made_; }
  ThreadPool& pool() { return pool_; }
  CompilerClient& compiler() { return compiler_; }
  Cache& cache() { return cache_; }

  // "cpu", "cuda:0", "virtual:h200". Opened on first use, kept. Throws no_device, naming what was
  // looked for and where.
  Device& device(std::string_view name);
  // The CPU, and every CUDA device there is (none where there is no driver).
  std::vector<DeviceInfo> devices();
  // Why there is no CUDA device; "" where there is one.
  [[nodiscard]] std::string why_no_cuda() const;

  // The binary of a task's schedule: from the cache, else compiled and stored. `hint`: the key hash
  // that a winner names, or "". Throws no_compiler where it must be compiled and can't be.
  Binary binary(const Task& task, const Schedule& schedule, const Target& target,
                std::string_view hint = {});
  // The same without compiling: nothing where it is not in the cache.
  std::optional<Binary> cached_binary(const Task& task, const Schedule& schedule,
                                      const Target& target, std::string_view hint = {});
  // The hash of the key under which a schedule's binary lies in the cache. `compiler`: as its
  // describe() names it; "": the one here, which may load the compiler library to ask.
  std::string binary_hash(const Task& task, const Schedule& schedule, const Target& target,
                          std::string_view compiler = {});
  // The kernel of a schedule on a device, loaded once for the context's life.
  std::shared_ptr<const Kernel> kernel(Device& device, const Task& task, const Schedule& schedule,
                                       std::string_view hint = {});

  template <class... Args>
  void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
    if (level <= options_.log_level.value_or(LogLevel::warn))
      write(level, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  void write(LogLevel level, const std::string& message);
  std::string key_text(const Task& task, const Schedule& schedule, const Target& target,
                       std::string_view compiler) const;
  // The compiler's name and version as keys have it; "any" where none can be asked.
  std::string compiler_of(const Target& target);
  std::optional<Binary> load(const std::string& payload, const Task& task, const Schedule& schedule,
                             const Target& target);

  ContextOptions options_;
  std::string made_;
  ThreadPool pool_;
  CompilerClient compiler_;
  Cache cache_;
  std::mutex device_mutex_;
  std::map<std::string, std::unique_ptr<Device>, std::less<>> devices_;
  std::mutex binary_mutex_;  // also held while compiling: nothing is compiled twice
  std::map<std::string, Binary, std::less<>> binaries_;  // by key text
  std::mutex kernel_mutex_;
  std::map<std::string, std::shared_ptr<const Kernel>, std::less<>>
      kernels_;  // by device, task and schedule
};

}  // namespace grkan
