// Allocation: of devices, of their pools and of the host; what an address is.
#include <cstdlib>

#include "virtual_gpu/driver/state.h"

namespace grkan::vgpu::driver {
namespace {

constexpr std::size_t kHostAlignment = 4096;

Result allocate(DeviceState& device, Pointer* pointer, std::size_t bytes) {
  if (pointer == nullptr || bytes == 0) return Result::invalid_value;
  const Pointer address = device.memory->allocate(bytes);
  if (address == 0) return Result::out_of_memory;
  *pointer = address;
  return Result::success;
}

Result allocate_pooled(Pointer* pointer, std::size_t bytes, const Pool* pool, Stream stream) {
  return with_stream(stream, [&](StreamState& found) {
    DeviceState& device = *found.context->device;
    if (pool != nullptr && *pool != device.pool) return Result::invalid_value;
    // A graph's own allocations are not supported: make them before the capture.
    if (found.capture != nullptr) return Result::not_supported;
    const Result result = allocate(device, pointer, bytes);
    if (result == Result::success) device.pooled.insert(*pointer);
    return result;
  });
}

// False for what no allocating call returned: a module's variable, say.
bool release(Pointer pointer) {
  DeviceState* device = device_of(pointer);
  if (device == nullptr) return false;
  bool known = device->pooled.erase(pointer) != 0;
  for (const auto& context : state().contexts) {
    known = (context->device == device && context->allocations.erase(pointer) != 0) || known;
  }
  return known && device->memory->free(pointer);
}

DeviceState* device_of_pool(Pool pool) {
  for (const auto& device : state().devices) {
    if (device->pool == pool) return device.get();
  }
  return nullptr;
}

// The live allocation that holds the address; null: none.
const Allocation* live(Pointer pointer) {
  const DeviceState* device = device_of(pointer);
  const Allocation* found = device == nullptr ? nullptr : device->memory->find(pointer);
  if (found == nullptr || found->freed || pointer < found->address) return nullptr;
  return pointer - found->address < found->size ? found : nullptr;
}

// The host allocation that holds the address: where it begins; null: none.
void* host_allocation(Pointer pointer) {
  const auto& all = state().host_allocations;
  auto after = all.upper_bound(reinterpret_cast<void*>(pointer));
  if (after == all.begin()) return nullptr;
  const auto& [begin, size] = *std::prev(after);
  return pointer - reinterpret_cast<Pointer>(begin) < size ? begin : nullptr;
}

ContextState* context_of(const Allocation& allocation) {
  for (const auto& context : state().contexts) {
    if (context->allocations.contains(allocation.address)) return context.get();
  }
  return nullptr;
}

template <class Value>
Result put(void* data, Value value) {
  *static_cast<Value*>(data) = value;
  return Result::success;
}

Result attribute_of_device_memory(void* data, int attribute, Pointer pointer,
                                  const Allocation& allocation) {
  const ContextState* context = context_of(allocation);
  switch (attribute) {
    case 1:  // CONTEXT; memory of a pool has none
      return context == nullptr ? Result::invalid_value : put(data, context->handle);
    case 2:  // MEMORY_TYPE: device
      return put(data, unsigned{2});
    case 3:  // DEVICE_POINTER
      return put(data, pointer);
    case 7:  // BUFFER_ID
      return put(data, static_cast<unsigned long long>(allocation.number));
    case 8:  // IS_MANAGED
      return put(data, unsigned{0});
    case 9:  // DEVICE_ORDINAL
      return put(data, device_of(pointer)->ordinal);
    case 11:  // RANGE_START_ADDR
      return put(data, Pointer{allocation.address});
    case 12:  // RANGE_SIZE
      return put(data, allocation.size);
    case 13:  // MAPPED
      return put(data, unsigned{1});
    default:
      return Result::invalid_value;
  }
}

Result attribute_of_host_memory(void* data, int attribute, Pointer pointer) {
  switch (attribute) {
    case 2:  // MEMORY_TYPE: host
      return put(data, unsigned{1});
    case 4:  // HOST_POINTER
      return put(data, reinterpret_cast<void*>(pointer));
    case 8:  // IS_MANAGED
      return put(data, unsigned{0});
    default:
      return Result::invalid_value;
  }
}

}  // namespace

Result cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  return with_context([&](ContextState& context) {
    if (free == nullptr || total == nullptr) return Result::invalid_value;
    *total = context.device->memory->capacity();
    *free = *total - context.device->memory->used();
    return context.fault;
  });
}

Result cuMemAlloc_v2(Pointer* pointer, std::size_t bytes) {
  return with_context([&](ContextState& context) {
    if (context.fault != Result::success) return context.fault;
    Result result = refuse_in_capture();
    if (result != Result::success) return result;
    result = allocate(*context.device, pointer, bytes);
    if (result == Result::success) context.allocations.insert(*pointer);
    return result;
  });
}

