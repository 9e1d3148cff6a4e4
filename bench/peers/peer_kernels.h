// Earlier kernels' algorithms, to compare with: the backward passes of KAT and FlashKAT as CUDA C++
// of our own, from what is published about them. Theirs is who computes which element and how da
// and db are added; the polynomials are evaluated as in this project's kernels. They are not the
// published Triton kernels, and their counts are not those kernels' (docs/earlier-kernels.md).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/call.h"
#include "core/task.h"
#include "cuda/schedule.h"
#include "tests/support/virtual_sample.h"

namespace grkan {

enum class Peer : std::uint8_t { kat, flashkat };
inline constexpr Peer kPeers[] = {Peer::kat, Peer::flashkat};
std::string_view to_string(Peer peer);  // "KAT" "FlashKAT"

struct PeerKernel {
  Peer peer = Peer::kat;
  Task task;
  std::string symbol;
  std::string text;  // CUDA C++
  int threads = 0;   // of a block
  // Steps of its loops, in the order of the source: the same for every thread and launch.
  std::span<const int> loop_steps;

  [[nodiscard]] vgpu::Dim3 grid(std::int64_t rows) const;
  // A schedule with the same length of a sum in f32: for the error bounds of core/check.h.
  [[nodiscard]] CudaSchedule error_schedule(std::int64_t rows) const;
};

// Throws unsupported unless the task is all gradients of degrees (5, 4), denominator A, f32,
// channels-last, with one group count for both.
PeerKernel peer_kernel(Peer peer, const Task& task);

// The kernel's argument, as gradient.cu declares it. da and db are zero before a launch.
struct PeerCall {
  const void* x;
  const void* dy;
  void* dx;
  const void* a;
  const void* b;
  void* da;
  void* db;
  std::int64_t rows;
};
// Throws invalid_argument unless rows are dense, and not too many.
PeerCall peer_call(const PeerKernel& kernel, const Call& call);

// Clears da and db and launches the kernel. Throws what peer_call() does.
vgpu::LaunchResult run_peer(const PeerKernel& kernel, const vgpu::Module& module,
                            const vgpu::VirtualSample& sample, const vgpu::LaunchOptions& options);

}  // namespace grkan
