// The memory bound of a task on the CPU: the same bytes read and written, by the same threads, with
// nothing computed. What a perfect kernel could at best reach.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/task.h"
#include "runtime/thread_pool.h"

namespace grkan {

// copy and triad: forward and backward with plain stores; nt_: with non-temporal ones. read: tasks
// that write no tensor. device_copy: a GPU's own copy of as many bytes.
enum class BoundKind : std::uint8_t { nt_copy, copy, nt_triad, triad, read, device_copy };
std::string_view to_string(BoundKind kind);

// The tensors of one call as plain runs of elements.
struct BoundBuffers {
  const std::byte* x = nullptr;
  const std::byte* dy = nullptr;  // backward
  std::byte* out = nullptr;       // null: nothing is written
  std::int64_t elements = 0;      // of each
};

// Reads x (and dy) and writes out once, in up to 256 slices on the pool; little work in one, on the
// calling thread, as a kernel's. kind must be one of the CPU's
// and fit the buffers; non-temporal kinds need out aligned to 32 bytes and become plain ones on a
// processor that has no such stores.
void run_bound(BoundKind kind, const Task& task, const BoundBuffers& buffers, ThreadPool& pool);

}  // namespace grkan
