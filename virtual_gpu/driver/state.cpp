#include "virtual_gpu/driver/state.h"

#include <algorithm>
#include <new>

#include "core/error.h"

namespace grkan::vgpu::driver {
namespace {

// Each device's memory begins at a place of its own, above all that a host process can have: an
// address tells its device, and is never taken for a host pointer.
constexpr int kDeviceShift = 52;

constexpr std::uintptr_t kFirstHandle = 0x10000;
constexpr std::uintptr_t kHandleStep = 16;

// The handles of the default streams.
const auto kLegacy = reinterpret_cast<Stream>(std::uintptr_t{1});
const auto kPerThread = reinterpret_cast<Stream>(std::uintptr_t{2});

Result code_of(Status status) {
  switch (status) {
    case Status::invalid_argument:
      return Result::invalid_value;
    case Status::out_of_memory:
      return Result::out_of_memory;
    case Status::compile_failed:
      return Result::invalid_ptx;
    default:
      return Result::unknown;
  }
}

void make_default_streams(ContextState& context) {
  context.legacy = std::make_shared<StreamState>();
  context.legacy->context = &context;
  context.legacy->legacy = true;
  context.per_thread = std::make_shared<StreamState>();
  context.per_thread->context = &context;
}

}  // namespace

std::uintptr_t next_handle() {
  static std::uintptr_t last = kFirstHandle;  // under the mutex
  return last += kHandleStep;
}

State& state() {
  static State& kept = *new State;  // never destroyed: programs call it while they end
  return kept;
}

void add_devices(const std::vector<const GpuModel*>& models) {
  auto& devices = state().devices;
  for (const GpuModel* model : models) {
    const auto of_model = [&](const auto& device) { return device->model == model; };
    if (std::ranges::count_if(devices, of_model) >= std::ranges::count(models, model)) continue;
    auto device = std::make_unique<DeviceState>();
    device->ordinal = Device(devices.size());
    device->model = model;
    device->memory = std::make_unique<Memory>(std::size_t(model->memory_bytes.value),
                                              std::uint64_t(device->ordinal + 1) << kDeviceShift);
    device->pool = reinterpret_cast<Pool>(next_handle());
    devices.push_back(std::move(device));
  }
}

DeviceState* find_device(Device device) {
  auto& devices = state().devices;
  if (device < 0 || std::size_t(device) >= devices.size()) return nullptr;
  return devices[std::size_t(device)].get();
}

ContextState* find_context(Context context) {
  for (const auto& candidate : state().contexts) {
    if (candidate->handle == context) return candidate.get();
  }
  return nullptr;
}

std::vector<ContextState*>& context_stack() {
  thread_local std::vector<ContextState*> stack;
  return stack;
}

ContextState* create_context(DeviceState& device, unsigned flags, bool primary) {
  auto context = std::make_unique<ContextState>();
  context->handle = reinterpret_cast<Context>(next_handle());
  context->device = &device;
  context->flags = flags;
  context->primary = primary;
  make_default_streams(*context);
  state().contexts.push_back(std::move(context));
  return state().contexts.back().get();
}

void end_context(ContextState& context) {
  State& s = state();
  const auto here = [&](const auto& object) { return object.context == &context; };
  for (const auto& capture : s.captures) {
    if (capture->origin->context == &context) capture->invalid = true;
  }
  std::erase_if(s.captures,
                [&](const auto& capture) { return capture->origin->context == &context; });
  s.streams.remove_if(here);
  s.events.remove_if(here);
  s.functions.remove_if([&](const FunctionState& f) { return f.module->context == &context; });
  s.libraries.for_each([&](LibraryState& library) { library.modules.erase(&context); });
  s.modules.remove_if(here);
  for (const Pointer pointer : context.allocations) context.device->memory->free(pointer);
  context.allocations.clear();
  context.limits.clear();
  context.fault = Result::success;
  context.alive = false;
  make_default_streams(context);
}

std::shared_ptr<StreamState> find_stream(Stream stream) {
  if (stream != nullptr && stream != kLegacy && stream != kPerThread) {
    return state().streams.find(stream);
  }
  ContextState* context = nullptr;
  if (current_context(context) != Result::success) return nullptr;
  return stream == kPerThread ? context->per_thread : context->legacy;
}

DeviceState* device_of(Pointer pointer) {
  const Pointer number = pointer >> kDeviceShift;
  return number == 0 || number > state().devices.size() ? nullptr : find_device(Device(number - 1));
}

Result guarded_body(const std::function<Result()>& body) {
  const std::lock_guard lock(state().mutex);
  if (!state().initialised) return Result::not_initialized;
  try {
    return body();
  } catch (const Error& error) {
    return code_of(error.status());
  } catch (const std::bad_alloc&) {
    return Result::out_of_memory;
  } catch (...) {
    return Result::unknown;
  }
}

Result current_context(ContextState*& context) {
  const auto& stack = context_stack();
  if (stack.empty() || stack.back() == nullptr) return Result::invalid_context;
  context = stack.back();
  return context->alive ? Result::success : Result::context_is_destroyed;
}

Result usable_stream(Stream stream, std::shared_ptr<StreamState>& found) {
  found = find_stream(stream);
  if (found == nullptr) {
    ContextState* context = nullptr;
    const Result result = current_context(context);
    return result == Result::success ? Result::invalid_handle : result;
  }
  return found->context->fault;
}

}  // namespace grkan::vgpu::driver
