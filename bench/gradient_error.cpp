// Rounding error of da and db in f32: mean absolute error, pooled over groups and seeds, beside the
// floor.
//
//   floor      the terms in f32, their sum exact: no f32 kernel can do much better
//   cpu        this project's CPU kernel (the default schedule, or --schedule)
//   cuda       this project's CUDA kernel (the default one for sm_90, or --cuda-schedule)
//   FlashKAT   sums over tiles of 64 rows and 64 columns, then one f32 add after another
//   KAT        one f32 add for every element
//
// x and dy are N(0, 1). All but the CPU's are CUDA sources, executed by the virtual GPU with blocks
// and warps in an order shuffled by the sample's seed; the first sample runs in three orders, and
// the CUDA kernel must give the same bits in all. FlashKAT and KAT are
// bench/peers/peer_kernels.h's.
//
//   build/bin/bench_gradient_error [rows [seeds]] [--width 96] [--coefficients swish]
//                                  [--schedule S] [--cuda-schedule S] [--arch sm_90] [--ulps N]
//                                  [--no-peers]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "bench/gradient_floor.h"
#include "bench/guarded.h"
#include "bench/peers/peer_kernels.h"
#include "codegen/cuda/binary.h"
#include "core/error.h"
#include "core/sample.h"
#include "runtime/context.h"

namespace grkan {
namespace {

constexpr std::int64_t kGroups = 8;
constexpr int kMultiprocessors = 132;
constexpr std::size_t kMemoryBytes = std::size_t{1} << 36;
constexpr std::uint64_t kOrders = 3;

struct Options {
  std::int64_t rows = 25216;
  std::int64_t seeds = 8;
  std::int64_t width = 96;
  std::string coefficients = "swish";
  std::string schedule;
  std::string cuda_schedule;
  std::string arch = "sm_90";
  int ulps = 0;
  bool peers = true;
};

// A kernel that the virtual GPU executes: an earlier one, or (no peer) this project's.
struct CudaKernel {
  std::string name;
  std::string ptx;
  std::optional<PeerKernel> peer;
  GradientError error = {};
  bool same_bits = true;
};

class Measurement {
 public:
  explicit Measurement(const Options& options)
      : options_(options), target_(parse_target(options.arch)) {
    Problem problem;
    problem.channels = options.width * kGroups;
    problem.numerator_groups = problem.denominator_groups = kGroups;
    task_ = backward_task(problem);
    const Target cpu = context_.device("cpu").target();
    cpu_schedule_ = options.schedule.empty() ? default_schedule(task_, cpu, options.rows)
                                             : parse_schedule(options.schedule, cpu);
    cuda_schedule_ = CudaSchedule(options.cuda_schedule.empty()
                                      ? default_schedule(task_, target_, options.rows)
                                      : parse_schedule(options.cuda_schedule, target_));
    kernels_.push_back(
        {.name = "cuda", .ptx = build_cuda(task_, cuda_schedule_, target_).output.ptx, .peer = {}});
    for (const Peer peer : {Peer::flashkat, Peer::kat}) {
      if (!options.peers) continue;
      const PeerKernel kernel = peer_kernel(peer, task_);
      const NvrtcOutput output =
          nvrtc_compile(choose_nvrtc(target_), kernel.text, kernel.symbol + ".cu", target_);
      kernels_.push_back({.name = std::string(to_string(peer)), .ptx = output.ptx, .peer = kernel});
    }
  }

  void add_sample(std::uint64_t seed) {
    Sample sample(task_, {.rows = options_.rows, .seed = seed});
    if (options_.coefficients == "swish") set_swish(sample);
    const ExactSums exact = exact_sums(sample);
    floor_.add(exact.terms_32, exact.terms_64);
    run_cpu(sample);
    cpu_.add(gradient_sums(sample), exact.terms_64);
    vgpu::Memory memory(kMemoryBytes);
    vgpu::VirtualSample device(sample, memory);
    for (CudaKernel& kernel : kernels_) {
      const GradientSums sums = run_cuda(kernel, device, sample, seed);
      kernel.error.add(sums, exact.terms_64);
      for (std::uint64_t order = 1; seed == 1 && order < kOrders; ++order) {
        if (run_cuda(kernel, device, sample, seed + order) != sums) kernel.same_bits = false;
      }
    }
  }

