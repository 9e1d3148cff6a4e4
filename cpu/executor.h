// The CPU executor: runs a kernel over all slices of a call, on the threads of a pool, and brings
// the slices' sums together in slice order. Everything it needs lies in the caller's workspace and
// on the workers' stacks.
//
// Workspace, each part 64-byte aligned:
//   planes    expand: a and b of every column, [m + 1][channels] and [terms][channels]; bcast,
//   where
//             the caller's are of 16 bits: a and b in f32
//   partials  with sums: double[slices][partial_doubles]: da and db of one slice, reduced from the
//             lanes of an area
//   areas     with sums: what kernels add into (CpuCall::sums); one for each slice under way, so
//             that it stays in a core's cache from slice to slice
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/call.h"
#include "core/device.h"
#include "core/task.h"
#include "cpu/call.h"
#include "cpu/schedule.h"
#include "cpu/slices.h"
#include "cpu/thread_pool.h"

namespace grkan {

class CpuExecutor {
 public:
  // kernel: generated for the task and schedule; null: the portable kernel.
  CpuExecutor(const Task& task, const CpuSchedule& schedule, CpuKernel kernel, ThreadPool& pool);

  [[nodiscard]] std::size_t workspace_size(std::int64_t rows, std::int64_t inner) const;
  // Starts the pool's threads where a call of this size would use them.
  void get_ready(std::int64_t rows, std::int64_t inner) const;
  // rows and inner are positive. On at most `threads` threads (0: all).
  void run(const Call& call, void* workspace, int threads = 0) const;

 private:
  struct Layout {
    std::size_t planes_b = 0;  // offsets in bytes
    std::size_t partials = 0;
    std::size_t areas = 0;
    std::size_t bytes = 0;
    int area_count = 0;
  };
  struct Job;

  // a and b lie in the workspace, not where the caller has them.
  [[nodiscard]] bool planes() const { return expanded_ || task_.problem.half_coefficients; }
  [[nodiscard]] Layout layout(std::int64_t slices) const;
  void make_planes(const Call& call, std::byte* workspace, const Layout& layout) const;
  void run_slice(Job& job, std::int64_t index) const;
  void reduce_lanes(const double* area, std::int64_t segments, std::int64_t first_segment,
                    double* partial) const;
  void add_partials(double* partials, std::int64_t slices) const;
  void finish(const Call& call, const double* partial) const;

  Task task_;
  CpuSchedule schedule_;
  CpuKernel kernel_;
  ThreadPool& pool_;
  SliceShape shape_;
  bool expanded_;
  bool compensated_;        // f64: each partial sum is followed by its compensation
  std::int64_t units_ = 0;  // what the kernel calls segments: of a row, or vectors of columns
  std::int64_t unit_doubles_ = 0;  // of an area
  std::int64_t partial_doubles_ = 0;
  std::int64_t da_entries_ = 0;  // of a partial sum; db's follow
  std::int64_t db_entries_ = 0;
  std::size_t x_size_ = 0;  // of an element
  std::size_t dy_size_ = 0;
  std::size_t out_size_ = 0;
};

}  // namespace grkan
