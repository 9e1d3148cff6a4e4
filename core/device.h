// Kernel: a schedule of a task, built and loaded on a device, ready to run; and Device, which loads
// them and owns the memory they run on. The CPU and CUDA each have one of both.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "core/binary.h"
#include "core/call.h"
#include "core/device_info.h"
#include "core/memory_bound.h"
#include "core/task.h"

namespace grkan {

// What a call may use beside its tensors: memory of any contents, 64-byte aligned, on the kernel's
// device; and, on a GPU, the stream (a CUstream) that everything is queued in and the number of
// multiprocessors that the grid is made for (0: all of the device).
struct Workspace {
  void* data = nullptr;
  std::size_t size = 0;
  void* stream = nullptr;
  int multiprocessors = 0;
  int threads = 0;  // of a CPU, at the most; 0: all of the context's
};

class Kernel {
 public:
  Kernel(const Task& task, const Schedule& schedule) : task_(task), schedule_(schedule) {}
  virtual ~Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  [[nodiscard]] const Task& task() const { return task_; }
  [[nodiscard]] const Schedule& schedule() const { return schedule_; }

  // Bytes of workspace that a call of this size needs; both are positive.
  [[nodiscard]] virtual std::size_t workspace_size(std::int64_t rows, std::int64_t inner) const = 0;
  // Makes what calls of up to this size need beside their memory: threads.
  virtual void get_ready(std::int64_t /*rows*/, std::int64_t /*inner*/) const {}
  // Runs (GPU: queues) a call that CallCheck has accepted, of positive rows and inner. Allocates,
  // loads and reads nothing.
  virtual void run(const Call& call, const Workspace& workspace) const = 0;

 private:
  Task task_;
  Schedule schedule_;
};

// Memory of a device, freed with its owner.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 protected:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

// The caller's memory for tuning, as in grkan.h; without functions a device takes its own.
struct Allocator {
  void* (*alloc)(void* user, const char* device, std::size_t bytes) = nullptr;
  void (*free)(void* user, const char* device, void* memory) = nullptr;
  void* user = nullptr;
};

// Measures the time between two points of a device's work.
class Timer {
 public:
  virtual ~Timer() = default;
  virtual void start() = 0;
  virtual double stop() = 0;  // seconds since start; waits for the work
};

// Gives the binary of a schedule: from the cache, or compiled.
using BinarySource = std::function<Binary(const Schedule&)>;

class Device {
 public:
  virtual ~Device() = default;

  [[nodiscard]] const DeviceInfo& info() const { return info_; }
  [[nodiscard]] const Target& target() const { return info_.target; }

  // Loads a schedule's kernel, and whatever other kernel it needs beside it.
  virtual std::shared_ptr<const Kernel> load(const Task& task, const Schedule& schedule,
                                             const BinarySource& source) = 0;
  // The kernel of a device whose target() has no name: it needs no compiler and has one schedule.
  virtual std::shared_ptr<const Kernel> portable(const Task& task) = 0;
  [[nodiscard]] WorkspaceBound workspace_bound(const Task& task) const {
    return backend_of(target()).workspace_bound(task, target(), info_.units);
  }
  // Sets bytes to zero, in stream order.
  virtual void clear(void* memory, std::size_t bytes, void* stream) = 0;

  // Memory for checking and tuning; throws out_of_memory. Copies are synchronous.
  virtual std::unique_ptr<DeviceMemory> allocate(std::size_t bytes) = 0;
  virtual void upload(void* device, const void* host, std::size_t bytes) = 0;
  virtual void download(void* host, const void* device, std::size_t bytes) = 0;
  virtual std::unique_ptr<Timer> timer() = 0;
  // The memory bounds that apply to a task here; the fastest of them is the bound.
  [[nodiscard]] virtual std::vector<BoundKind> bound_kinds(const Task& task) const = 0;
  // Moves the bytes of one call of the task, as one of these kinds; a GPU queues it.
  virtual void run_bound(BoundKind kind, const Task& task, const BoundBuffers& buffers) = 0;
  // Of a virtual GPU: what was launched on it since the last call (docs/virtual-gpu.md), which is
  // then forgotten, with a fault that a launch left. Empty on devices that do not count.
  virtual std::string take_virtual_report() { return {}; }
  [[nodiscard]] virtual std::size_t free_memory() const = 0;

 protected:
  explicit Device(DeviceInfo info) : info_(std::move(info)) {}
  DeviceInfo info_;
};

// Why nothing is timed on a virtual GPU.
std::string why_not_timed(const DeviceInfo& device);

// What is left of a backward call without elements: da and db become zero unless they accumulate.
void clear_gradients(Device& device, const Task& task, const Call& call, void* stream);

}  // namespace grkan
