// The memory bound of a task: the same bytes read and written, by the same threads, with nothing
// computed. What a perfect kernel could at best reach.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/task.h"

namespace grkan {

// copy and triad: forward and backward with plain stores; nt_: with non-temporal ones. read: tasks
// that write no tensor. device_copy: a GPU's own copy of as many bytes.
enum class BoundKind : std::uint8_t { nt_copy, copy, nt_triad, triad, read, device_copy };
std::string_view to_string(BoundKind kind);

// The tensors of one call as plain runs of elements, on the device.
struct BoundBuffers {
  std::byte* x = nullptr;
  std::byte* dy = nullptr;    // backward
  std::byte* out = nullptr;   // null: nothing is written
  std::int64_t elements = 0;  // of each
};

}  // namespace grkan
