// Context: what plans share: devices, threads, loaded kernels, the cache, the compiler. It owns
// everything it made; two contexts do not disturb each other.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cache/binaries.h"
#include "cache/cache.h"
#include "core/device.h"
#include "core/log.h"
#include "cpu/thread_pool.h"
#include "runtime/compiler_client.h"
#include "runtime/options.h"
#include "tuner/tune.h"

namespace grkan {

class Context {
 public:
  explicit Context(ContextOptions options = {});
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] const ContextOptions& options() const { return options_; }
  // When it was made, as winners are dated.
  [[nodiscard]] const std::string& made() const { return made_; }
  [[nodiscard]] const Log& log() const { return log_; }
  Compiler& compiler() { return compiler_; }
  Cache& cache() { return cache_; }
  Binaries& binaries() { return binaries_; }
  // What a tuning on one of its devices works with.
  TuneSite tune_site(Device& device);

  // "cpu", "cuda:0", "virtual:h200". Opened on first use, kept. Throws no_device, naming what was
  // looked for and where.
  Device& device(std::string_view name);
  // The CPU, and every CUDA device there is (none where there is no driver).
  std::vector<DeviceInfo> devices();
  // Why there is no CUDA device; "" where there is one.
  [[nodiscard]] std::string why_no_cuda() const;

  // The kernel of a schedule on a device, loaded once for the context's life.
  std::shared_ptr<const Kernel> kernel(Device& device, const Task& task, const Schedule& schedule,
                                       std::string_view hint = {});

 private:
  std::unique_ptr<Device> make_device(std::string_view name, DeviceKind kind);

  ContextOptions options_;
  std::string made_;
  Log log_;
  ThreadPool pool_;
  CompilerClient compiler_;
  Cache cache_;
  Binaries binaries_;
  std::mutex device_mutex_;
  std::map<std::string, std::unique_ptr<Device>, std::less<>> devices_;
  std::mutex kernel_mutex_;
  std::map<std::string, std::shared_ptr<const Kernel>, std::less<>>
      kernels_;  // by device, task and schedule
};

}  // namespace grkan
