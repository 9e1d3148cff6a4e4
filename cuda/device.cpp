#include "cuda/device.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "core/error.h"
#include "core/gpu_models.h"
#include "cuda/driver.h"
#include "cuda/launch.h"

namespace grkan {
namespace {

using cuda::Driver;

constexpr const char* kDriver = "libcuda.so.1";
// Drivers before this one can't capture a kernel that starts while the one before it ends.
constexpr int kEarlyInGraphs = 12030;

std::string driver_path(const std::string& driver) { return driver.empty() ? kDriver : driver; }

// Makes a device's own context current as long as it lives.
class Current {
 public:
  Current(const Driver& driver, cuda::Context context) : driver_(driver) {
    driver_.check(driver_.context_push(context), "cuCtxPushCurrent");
  }
  ~Current() {
    cuda::Context popped = nullptr;
    driver_.context_pop(&popped);
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

 private:
  const Driver& driver_;
};

// What a device's kernels, memory and timers share.
struct Shared {
  std::shared_ptr<const Driver> driver;
  std::string name;
  cuda::Device device = 0;
  cuda::Context context = nullptr;
  int multiprocessors = 0;
  Allocator allocator;

  // Runs `work` under the caller's context, or, where the thread has none, under the device's own.
  template <class Work>
  void under_callers_context(const Work& work) const {
    cuda::Device current = 0;
    const cuda::Result result = driver->context_get_device(&current);
    if (result == cuda::kInvalidContext) {
      const Current own(*driver, context);
      work();
      return;
    }
    driver->check(result, "cuCtxGetDevice");
    if (current != device) {
      fail_argument(
          "the plan belongs to {}, but the calling thread's context is of cuda:{}; make a "
          "context of {} current",
          name, current, name);
    }
    work();
  }

  // In the stream's order, under the context that is current.
  void clear(void* memory, std::size_t bytes, cuda::Stream stream) const {
    driver->check(driver->memset_async(reinterpret_cast<cuda::Pointer>(memory), 0, bytes, stream),
                  "cuMemsetD8Async");
  }
};

// A loaded binary: the main kernel and, where the task has sums, the second pass.
class Module {
 public:
  Module(const Shared& shared, const Binary& binary) : shared_(shared) {
    const Driver& driver = *shared_.driver;
    const Current current(driver, shared_.context);
    if (binary.kernels.empty()) {
      fail(Status::internal, "the binary of {} for {} names no kernel", to_string(binary.task),
           shared_.name);
    }
    load(binary);
    for (std::size_t i = 0; i < binary.kernels.size() && i < functions_.size(); ++i) {
      cuda::CudaKernel kernel = nullptr;
      driver.check(driver.library_get_kernel(&kernel, library_, binary.kernels[i].symbol.c_str()),
                   "cuLibraryGetKernel");
      // Drivers load kernels lazily; asking for the function in this context loads it now.
      cuda::Function function = nullptr;
      driver.check(driver.kernel_get_function(&function, kernel), "cuKernelGetFunction");
      // A kernel in place of a function means the current context's: one handle for all contexts.
      functions_[i] = reinterpret_cast<cuda::Function>(kernel);
    }
  }
  ~Module() {
    if (library_ != nullptr) shared_.driver->library_unload(library_);
  }
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  [[nodiscard]] cuda::Function main() const { return functions_[0]; }
  [[nodiscard]] cuda::Function second_pass() const { return functions_[1]; }

 private:
  // The cubin where the device takes it, else the PTX, which the driver compiles: a newer GPU.
  void load(const Binary& binary) {
    const Driver& driver = *shared_.driver;
    const auto try_load = [&](const std::string& code) {
      return driver.library_load(&library_, code.c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0);
    };
    cuda::Result result = binary.code.empty() ? cuda::kNoBinaryForGpu : try_load(binary.code);
    const bool other_device = result == cuda::kNoBinaryForGpu || result == cuda::kInvalidImage;
    if (other_device && !binary.ptx.empty()) {
      const cuda::Result cubin = result;
      result = try_load(binary.ptx);
      if (result == cuda::kUnsupportedPtxVersion || result == cuda::kInvalidPtx) {
        fail(Status::device_error,
             "{} takes neither the cubin for {} ({}) nor its PTX ({}); the driver of version {} is "
             "older than {}: update it, or compile with an older NVRTC",
             shared_.name, binary.target.name, driver.error_text(cubin), driver.error_text(result),
             driver.version_text(), binary.compiler);
      }
    }
    driver.check(result, "cuLibraryLoadData");
  }

