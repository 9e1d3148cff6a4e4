#include "bench/peers/peer_kernels.h"

#include <fmt/format.h>

#include <array>

#include "bench/peers/sources.h"
#include "core/error.h"

namespace grkan {
namespace {

constexpr std::int64_t kTile = 64;                            // rows and columns of FlashKAT's tile
constexpr std::int64_t kMaxElements = std::int64_t{1} << 32;  // KAT's are counted in 32 bits
constexpr std::array kFlashKatSteps = {
    8};  // of four rows, for each of a block's two rows of threads

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

void check_task(const Task& task) {
  const Problem& p = task.problem;
  Problem expected;
  expected.channels = p.channels;
  expected.numerator_groups = expected.denominator_groups = p.numerator_groups;
  if (task == backward_task(expected)) return;
  fail(Status::unsupported,
       "earlier kernels are here for backward.dx.da.db/p5q4-A-c<channels>-g<groups>-f32-last, not "
       "for {}",
       to_string(task));
}

}  // namespace

std::string_view to_string(Peer peer) { return peer == Peer::kat ? "KAT" : "FlashKAT"; }

PeerKernel peer_kernel(Peer peer, const Task& task) {
  check_task(task);
  const bool kat = peer == Peer::kat;
  PeerKernel kernel;
  kernel.peer = peer;
  kernel.task = task;
  kernel.symbol = kat ? "kat_backward" : "flashkat_backward";
  kernel.threads = kat ? 256 : 128;
  if (!kat) kernel.loop_steps = kFlashKatSteps;
  const Problem& p = task.problem;
  kernel.text = fmt::format(
      "constexpr int kWidth = {};\nconstexpr int kGroups = {};\nconstexpr int kThreads = {};\n{}{}",
      p.segment_width(), p.numerator_groups, kernel.threads, kPeerGradient,
      kat ? kPeerKat : kPeerFlashKat);
  return kernel;
}

vgpu::Dim3 PeerKernel::grid(std::int64_t rows) const {
  const Problem& p = task.problem;
  if (peer == Peer::kat) return {std::uint32_t(ceil_div(rows * p.channels, threads)), 1, 1};
  const std::int64_t tiles = p.numerator_groups * ceil_div(p.segment_width(), kTile);
  return {std::uint32_t(tiles), std::uint32_t(ceil_div(rows, kTile)), 1};
}

CudaSchedule PeerKernel::error_schedule(std::int64_t rows) const {
  const std::int64_t width = task.problem.segment_width();
  CudaSchedule schedule{.columns = 1, .rows_in_flight = 1};
  schedule.sums = CudaSchedule::two_pass;
  // FlashKAT: a thread's terms, the steps between threads and warps, then a term for each tile.
  const std::int64_t tiles = ceil_div(width, kTile) * ceil_div(rows, kTile);
  schedule.run = int(peer == Peer::kat ? rows * width : kTile + tiles);
  return schedule;
}

PeerCall peer_call(const PeerKernel& kernel, const Call& call) {
  const Problem& p = kernel.task.problem;
  for (const std::int64_t stride : {call.x_stride, call.dy_stride, call.out_stride}) {
    if (stride != p.channels) {
      fail_argument("earlier kernels take dense rows; a stride is {} for {} channels", stride,
                    p.channels);
    }
  }
  if (call.rows < 1 || call.rows * p.channels >= kMaxElements) {
    fail_argument("earlier kernels take 1 to {} elements, not {} rows of {}", kMaxElements - 1,
                  call.rows, p.channels);
  }
  return {call.x, call.dy, call.out, call.a, call.b, call.da, call.db, call.rows};
}

vgpu::LaunchResult run_peer(const PeerKernel& kernel, const vgpu::Module& module,
                            const vgpu::VirtualSample& sample, const vgpu::LaunchOptions& options) {
  const Call call = sample.call();
  const Problem& p = kernel.task.problem;
  const PeerCall argument = peer_call(kernel, call);
  const std::uint32_t zero = 0;
  const auto clear = [&](void* sums, std::int64_t count) {
    sample.memory().set(reinterpret_cast<std::uint64_t>(sums), &zero, sizeof zero,
                        std::size_t(count));
  };
  clear(call.da, p.numerator_groups * p.numerator_terms());
  clear(call.db, p.denominator_groups * p.denominator_terms());
  const vgpu::ModuleKernel* entry = module.kernel(kernel.symbol);
  if (entry == nullptr) fail(Status::internal, "the module has no kernel {}", kernel.symbol);
  return vgpu::launch(*entry, kernel.grid(call.rows), {std::uint32_t(kernel.threads), 1, 1}, 0,
                      std::as_bytes(std::span(&argument, 1)), sample.memory(), options);
}

}  // namespace grkan
