#include "core/sample_run.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace grkan {
namespace {

constexpr std::size_t kAlignment = 64;  // of sample buffers and of workspace
constexpr std::int64_t kCheckedElements = 100'000;

// A sample's buffers on a device, at the same alignment, with the call translated.
class DeviceSample {
 public:
  DeviceSample(Device& device, Sample& sample) : device_(device), call_(sample.call()) {
    for (SampleBuffer* buffer :
         {&sample.x, &sample.dy, &sample.out, &sample.a, &sample.b, &sample.da, &sample.db}) {
      if (buffer->data() == nullptr) continue;
      const std::span<std::byte> host = buffer->storage();
      auto memory = device.allocate(host.size() + kAlignment);
      const std::size_t offset = reinterpret_cast<std::uintptr_t>(host.data()) % kAlignment;
      std::byte* at = static_cast<std::byte*>(memory->data()) + offset;
      device.upload(at, host.data(), host.size());
      copies_.push_back({std::move(memory), host, at});
    }
    for (const void** pointer : {&call_.x, &call_.dy, &call_.a, &call_.b}) translate(*pointer);
    for (void** pointer : {&call_.out, &call_.da, &call_.db}) translate(*pointer);
  }

  [[nodiscard]] const Call& call() const { return call_; }

  void download() {
    for (const Copy& copy : copies_) device_.download(copy.host.data(), copy.at, copy.host.size());
  }

 private:
  struct Copy {
    std::unique_ptr<DeviceMemory> memory;
    std::span<std::byte> host;
    std::byte* at;
  };

  template <class Pointer>
  void translate(Pointer& pointer) const {
    for (const Copy& copy : copies_) {
      const auto* host = static_cast<const std::byte*>(pointer);
      if (host >= copy.host.data() && host < copy.host.data() + copy.host.size()) {
        pointer = copy.at + (host - copy.host.data());
        return;
      }
    }
  }

  Device& device_;
  Call call_;
  std::vector<Copy> copies_;
};

void run_call(Device& device, const Kernel& kernel, const Call& call, int multiprocessors) {
  if (call.rows == 0 || call.inner == 0) {
    clear_gradients(device, kernel.task(), call, nullptr);
    return;
  }
  const std::size_t size = std::max(kernel.workspace_size(call.rows, call.inner), kAlignment);
  const auto memory = device.allocate(size);
  // Contents are undefined at entry: what a kernel wrongly reads of them shall show.
  const std::vector<std::byte> nan(size, std::byte{0xff});
  device.upload(memory->data(), nan.data(), size);
  kernel.run(call, {.data = memory->data(), .size = size, .multiprocessors = multiprocessors});
}

}  // namespace

void run_sample(Device& device, const Kernel& kernel, Sample& sample, int multiprocessors) {
  if (device_kind(device.info().name) == DeviceKind::cpu) {
    run_call(device, kernel, sample.call(), multiprocessors);
    return;
  }
  DeviceSample copy(device, sample);
  run_call(device, kernel, copy.call(), multiprocessors);
  copy.download();
}

std::int64_t checked_rows(const Task& task, std::int64_t rows, std::int64_t inner) {
  const std::int64_t fitting = kCheckedElements / (task.problem.channels * inner);
  return std::min(rows, std::max<std::int64_t>(fitting, 3));
}

}  // namespace grkan
