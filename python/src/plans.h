// Plans for the calls of a framework: a problem on a device has one, made at its first call and
// kept for the life of the process. Over grkan.h alone; knows no framework.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "grkan.h"

namespace grkan::frameworks {

inline constexpr std::int32_t kCpu = -1;

struct PlanKey {
  grkan_problem problem;
  grkan_parallel_for pool;   // the framework's threads; nullptr: grkan's own
  std::int32_t device;       // kCpu, or the number of a CUDA device
  std::int16_t threads;      // of a CPU's plan: those of the pool, which its winners are for
  std::int16_t determinism;  // GRKAN_DETERMINISM_
};
inline constexpr std::int16_t kMostThreads = 1024;                 // grkan.h's
static_assert(std::has_unique_object_representations_v<PlanKey>);  // compared and hashed as bytes

// The plan for all gradients, of which a call may leave out some. Without a lock in the usual case.
// After any other status than GRKAN_OK, grkan_last_error() tells.
grkan_status find_plan(const PlanKey& key, grkan_plan** plan);

// Whether this process came out of a fork of one that had loaded this library: threads of a
// framework that were running then are gone, and most frameworks' pools wait for them for ever.
// find_plan then starts afresh: nothing that the parent held locked is touched.
bool forked();

// CPU memory for one call at a time of this thread, aligned to 64 bytes, any contents; nullptr
// where there is not so much. Kept between calls unless it is large.
class Workspace {
 public:
  explicit Workspace(std::size_t bytes);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  [[nodiscard]] void* data() const { return data_; }

 private:
  void* data_;
  bool own_;  // not the thread's
};

// Huge pages for a new output of so many bytes or more, before its first touch: page faults would
// take longer than the kernel. Below, nothing is done.
inline constexpr std::size_t kHuge = std::size_t{4} << 20;
void ask_for_huge_pages(void* data, std::size_t bytes);

}  // namespace grkan::frameworks
