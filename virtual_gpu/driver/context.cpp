// Contexts: a device's own (primary) ones and those that programs make.
#include <array>

#include "virtual_gpu/driver/state.h"

namespace grkan::vgpu::driver {
namespace {

constexpr unsigned kContextFlags = 0xFF;
constexpr unsigned kApiVersion = 3020;
// What a driver sets limits to: of the stack, the printf buffer, the heap, by number.
constexpr std::array<std::size_t, 3> kLimits = {1024, std::size_t{1} << 20, std::size_t{8} << 20};
bool is_limit(int limit) { return limit >= 0 && std::size_t(limit) < kLimits.size(); }

// Where this thread's current context is or would be pushed.
void set_current(ContextState* context) {
  auto& stack = context_stack();
  if (!stack.empty()) stack.pop_back();
  if (context != nullptr) stack.push_back(context);
}

Result create(Context* context, unsigned flags, Device device) {
  return with_device(device, [&](DeviceState& found) {
    if (context == nullptr || (flags & ~kContextFlags) != 0) return Result::invalid_value;
    ContextState* made = create_context(found, flags, false);
    context_stack().push_back(made);
    *context = made->handle;
    return Result::success;
  });
}

}  // namespace

Result cuDevicePrimaryCtxRetain(Context* context, Device device) {
  return with_device(device, [&](DeviceState& found) {
    if (context == nullptr) return Result::invalid_value;
    if (found.primary == nullptr) found.primary = create_context(found, 0, true);
    found.primary->alive = true;
    found.primary->flags = found.primary_flags;
    ++found.retained;
    *context = found.primary->handle;
    return Result::success;
  });
}

Result cuDevicePrimaryCtxRelease_v2(Device device) {
  return with_device(device, [&](DeviceState& found) {
    if (found.retained == 0) return Result::invalid_context;
    if (--found.retained == 0) end_context(*found.primary);
    return Result::success;
  });
}

Result cuDevicePrimaryCtxReset_v2(Device device) {
  return with_device(device, [&](DeviceState& found) {
    if (found.primary == nullptr || !found.primary->alive) return Result::success;
    end_context(*found.primary);
    found.primary->alive = found.retained != 0;
    return Result::success;
  });
}

Result cuDevicePrimaryCtxSetFlags_v2(Device device, unsigned flags) {
  return with_device(device, [&](DeviceState& found) {
    if ((flags & ~kContextFlags) != 0) return Result::invalid_value;
    found.primary_flags = flags;
    if (found.primary != nullptr) found.primary->flags = flags;
    return Result::success;
  });
}

Result cuDevicePrimaryCtxGetState(Device device, unsigned* flags, int* active) {
  return with_device(device, [&](DeviceState& found) {
    if (flags == nullptr || active == nullptr) return Result::invalid_value;
    *flags = found.primary_flags;
    *active = found.primary != nullptr && found.primary->alive ? 1 : 0;
    return Result::success;
  });
}

Result cuCtxCreate_v2(Context* context, unsigned flags, Device device) {
  return create(context, flags, device);
}

Result cuCtxCreate_v4(Context* context, void* parameters, unsigned flags, Device device) {
  // Parameters choose multiprocessors or a graphics API: there is neither.
  return parameters == nullptr ? create(context, flags, device) : Result::not_supported;
}

Result cuCtxDestroy_v2(Context context) {
  return guarded([&] {
    ContextState* found = find_context(context);
    if (found == nullptr || !found->alive || found->primary) return Result::invalid_context;
    end_context(*found);
    auto& stack = context_stack();
    if (!stack.empty() && stack.back() == found) stack.pop_back();
    return Result::success;
  });
}

Result cuCtxGetCurrent(Context* context) {
  return guarded([&] {
    if (context == nullptr) return Result::invalid_value;
    const auto& stack = context_stack();
    *context = stack.empty() ? nullptr : stack.back()->handle;
    return Result::success;
  });
}

Result cuCtxSetCurrent(Context context) {
  return guarded([&] {
    ContextState* found = context == nullptr ? nullptr : find_context(context);
    if (context != nullptr && (found == nullptr || !found->alive)) return Result::invalid_context;
    set_current(found);
    return Result::success;
  });
}

Result cuCtxPushCurrent_v2(Context context) {
  return guarded([&] {
    ContextState* found = find_context(context);
    if (found == nullptr || !found->alive) return Result::invalid_context;
    context_stack().push_back(found);
    return Result::success;
  });
}

Result cuCtxPopCurrent_v2(Context* context) {
  return guarded([&] {
    auto& stack = context_stack();
    if (stack.empty()) return Result::invalid_context;
    if (context != nullptr) *context = stack.back()->handle;
    stack.pop_back();
    return Result::success;
  });
}

Result cuCtxGetDevice(Device* device) {
  return with_context([&](ContextState& context) {
    if (device == nullptr) return Result::invalid_value;
    *device = context.device->ordinal;
    return Result::success;
  });
}

Result cuCtxGetFlags(unsigned* flags) {
  return with_context([&](ContextState& context) {
    if (flags == nullptr) return Result::invalid_value;
    *flags = context.flags;
    return Result::success;
  });
}

Result cuCtxGetApiVersion(Context context, unsigned* version) {
  return guarded([&] {
    if (version == nullptr) return Result::invalid_value;
    if (context != nullptr && find_context(context) == nullptr) return Result::invalid_context;
    *version = kApiVersion;
    return Result::success;
  });
}

Result cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  return with_context([&](ContextState&) {
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = kGreatestPriority;
    return Result::success;
  });
}

Result cuCtxGetLimit(std::size_t* value, int limit) {
  return with_context([&](ContextState& context) {
    if (value == nullptr) return Result::invalid_value;
    if (!is_limit(limit)) return Result::unsupported_limit;
    const auto set = context.limits.find(limit);
    *value = set == context.limits.end() ? kLimits[std::size_t(limit)] : set->second;
    return Result::success;
  });
}

Result cuCtxSetLimit(int limit, std::size_t value) {
  return with_context([&](ContextState& context) {
    if (!is_limit(limit)) return Result::unsupported_limit;
    context.limits[limit] = value;
    return Result::success;
  });
}

Result cuCtxSynchronize() {
  return with_context([&](ContextState& context) {
    const Result refused = refuse_captures_of(context);
    return refused == Result::success ? context.fault : refused;
  });
}

}  // namespace grkan::vgpu::driver
