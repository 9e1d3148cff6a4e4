// Copies and memsets, at once or in a stream's order.
#include <cstring>

#include "virtual_gpu/driver/state.h"

namespace grkan::vgpu::driver {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

bool copy_between_devices(Memory& target, Pointer to, const Memory& source, Pointer from,
                          std::size_t bytes) {
  std::vector<std::byte> piece(std::min(bytes, kPiece));
  for (std::size_t done = 0; done < bytes; done += kPiece) {
    const std::size_t size = std::min(bytes - done, kPiece);
    if (!source.read(piece.data(), from + done, size)) return false;
    if (!target.write(to + done, piece.data(), size)) return false;
  }
  return true;
}

// Addresses of the host and of any device.
Result copy(Pointer to, Pointer from, std::size_t bytes) {
  if (bytes == 0) return Result::success;
  if (to == 0 || from == 0) return Result::invalid_value;
  const DeviceState* target = device_of(to);
  const DeviceState* source = device_of(from);
  bool done = true;
  if (target != nullptr && source == target) {
    done = target->memory->copy(to, from, bytes);
  } else if (target != nullptr && source != nullptr) {
    done = copy_between_devices(*target->memory, to, *source->memory, from, bytes);
  } else if (target != nullptr) {
    done = target->memory->write(to, reinterpret_cast<const void*>(from), bytes);
  } else if (source != nullptr) {
    done = source->memory->read(reinterpret_cast<void*>(to), from, bytes);
  } else {
    std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
  }
  return done ? Result::success : Result::invalid_value;
}

// Whether `bytes` from `pointer` on lie in one live allocation of a device.
bool on_device(Pointer pointer, std::size_t bytes) {
  const DeviceState* device = device_of(pointer);
  if (device == nullptr) return false;
  const Allocation* found = device->memory->find(pointer);
  return found != nullptr && !found->freed && pointer >= found->address &&
         pointer - found->address <= found->size &&
         bytes <= found->size - (pointer - found->address);
}

// What both ends of a copy must be.
enum class Ends { any, to_device, to_host, devices };
bool right_ends(Ends ends, Pointer to, Pointer from, std::size_t bytes) {
  if (bytes == 0) return true;
  const bool writes_device = ends == Ends::to_device || ends == Ends::devices;
  const bool reads_device = ends == Ends::to_host || ends == Ends::devices;
  if (to == 0 || from == 0) return false;
  return (on_device(to, bytes) || (!writes_device && device_of(to) == nullptr)) &&
         (on_device(from, bytes) || (!reads_device && device_of(from) == nullptr));
}

Result copy_now(Ends ends, Pointer to, Pointer from, std::size_t bytes) {
  return with_context([&](ContextState& context) {
    if (context.fault != Result::success) return context.fault;
    const Result refused = refuse_beside_legacy(context);
    if (refused != Result::success) return refused;
    return right_ends(ends, to, from, bytes) ? copy(to, from, bytes) : Result::invalid_value;
  });
}

Result copy_in_order(Ends ends, Pointer to, Pointer from, std::size_t bytes, Stream stream) {
  return with_stream(stream, [&](StreamState& found) {
    if (!right_ends(ends, to, from, bytes)) return Result::invalid_value;
    return submit(found, {NodeKind::memcpy, [=] { return copy(to, from, bytes); }});
  });
}

template <class Value>
Result set(Pointer to, Value value, std::size_t count) {
  if (count == 0) return Result::success;
  const DeviceState* device = device_of(to);
  if (device == nullptr || !device->memory->set(to, &value, sizeof value, count)) {
    return Result::invalid_value;
  }
  return Result::success;
}

template <class Value>
bool right_range(Pointer to, std::size_t count) {
  if (count == 0) return true;
  return to % sizeof(Value) == 0 && count <= ~std::size_t{0} / sizeof(Value) &&
         on_device(to, count * sizeof(Value));
}

template <class Value>
Result set_now(Pointer to, Value value, std::size_t count) {
  return with_context([&](ContextState& context) {
    if (context.fault != Result::success) return context.fault;
    const Result refused = refuse_beside_legacy(context);
    if (refused != Result::success) return refused;
    return right_range<Value>(to, count) ? set(to, value, count) : Result::invalid_value;
  });
}

template <class Value>
Result set_in_order(Pointer to, Value value, std::size_t count, Stream stream) {
  return with_stream(stream, [&](StreamState& found) {
    if (!right_range<Value>(to, count)) return Result::invalid_value;
    return submit(found, {NodeKind::memset, [=] { return set(to, value, count); }});
  });
}

Pointer address(const void* pointer) { return reinterpret_cast<Pointer>(pointer); }

}  // namespace

Result cuMemcpy(Pointer to, Pointer from, std::size_t bytes) {
  return copy_now(Ends::any, to, from, bytes);
}
Result cuMemcpyHtoD_v2(Pointer to, const void* from, std::size_t bytes) {
  return copy_now(Ends::to_device, to, address(from), bytes);
}
Result cuMemcpyDtoH_v2(void* to, Pointer from, std::size_t bytes) {
  return copy_now(Ends::to_host, address(to), from, bytes);
}
Result cuMemcpyDtoD_v2(Pointer to, Pointer from, std::size_t bytes) {
  return copy_now(Ends::devices, to, from, bytes);
}
Result cuMemcpyAsync(Pointer to, Pointer from, std::size_t bytes, Stream stream) {
  return copy_in_order(Ends::any, to, from, bytes, stream);
}
Result cuMemcpyHtoDAsync_v2(Pointer to, const void* from, std::size_t bytes, Stream stream) {
  return copy_in_order(Ends::to_device, to, address(from), bytes, stream);
}
Result cuMemcpyDtoHAsync_v2(void* to, Pointer from, std::size_t bytes, Stream stream) {
  return copy_in_order(Ends::to_host, address(to), from, bytes, stream);
}
Result cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, std::size_t bytes, Stream stream) {
  return copy_in_order(Ends::devices, to, from, bytes, stream);
}

Result cuMemsetD8_v2(Pointer to, unsigned char value, std::size_t count) {
  return set_now(to, value, count);
}
Result cuMemsetD16_v2(Pointer to, unsigned short value, std::size_t count) {
  return set_now(to, value, count);
}
Result cuMemsetD32_v2(Pointer to, unsigned value, std::size_t count) {
  return set_now(to, value, count);
}
Result cuMemsetD8Async(Pointer to, unsigned char value, std::size_t count, Stream stream) {
  return set_in_order(to, value, count, stream);
}
Result cuMemsetD16Async(Pointer to, unsigned short value, std::size_t count, Stream stream) {
  return set_in_order(to, value, count, stream);
}
Result cuMemsetD32Async(Pointer to, unsigned value, std::size_t count, Stream stream) {
  return set_in_order(to, value, count, stream);
}

}  // namespace grkan::vgpu::driver