  void print() const {
    const auto groups = double(options_.seeds * kGroups);
    fmt::print("{}, {} rows, {} coefficients, {:.0f} groups pooled, seeds 1 to {}\n",
               to_string(task_), options_.rows, options_.coefficients, groups, options_.seeds);
    fmt::print("cpu {}; cuda {}, {}, {} multiprocessors\n", to_string(cpu_schedule_),
               to_string(Schedule(cuda_schedule_)), target_.name, kMultiprocessors);
    fmt::print("{:<10} {:>12} {:>12} {:>10} {:>10} {:>14}\n", "order", "da", "db", "da/floor",
               "db/floor", "bits, 3 orders");
    const auto line = [&](std::string_view name, const GradientError& error,
                          std::string_view bits) {
      fmt::print("{:<10} {:>12.3g} {:>12.3g} {:>10.2f} {:>10.2f} {:>14}\n", name,
                 error.da / groups / double(task_.problem.numerator_terms()),
                 error.db / groups / double(task_.problem.denominator_terms()),
                 error.da / floor_.da, error.db / floor_.db, bits);
    };
    line("floor", floor_, "");
    line("cpu", cpu_, "");
    for (const CudaKernel& kernel : kernels_) {
      line(kernel.name, kernel.error, kernel.same_bits ? "the same" : "differ");
    }
  }

  // Of this project's kernel.
  [[nodiscard]] bool same_bits() const { return kernels_.front().same_bits; }

 private:
  void run_cpu(Sample& sample) {
    Device& device = context_.device("cpu");
    const auto kernel = context_.kernel(device, task_, cpu_schedule_);
    const std::size_t bytes = kernel->workspace_size(options_.rows, 1);
    const auto workspace = device.allocate(std::max<std::size_t>(bytes, 1));
    kernel->run(sample.call(), {.data = workspace->data(), .size = bytes});
  }

  GradientSums run_cuda(const CudaKernel& kernel, vgpu::VirtualSample& device, const Sample& sample,
                        std::uint64_t order) const {
    const vgpu::Module module(kernel.ptx, device.memory());
    const vgpu::LaunchOptions options{.seed = order, .approximation_ulps = options_.ulps};
    std::vector<vgpu::LaunchResult> results;
    if (kernel.peer) {
      results.push_back(run_peer(*kernel.peer, module, device, options));
    } else {
      results = device.run(module, cuda_schedule_, kMultiprocessors, options);
    }
    device.read_back();
    for (const vgpu::LaunchResult& result : results) {
      if (result.findings.empty()) continue;
      const vgpu::Finding& f = result.findings.front();
      fail(Status::wrong_answer, "{}: {} at '{}': {}", f.kernel, to_string(f.check), f.instruction,
           f.detail);
    }
    return gradient_sums(sample);
  }

  Options options_;
  Target target_;
  Task task_;
  Context context_;
  Schedule cpu_schedule_;
  CudaSchedule cuda_schedule_;
  std::vector<CudaKernel> kernels_;
  GradientError floor_, cpu_;
};

Options read(int argc, char** argv) {
  Options options;
  CLI::App app{"Rounding error of da and db in f32 beside the floor"};
  app.add_option("rows", options.rows, "Rows")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("seeds", options.seeds, "Samples of 8 groups")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--width", options.width, "Channels of a group")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--coefficients", options.coefficients, "swish, or random as tests have them")
      ->check(CLI::IsMember({"swish", "random"}))
      ->capture_default_str();
  app.add_option("--schedule", options.schedule, "Of the CPU kernel");
  app.add_option("--cuda-schedule", options.cuda_schedule, "Of the CUDA kernel");
  app.add_option("--arch", options.arch, "Of the GPU")->capture_default_str();
  app.add_option("--ulps", options.ulps, "Approximate reciprocals are off by up to so many units")
      ->capture_default_str();
  app.add_flag("!--no-peers", options.peers, "Without FlashKAT and KAT");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

int run(int argc, char** argv) {
  const Options options = read(argc, argv);
  Measurement measurement(options);
  for (std::int64_t seed = 1; seed <= options.seeds; ++seed) {
    measurement.add_sample(std::uint64_t(seed));
  }
  measurement.print();
  if (measurement.same_bits()) return 0;
  fmt::print(stderr, "the CUDA kernel's gradients depend on the order of blocks and warps\n");
  return 1;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
