// CallCheck: what a caller may bring. Everything that can be seen to be wrong is an error before
// anything is written: one that names the field and both values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/call.h"
#include "core/device.h"
#include "core/task.h"

namespace grkan {

class CallCheck {
 public:
  // workspace: what a call must bring. on_cpu: there are no streams.
  CallCheck(const Task& task, WorkspaceBound workspace, bool on_cpu);

  // Throws invalid_argument. Takes no lock and allocates nothing when the call is right.
  void check(const Call& call, const Workspace& workspace) const;
  // The part about rows and inner alone.
  void check_size(std::int64_t rows, std::int64_t inner) const;

 private:
  struct Span;
  // stride: its value, under the name it has in grkan.h. An input's may be 0: all rows are one.
  struct Stride;
  [[nodiscard]] Span tensor(const char* name, const void* pointer, const Stride& stride,
                            std::size_t size, const Call& call) const;
  [[nodiscard]] static Span dense(const char* name, const void* pointer, std::int64_t entries,
                                  std::size_t size);

  Task task_;
  WorkspaceBound workspace_;
  bool on_cpu_;
  bool channels_first_;
  std::size_t x_size_;
  std::size_t y_size_;
  std::size_t coefficient_size_;
  std::int64_t a_entries_;
  std::int64_t b_entries_;
};

}  // namespace grkan