Result cuMemFree_v2(Pointer pointer) {
  return with_context([&](ContextState& context) {
    if (pointer == 0) return context.fault;
    const Result refused = refuse_in_capture();
    if (refused != Result::success) return refused;
    return release(pointer) ? context.fault : Result::invalid_value;
  });
}

Result cuMemAllocAsync(Pointer* pointer, std::size_t bytes, Stream stream) {
  return allocate_pooled(pointer, bytes, nullptr, stream);
}

Result cuMemAllocFromPoolAsync(Pointer* pointer, std::size_t bytes, Pool pool, Stream stream) {
  return allocate_pooled(pointer, bytes, &pool, stream);
}

Result cuMemFreeAsync(Pointer pointer, Stream stream) {
  return with_stream(stream, [&](StreamState& found) {
    // Within a capture it must be a graph's own allocation, and there are none.
    if (found.capture != nullptr) return Result::invalid_value;
    return release(pointer) ? Result::success : Result::invalid_value;
  });
}

Result cuDeviceGetDefaultMemPool(Pool* pool, Device device) {
  return with_device(device, [&](DeviceState& found) {
    if (pool == nullptr) return Result::invalid_value;
    *pool = found.pool;
    return Result::success;
  });
}

Result cuDeviceGetMemPool(Pool* pool, Device device) {
  return cuDeviceGetDefaultMemPool(pool, device);
}

Result cuMemPoolTrimTo(Pool pool, std::size_t) {
  return guarded(
      [&] { return device_of_pool(pool) == nullptr ? Result::invalid_value : Result::success; });
}

Result cuMemPoolSetAttribute(Pool pool, int attribute, void* value) {
  return guarded([&] {
    DeviceState* device = device_of_pool(pool);
    if (device == nullptr || value == nullptr || attribute < 1 || attribute > 4) {
      return Result::invalid_value;
    }
    if (attribute == 4) device->release_threshold = *static_cast<std::uint64_t*>(value);
    return Result::success;  // 1 to 3, whether memory is used again, change nothing here
  });
}

Result cuMemPoolGetAttribute(Pool pool, int attribute, void* value) {
  return guarded([&] {
    const DeviceState* device = device_of_pool(pool);
    if (device == nullptr || value == nullptr) return Result::invalid_value;
    if (attribute >= 1 && attribute <= 3) return put(value, int{1});
    if (attribute == 4) return put(value, device->release_threshold);
    if (attribute < 5 || attribute > 8) return Result::invalid_value;
    std::uint64_t used = 0;
    for (const Pointer pointer : device->pooled) used += device->memory->find(pointer)->size;
    return put(value, used);
  });
}

Result cuMemHostAlloc(void** pointer, std::size_t bytes, unsigned flags) {
  return with_context([&](ContextState& context) {
    if (context.fault != Result::success) return context.fault;
    if (pointer == nullptr || bytes == 0 || (flags & ~7U) != 0) return Result::invalid_value;
    const Result refused = refuse_in_capture();
    if (refused != Result::success) return refused;
    if (bytes > ~std::size_t{0} - kHostAlignment) return Result::out_of_memory;
    const std::size_t size = (bytes + kHostAlignment - 1) / kHostAlignment * kHostAlignment;
    void* made = std::aligned_alloc(kHostAlignment, size);
    if (made == nullptr) return Result::out_of_memory;
    state().host_allocations.emplace(made, bytes);
    *pointer = made;
    return Result::success;
  });
}

Result cuMemAllocHost_v2(void** pointer, std::size_t bytes) {
  return cuMemHostAlloc(pointer, bytes, 0);
}

Result cuMemFreeHost(void* pointer) {
  return with_context([&](ContextState& context) {
    const Result refused = refuse_in_capture();
    if (refused != Result::success) return refused;
    if (state().host_allocations.erase(pointer) == 0) return Result::invalid_value;
    std::free(pointer);
    return context.fault;
  });
}

Result cuMemGetAddressRange_v2(Pointer* base, std::size_t* size, Pointer pointer) {
  return with_context([&](ContextState&) {
    const Allocation* found = live(pointer);
    if (found == nullptr) return Result::not_found;
    if (base != nullptr) *base = found->address;
    if (size != nullptr) *size = found->size;
    return Result::success;
  });
}

Result cuPointerGetAttribute(void* data, int attribute, Pointer pointer) {
  return guarded([&] {
    if (data == nullptr) return Result::invalid_value;
    if (const Allocation* found = live(pointer)) {
      return attribute_of_device_memory(data, attribute, pointer, *found);
    }
    if (host_allocation(pointer) == nullptr) return Result::invalid_value;
    return attribute_of_host_memory(data, attribute, pointer);
  });
}

}  // namespace grkan::vgpu::driver
