#include "cpu/device.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "core/error.h"
#include "cpu/executor.h"
#include "cpu/loader.h"
#include "cpu/memory_bound.h"
#include "cpu/portable_kernel.h"

namespace grkan {
namespace {

// What a portable kernel's slice takes from the thread pool; it is never tuned.
constexpr int kPortableSliceRows = 256;

class CpuDeviceKernel final : public Kernel {
 public:
  // No module: the portable kernel.
  CpuDeviceKernel(const Task& task, const CpuSchedule& schedule, std::optional<CpuModule> module,
                  ThreadPool& pool)
      : Kernel(task, schedule),
        module_(std::move(module)),
        executor_(task, schedule,
                  module_ ? module_->entry(kernel_symbol(task, compiled_text(schedule))) : nullptr,
                  pool) {}

  [[nodiscard]] std::size_t workspace_size(std::int64_t rows, std::int64_t inner) const override {
    return executor_.workspace_size(rows, inner);
  }
  void get_ready(std::int64_t rows, std::int64_t inner) const override {
    executor_.get_ready(rows, inner);
  }
  void run(const Call& call, const Workspace& workspace) const override {
    executor_.run(call, workspace.data, workspace.threads);
  }

 private:
  std::optional<CpuModule> module_;
  CpuExecutor executor_;
};

class CpuMemory final : public DeviceMemory {
 public:
  CpuMemory(const Allocator& allocator, std::size_t bytes) : allocator_(allocator) {
    constexpr std::size_t kAlignment = 256;
    const std::size_t rounded = (bytes / kAlignment + 1) * kAlignment;
    data_ = allocator.alloc != nullptr ? allocator.alloc(allocator.user, "cpu", rounded)
                                       : std::aligned_alloc(kAlignment, rounded);
    if (data_ == nullptr) {
      fail(Status::out_of_memory, "{} bytes of memory were refused; use fewer rows", rounded);
    }
    size_ = bytes;
  }
  ~CpuMemory() override {
    if (allocator_.free != nullptr) {
      allocator_.free(allocator_.user, "cpu", data_);
    } else {
      std::free(data_);
    }
  }
  CpuMemory(const CpuMemory&) = delete;
  CpuMemory& operator=(const CpuMemory&) = delete;

 private:
  Allocator allocator_;
};

class CpuTimer final : public Timer {
 public:
  void start() override { start_ = Clock::now(); }
  double stop() override { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_;
};

class CpuDevice final : public Device {
 public:
  CpuDevice(ThreadPool& pool, const Allocator& allocator, const std::optional<Target>& target)
      : Device(describe_cpu(pool.threads())), pool_(pool), allocator_(allocator) {
    if (target) info_.target = *target;
  }

  std::shared_ptr<const Kernel> load(const Task& task, const Schedule& schedule,
                                     const BinarySource& source) override {
    return std::make_shared<CpuDeviceKernel>(task, CpuSchedule(schedule),
                                             CpuModule(source(schedule).code), pool_);
  }
  std::shared_ptr<const Kernel> portable(const Task& task) override {
    return std::make_shared<CpuDeviceKernel>(task, portable_schedule(task, kPortableSliceRows),
                                             std::nullopt, pool_);
  }
  void clear(void* memory, std::size_t bytes, void* /*stream*/) override {
    std::memset(memory, 0, bytes);
  }
  std::unique_ptr<DeviceMemory> allocate(std::size_t bytes) override {
    return std::make_unique<CpuMemory>(allocator_, bytes);
  }
  void upload(void* device, const void* host, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(device, host, bytes);
  }
  void download(void* host, const void* device, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(host, device, bytes);
  }
  std::unique_ptr<Timer> timer() override { return std::make_unique<CpuTimer>(); }
  [[nodiscard]] std::vector<BoundKind> bound_kinds(const Task& task) const override {
    return cpu_bound_kinds(task);
  }
  void run_bound(BoundKind kind, const Task& task, const BoundBuffers& buffers) override {
    run_cpu_bound(kind, task, buffers, pool_);
  }
  [[nodiscard]] std::size_t free_memory() const override { return available_memory(); }

 private:
  ThreadPool& pool_;
  Allocator allocator_;
};

}  // namespace

std::unique_ptr<Device> make_cpu_device(ThreadPool& pool, const Allocator& allocator,
                                        const std::optional<Target>& target) {
  return std::make_unique<CpuDevice>(pool, allocator, target);
}

}  // namespace grkan