  Shared shared_;
  cuda::Library library_ = nullptr;
  std::array<cuda::Function, 2> functions_{};
};

class CudaDeviceKernel final : public Kernel {
 public:
  // narrow: for calls that the vectors of the main one don't fit; null where it fits all.
  CudaDeviceKernel(const Task& task, const CudaSchedule& schedule, const Shared& shared,
                   std::unique_ptr<Module> wide, std::unique_ptr<Module> narrow)
      : Kernel(task, schedule),
        shared_(shared),
        wide_(std::move(wide)),
        narrow_(std::move(narrow)),
        wide_schedule_(schedule),
        narrow_schedule_(narrow_schedule(task, schedule)) {}

  [[nodiscard]] std::size_t workspace_size(std::int64_t rows, std::int64_t inner) const override {
    std::int64_t bytes =
        cuda_launch(task(), wide_schedule_, rows, inner, shared_.multiprocessors).workspace_bytes;
    if (narrow_ != nullptr) {
      bytes = std::max(bytes,
                       cuda_launch(task(), narrow_schedule_, rows, inner, shared_.multiprocessors)
                           .workspace_bytes);
    }
    return std::size_t(bytes);
  }

  void run(const Call& call, const Workspace& workspace) const override {
    const bool fits = narrow_ == nullptr || cuda_vectors_fit(task(), wide_schedule_, call);
    const CudaSchedule& schedule = fits ? wide_schedule_ : narrow_schedule_;
    const Module& module = fits ? *wide_ : *narrow_;
    const CudaLaunch launch = cuda_launch(
        task(), schedule, call.rows, call.inner,
        workspace.multiprocessors > 0 ? workspace.multiprocessors : shared_.multiprocessors);
    if (std::size_t(launch.workspace_bytes) > workspace.size) {
      fail_argument("workspace of {} bytes is too small; the schedule {} needs {} bytes",
                    workspace.size, to_string(schedule), launch.workspace_bytes);
    }
    CudaCall c = cuda_call(task(), schedule, launch, call, workspace.data);
    const std::array<CudaClear, 2> clears = cuda_clears(task(), schedule, launch, c);
    std::array<void*, 1> parameters = {&c};
    auto* stream = static_cast<cuda::Stream>(workspace.stream);
    const Driver& driver = *shared_.driver;
    shared_.under_callers_context([&] {
      for (const CudaClear& clear : clears) {
        if (clear.bytes == 0) continue;
        shared_.clear(clear.memory, std::size_t(clear.bytes), stream);
      }
      driver.check(
          driver.launch_kernel(module.main(), launch.grid_x, launch.grid_y, 1, launch.threads, 1, 1,
                               0, stream, parameters.data(), nullptr),
          "cuLaunchKernel");
      if (launch.second_pass_blocks == 0) return;
      const bool early = schedule.sums == CudaSchedule::programmatic &&
                         shared_.driver->version() >= kEarlyInGraphs;
      driver.check(launch_second_pass(module.second_pass(), launch, stream, early, parameters),
                   "cuLaunchKernelEx (second pass)");
    });
  }

 private:
  // early: it may be set up while the kernel before it ends.
  [[nodiscard]] cuda::Result launch_second_pass(cuda::Function function, const CudaLaunch& launch,
                                                cuda::Stream stream, bool early,
                                                std::array<void*, 1>& parameters) const {
    cuda::LaunchAttribute attribute;
    attribute.id = cuda::kProgrammaticStreamSerialization;
    attribute.value.programmatic_stream_serialization = 1;
    const cuda::LaunchConfig config{.grid_x = launch.second_pass_blocks,
                                    .block_x = launch.second_pass_threads,
                                    .stream = stream,
                                    .attributes = &attribute,
                                    .attribute_count = early ? 1U : 0U};
    return shared_.driver->launch_kernel_ex(&config, function, parameters.data(), nullptr);
  }

  Shared shared_;
  std::unique_ptr<Module> wide_;
  std::unique_ptr<Module> narrow_;
  CudaSchedule wide_schedule_;
  CudaSchedule narrow_schedule_;
};

class CudaMemory final : public DeviceMemory {
 public:
  CudaMemory(const Shared& shared, std::size_t bytes) : shared_(shared) {
    const std::size_t rounded = (bytes / 256 + 1) * 256;
    if (shared_.allocator.alloc != nullptr) {
      data_ = shared_.allocator.alloc(shared_.allocator.user, shared_.name.c_str(), rounded);
      if (data_ == nullptr) {
        fail(Status::out_of_memory, "{} bytes of memory of {} were refused; use fewer rows",
             rounded, shared_.name);
      }
    } else {
      const Current current(*shared_.driver, shared_.context);
      cuda::Pointer pointer = 0;
      shared_.driver->check(shared_.driver->mem_alloc(&pointer, rounded), "cuMemAlloc");
      data_ = reinterpret_cast<void*>(pointer);
    }
    size_ = bytes;
  }
  ~CudaMemory() override {
    if (shared_.allocator.free != nullptr) {
      shared_.allocator.free(shared_.allocator.user, shared_.name.c_str(), data_);
      return;
    }
    shared_.driver->context_push(shared_.context);
    shared_.driver->mem_free(reinterpret_cast<cuda::Pointer>(data_));
    cuda::Context popped = nullptr;
    shared_.driver->context_pop(&popped);
  }
  CudaMemory(const CudaMemory&) = delete;
  CudaMemory& operator=(const CudaMemory&) = delete;

