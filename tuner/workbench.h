// Workbench: private buffers on which a task's kernels, and its memory bound, are timed at one
// size. Never the user's: kernels that work in place or accumulate would corrupt them. Calls rotate
// among buffers of at least three times the last-level cache, as a model's layers do.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/device.h"
#include "core/task.h"
#include "tuner/site.h"

namespace grkan {

class Workbench {
 public:
  // rows and inner are positive. Takes fewer rows where the site's memory, or the device, has too
  // little; throws out_of_memory where not even one row fits.
  Workbench(const TuneSite& site, const Task& task, std::int64_t rows, std::int64_t inner);
  ~Workbench();
  Workbench(const Workbench&) = delete;
  Workbench& operator=(const Workbench&) = delete;

  // The rows that are timed; less than asked for where memory is short.
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  // Bytes of the tensors that one call reads and writes.
  [[nodiscard]] std::int64_t bytes() const { return rows_ * row_bytes_; }

  // Runs one call.
  void run(const Kernel& kernel);
  // Seconds of one call, everything the kernel needs counted in. Short calls are repeated until
  // they fill 100 microseconds, on a GPU about 500, and the mean is given. There they are queued
  // behind one that is not timed: the device's time, not the launching thread's, where calls are
  // long enough to launch one ahead.
  double time(const Kernel& kernel);
  // Seconds of a memory bound that applies here (Device::bound_kinds), on the same buffers.
  double time_bound(BoundKind kind);
  [[nodiscard]] std::vector<BoundKind> bound_kinds() const { return device_.bound_kinds(task_); }

 private:
  struct Set {  // the tensors of one call
    std::unique_ptr<DeviceMemory> x, dy, out;
  };

  void allocate(std::size_t limit);
  void fill(DeviceMemory& memory, Type type) const;
  void fill_coefficients();
  [[nodiscard]] Call next_call();
  void run_bound_once(BoundKind kind);
  template <class Run>
  double time_repeated(int& repeats, const Run& run);

  Device& device_;
  Task task_;
  std::int64_t rows_;
  std::int64_t inner_;
  std::int64_t row_elements_;
  std::int64_t row_bytes_;
  std::vector<Set> sets_;
  std::size_t next_ = 0;
  int repeats_ = 0;  // of a call in one timing; 0: not known yet
  int bound_repeats_ = 0;
  std::unique_ptr<DeviceMemory> a_, b_, da_, db_, workspace_;
  std::unique_ptr<Timer> timer_;  // once something is timed
};

}  // namespace grkan
