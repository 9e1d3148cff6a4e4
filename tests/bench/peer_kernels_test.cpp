// The comparison kernels compute what ours do, and add as the algorithms they stand for.
#include "bench/peers/peer_kernels.h"

#include <gtest/gtest.h>

#include "codegen/cuda/nvrtc.h"
#include "core/check.h"
#include "core/error.h"
#include "tests/support/virtual_sample.h"
#include "tests/virtual_gpu/findings.h"

namespace grkan {
namespace {

// Atomics a launch must make: for KAT ten an element, for FlashKAT ten a tile.
std::uint64_t atomics_of(Peer peer, std::int64_t width, std::int64_t rows) {
  constexpr std::uint64_t kGroups = 2;
  constexpr std::uint64_t kTerms = 10;
  const std::int64_t tiles = (width + 63) / 64 * ((rows + 63) / 64);
  return kGroups * kTerms * std::uint64_t(peer == Peer::kat ? width * rows : tiles);
}

void check_peer(Peer peer, std::int64_t width, std::int64_t rows, const char* architecture) {
  Problem problem;
  problem.channels = 2 * width;
  problem.numerator_groups = problem.denominator_groups = 2;
  const Task task = backward_task(problem);
  const PeerKernel kernel = peer_kernel(peer, task);
  const Target target{architecture};
  const NvrtcOutput output =
      nvrtc_compile(choose_nvrtc(target), kernel.text, kernel.symbol + ".cu", target);
  vgpu::Memory memory(std::size_t{1} << 30);
  const vgpu::Module module(output.ptx, memory);
  Sample sample(task, {.rows = rows});
  const Reference reference = make_reference(task, sample.call());
  for (const std::uint64_t seed : {0, 5}) {
    sample.reset();
    vgpu::VirtualSample device(sample, memory);
    const vgpu::LaunchResult result = run_peer(kernel, module, device, {.seed = seed});
    device.read_back();
    EXPECT_EQ(describe(result.findings), "");
    EXPECT_EQ(result.counts.atomics, atomics_of(peer, width, rows));
    EXPECT_EQ(result.counts.atomic_addresses, 20U);
    EXPECT_EQ(result.counts.most_atomics, atomics_of(peer, width, rows) / 20);
    const Schedule schedule = kernel.error_schedule(rows);
    const TensorErrors errors = compare(task, schedule, reference, sample.call());
    EXPECT_TRUE(errors.passes()) << to_string(peer) << ", width " << width << ", " << architecture
                                 << ": " << errors.why_failed();
    EXPECT_EQ(sample.why_damaged(), "");
  }
}

TEST(PeerKernels, MatchTheReference) {
  if (find_nvrtcs().empty()) GTEST_SKIP() << "SKIP: no NVRTC on this machine";
  for (const Peer peer : kPeers) {
    for (const char* architecture : {"sm_80", "sm_100"}) {
      check_peer(peer, 24, 150, architecture);  // a tile wider than the group, a short last one
      check_peer(peer, 96, 64, architecture);   // two tiles side by side, one of them half idle
    }
    check_peer(peer, 384, 3, "sm_90");
  }
}

TEST(PeerKernels, OtherTasksAreRefused) {
  for (const char* text :
       {"forward/p5q4-A-c192-g8-f32-last", "backward.dx/p5q4-A-c192-g8-f32-last",
        "backward.dx.da.db/p5q4-B-c192-g8-f32-last", "backward.dx.da.db/p5q4-A-c192-g1x8-f32-last",
        "backward.dx.da.db/p5q4-A-c192-g8-bf16-last"}) {
    EXPECT_THROW(peer_kernel(Peer::kat, parse_task(text)), Error) << text;
  }
}

}  // namespace
}  // namespace grkan