 private:
  Shared shared_;
};

// Between two events of the default stream.
class CudaTimer final : public Timer {
 public:
  explicit CudaTimer(const Shared& shared) : shared_(shared) {
    const Current current(*shared_.driver, shared_.context);
    shared_.driver->check(shared_.driver->event_create(&start_, 0), "cuEventCreate");
    shared_.driver->check(shared_.driver->event_create(&end_, 0), "cuEventCreate");
  }
  ~CudaTimer() override {
    if (start_ != nullptr) shared_.driver->event_destroy(start_);
    if (end_ != nullptr) shared_.driver->event_destroy(end_);
  }
  CudaTimer(const CudaTimer&) = delete;
  CudaTimer& operator=(const CudaTimer&) = delete;

  void start() override {
    const Current current(*shared_.driver, shared_.context);
    shared_.driver->check(shared_.driver->event_record(start_, nullptr), "cuEventRecord");
  }
  double stop() override {
    const Driver& driver = *shared_.driver;
    const Current current(driver, shared_.context);
    driver.check(driver.event_record(end_, nullptr), "cuEventRecord");
    driver.check(driver.event_synchronize(end_), "cuEventSynchronize");
    float milliseconds = 0;
    driver.check(driver.event_elapsed(&milliseconds, start_, end_), "cuEventElapsedTime");
    return double(milliseconds) * 1e-3;
  }

 private:
  Shared shared_;
  cuda::Event start_ = nullptr;
  cuda::Event end_ = nullptr;
};

int attribute(const Driver& driver, int which, cuda::Device device) {
  int value = 0;
  driver.check(driver.device_get_attribute(&value, which, device), "cuDeviceGetAttribute");
  return value;
}

class CudaDevice final : public Device {
 public:
  CudaDevice(DeviceInfo info, Shared shared)
      : Device(std::move(info)), shared_(std::move(shared)) {}
  ~CudaDevice() override { shared_.driver->primary_context_release(shared_.device); }
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  std::shared_ptr<const Kernel> load(const Task& task, const Schedule& schedule,
                                     const BinarySource& source) override {
    const CudaSchedule cuda_schedule(schedule);
    auto wide = std::make_unique<Module>(shared_, source(schedule));
    std::unique_ptr<Module> narrow;
    if (cuda_schedule.columns > 1) {
      narrow = std::make_unique<Module>(shared_, source(narrow_schedule(task, cuda_schedule)));
    }
    return std::make_shared<CudaDeviceKernel>(task, cuda_schedule, shared_, std::move(wide),
                                              std::move(narrow));
  }
  std::shared_ptr<const Kernel> portable(const Task& task) override {
    fail(Status::internal, "{} was asked for a portable kernel of {}", info_.name, to_string(task));
  }

