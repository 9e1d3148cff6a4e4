#include "tests/support/virtual_sample.h"

#include "core/error.h"

namespace grkan::vgpu {
namespace {

std::uint64_t allocate(Memory& memory, std::size_t bytes) {
  const std::uint64_t address = memory.allocate(bytes);
  if (address == 0) {
    fail(Status::out_of_memory, "the virtual GPU has no room for {} bytes: {} of {} are taken",
         bytes, memory.used(), memory.capacity());
  }
  return address;
}

}  // namespace

VirtualSample::VirtualSample(Sample& sample, Memory& memory) : sample_(sample), memory_(memory) {
  for (SampleBuffer* buffer :
       {&sample.x, &sample.dy, &sample.out, &sample.a, &sample.b, &sample.da, &sample.db}) {
    if (buffer->data() == nullptr || buffer->bytes() == 0) continue;
    const auto shift = reinterpret_cast<std::uintptr_t>(buffer->data()) % 64;
    const std::uint64_t base = allocate(memory, shift + buffer->bytes());
    places_.push_back({buffer, base, base + shift});
    memory.write(base + shift, buffer->data(), buffer->bytes());
  }
}

VirtualSample::~VirtualSample() {
  for (const Place& place : places_) memory_.free(place.base);
}

const void* VirtualSample::moved(const void* pointer) const {
  for (const Place& place : places_) {
    if (place.buffer->data() == pointer) return reinterpret_cast<const void*>(place.address);
  }
  return nullptr;
}

Call VirtualSample::call() const {
  Call call = sample_.call();
  for (const void** pointer : {&call.x, &call.dy, &call.a, &call.b}) *pointer = moved(*pointer);
  for (void** pointer : {&call.out, &call.da, &call.db}) {
    *pointer = const_cast<void*>(moved(*pointer));
  }
  return call;
}

std::vector<LaunchResult> VirtualSample::run(const Module& module, const CudaSchedule& schedule,
                                             int multiprocessors, const LaunchOptions& options) {
  const Task& task = sample_.task();
  const Call moved_call = call();
  const CudaLaunch launch =
      cuda_launch(task, schedule, moved_call.rows, moved_call.inner, multiprocessors);
  std::uint64_t workspace = 0;
  if (launch.workspace_bytes != 0) {
    workspace = allocate(memory_, std::size_t(launch.workspace_bytes));
  }
  const CudaCall argument =
      cuda_call(task, schedule, launch, moved_call, reinterpret_cast<void*>(workspace));
  for (const CudaClear& clear : cuda_clears(task, schedule, launch, argument)) {
    const std::vector<char> zeros(std::size_t(clear.bytes));
    memory_.write(reinterpret_cast<std::uint64_t>(clear.memory), zeros.data(), zeros.size());
  }
  const auto bytes = std::as_bytes(std::span(&argument, 1));
  std::vector<LaunchResult> results;
  for (const ModuleKernel& kernel : module.kernels()) {
    if (kernel.parameter_bytes != bytes.size()) {
      fail_argument("{} has {} bytes of parameters; a kernel of this task has {}", kernel.name,
                    kernel.parameter_bytes, bytes.size());
    }
    const bool second = kernel.name.ends_with("_second_pass");
    const Dim3 grid =
        second ? Dim3{launch.second_pass_blocks, 1, 1} : Dim3{launch.grid_x, launch.grid_y, 1};
    const std::uint32_t threads = second ? launch.second_pass_threads : launch.threads;
    results.push_back(vgpu::launch(kernel, grid, {threads, 1, 1}, 0, bytes, memory_, options));
  }
  if (workspace != 0) memory_.free(workspace);
  return results;
}

void VirtualSample::read_back() {
  for (const Place& place : places_) {
    memory_.read(place.buffer->data(), place.address, place.buffer->bytes());
  }
}

}  // namespace grkan::vgpu