  void clear(void* memory, std::size_t bytes, void* stream) override {
    shared_.under_callers_context(
        [&] { shared_.clear(memory, bytes, static_cast<cuda::Stream>(stream)); });
  }
  std::unique_ptr<DeviceMemory> allocate(std::size_t bytes) override {
    return std::make_unique<CudaMemory>(shared_, bytes);
  }
  void upload(void* device, const void* host, std::size_t bytes) override {
    if (bytes == 0) return;
    const Current current(*shared_.driver, shared_.context);
    shared_.driver->check(
        shared_.driver->copy_to_device(reinterpret_cast<cuda::Pointer>(device), host, bytes),
        "cuMemcpyHtoD");
  }
  void download(void* host, const void* device, std::size_t bytes) override {
    if (bytes == 0) return;
    const Current current(*shared_.driver, shared_.context);
    shared_.driver->check(
        shared_.driver->copy_to_host(host, reinterpret_cast<cuda::Pointer>(device), bytes),
        "cuMemcpyDtoH");
  }
  std::unique_ptr<Timer> timer() override {
    if (info_.is_virtual) fail(Status::unsupported, "{}", why_not_timed(info_));
    return std::make_unique<CudaTimer>(shared_);
  }
  [[nodiscard]] std::vector<BoundKind> bound_kinds(const Task& /*task*/) const override {
    return {BoundKind::device_copy};
  }
  // A copy of n bytes moves 2 n: half of what the call moves, from one tensor to another.
  void run_bound(BoundKind /*kind*/, const Task& task, const BoundBuffers& buffers) override {
    const Problem& p = task.problem;
    const auto bytes_of = [&](const std::byte* tensor, Type type) {
      return tensor == nullptr ? 0 : std::size_t(buffers.elements) * size_of(type);
    };
    const Type out_type = task.backward() ? p.x_type : p.y_type;
    const std::size_t x = bytes_of(buffers.x, p.x_type);
    const std::size_t dy = bytes_of(buffers.dy, p.y_type);
    const std::size_t out = bytes_of(buffers.out, out_type);
    std::byte* to = out > 0 ? buffers.out : buffers.dy;
    const std::size_t most = std::min(x, out > 0 ? out : dy);
    const Current current(*shared_.driver, shared_.context);
    std::size_t part = 0;
    for (std::size_t left = (x + dy + out) / 2; left > 0; left -= part) {
      part = std::min(left, most);
      shared_.driver->check(
          shared_.driver->copy_async(reinterpret_cast<cuda::Pointer>(to),
                                     reinterpret_cast<cuda::Pointer>(buffers.x), part, nullptr),
          "cuMemcpyDtoDAsync");
    }
  }
  std::string take_virtual_report() override {
    const cuda::VirtualGpu* gpu = shared_.driver->virtual_gpu();
    if (gpu == nullptr) return {};
    std::string report = gpu->report();
    gpu->reset();
    return report;
  }
  [[nodiscard]] std::size_t free_memory() const override {
    const Current current(*shared_.driver, shared_.context);
    std::size_t free = 0;
    std::size_t total = 0;
    shared_.driver->check(shared_.driver->mem_get_info(&free, &total), "cuMemGetInfo");
    // A virtual GPU's memory is this machine's.
    return info_.is_virtual ? std::min(free, available_memory()) : free;
  }

 private:
  Shared shared_;
};

}  // namespace

std::unique_ptr<Device> make_cuda_device(std::string_view name, const std::string& library,
                                         const Allocator& allocator) {
  const std::string which(name.substr(name.find(':') + 1));
  const bool of_model = device_kind(name) == DeviceKind::virtual_gpu;
  if (of_model) gpu_model(which);  // throws, naming the known models
  const std::string path = driver_path(library);
  const auto driver = std::make_shared<const Driver>(path);
  int ordinal = 0;
  if (!of_model) {
    std::from_chars(which.data(), which.data() + which.size(), ordinal);
  } else if (driver->virtual_gpu() != nullptr) {
    ordinal = driver->virtual_gpu()->device(which.c_str());
  }
  if (of_model && (driver->virtual_gpu() == nullptr || ordinal < 0)) {
    fail(Status::no_device, "{} has no device {}; install the one that came with this library",
         path, which);
  }
  int count = 0;
  driver->check(driver->device_get_count(&count), "cuDeviceGetCount");
  if (ordinal >= count) {
    fail(Status::no_device, "{} does not exist: the driver {} has {} device{}", name, path, count,
         count == 1 ? "" : "s");
  }
  Shared shared{.driver = driver, .name = std::string(name), .allocator = allocator};
  driver->check(driver->device_get(&shared.device, ordinal), "cuDeviceGet");
  DeviceInfo info;
  info.name = name;
  std::array<char, 256> model{};
  driver->check(driver->device_get_name(model.data(), int(model.size()) - 1, shared.device),
                "cuDeviceGetName");
  info.model = model.data();
  const int capability = attribute(*driver, cuda::kCapabilityMajor, shared.device) * 10 +
                         attribute(*driver, cuda::kCapabilityMinor, shared.device);
  info.target = {fmt::format("sm_{}", capability)};
  info.units = attribute(*driver, cuda::kMultiprocessorCount, shared.device);
  info.cache = attribute(*driver, cuda::kL2CacheSize, shared.device);
  std::size_t memory = 0;
  driver->check(driver->device_total_mem(&memory, shared.device), "cuDeviceTotalMem");
  info.memory = std::int64_t(memory);
  info.driver = driver->version_text();
  info.is_virtual = driver->virtual_gpu() != nullptr;
  shared.multiprocessors = info.units;
  driver->check(driver->primary_context_retain(&shared.context, shared.device),
                "cuDevicePrimaryCtxRetain");
  return std::make_unique<CudaDevice>(std::move(info), std::move(shared));
}

CudaDevices cuda_devices(const std::string& library) {
  try {
    const Driver driver(driver_path(library));
    int count = 0;
    driver.check(driver.device_get_count(&count), "cuDeviceGetCount");
    return {count, count > 0 ? "" : "the driver has no device"};
  } catch (const Error& error) {
    return {0, error.what()};
  }
}

}  // namespace grkan
