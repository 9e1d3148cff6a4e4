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
// the CUDA kernel must give the same bits in all. FlashKAT and KAT are bench/peer_kernels.h's.
//
//   build/bin/bench_gradient_error [rows [seeds]] [--width 96] [--coefficients swish]
//                                  [--schedule S] [--cuda-schedule S] [--arch sm_90] [--ulps N]
//                                  [--no-peers]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/peer_kernels.h"
#include "codegen/cuda_binary.h"
#include "core/error.h"
#include "core/sample.h"
#include "runtime/context.h"

namespace grkan {
namespace {

constexpr std::int64_t kGroups = 8;
constexpr int kM = 5;
constexpr int kN = 4;
constexpr int kTerms = kM + 1 + kN;
constexpr int kMultiprocessors = 132;
constexpr std::size_t kMemoryBytes = std::size_t{1} << 36;
constexpr std::uint64_t kOrders = 3;

// swish(x) = x / 2 + x / 2 tanh(x / 2), with the Pade approximant
// tanh(u) = u (105 + 10 u^2) / (105 + 45 u^2 + u^4).
constexpr std::array<double, kM + 1> kSwishA = {0, 0.5, 0.25, 3.0 / 56, 1.0 / 168, 1.0 / 3360};
constexpr std::array<double, kN> kSwishB = {0, 3.0 / 28, 0, 1.0 / 1680};

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

// The terms of one element in an arithmetic F, in the kernels' order of operations.
template <class F>
struct Terms {
  F value[kTerms];

  Terms(const F* a, const F* b, F x, F dy) {
    F p = a[kM];
    for (int i = kM - 1; i >= 0; --i) p = std::fma(p, x, a[i]);
    const F ax = std::fabs(x);
    F q = std::fabs(b[kN - 1]);
    for (int i = kN - 2; i >= 0; --i) q = std::fma(q, ax, std::fabs(b[i]));
    q = std::fma(q, ax, F(1));
    const F r = F(1) / q;
    const F w = dy * r;
    const F v = -(w * (p * r));
    F power = 1;
    for (int i = 0; i <= kM; ++i, power *= x) value[i] = w * power;
    power = ax;
    for (int i = 0; i < kN; ++i, power *= ax) {
      value[kM + 1 + i] = (b[i] < 0 ? F(-1) : F(1)) * (v * power);
    }
  }
};

// A value for each group and term: da0 to da5, then db1 to db4.
using Sums = std::vector<double>;

float* floats(const SampleBuffer& buffer) { return reinterpret_cast<float*>(buffer.data()); }

Sums sums_in(const Sample& sample) {
  Sums sums;
  for (std::int64_t group = 0; group < kGroups; ++group) {
    const float* da = floats(sample.da) + group * (kM + 1);
    const float* db = floats(sample.db) + group * kN;
    sums.insert(sums.end(), da, da + kM + 1);
    sums.insert(sums.end(), db, db + kN);
  }
  return sums;
}

struct Exact {
  Sums terms_64 = Sums(kGroups * kTerms);  // what da and db are
  Sums terms_32 = Sums(kGroups * kTerms);  // of the terms rounded as f32 arithmetic does
};

Exact exact_sums(const Sample& sample, std::int64_t width) {
  const float* x = floats(sample.x);
  const float* dy = floats(sample.dy);
  const float* a = floats(sample.a);
  const float* b = floats(sample.b);
  const std::vector<double> a64(a, a + kGroups * (kM + 1));
  const std::vector<double> b64(b, b + kGroups * kN);
  Exact exact;
  for (std::int64_t row = 0; row < sample.options().rows; ++row) {
    for (std::int64_t group = 0; group < kGroups; ++group) {
      const std::int64_t at_a = group * (kM + 1);
      const std::int64_t at_b = group * kN;
      double* sums_64 = exact.terms_64.data() + group * kTerms;
      double* sums_32 = exact.terms_32.data() + group * kTerms;
      for (std::int64_t column = 0; column < width; ++column, ++x, ++dy) {
        const Terms<double> terms_64(a64.data() + at_a, b64.data() + at_b, *x, *dy);
        const Terms<float> terms_32(a + at_a, b + at_b, *x, *dy);
        for (int i = 0; i < kTerms; ++i) {
          sums_64[i] += terms_64.value[i];
          sums_32[i] += double(terms_32.value[i]);
        }
      }
    }
  }
  for (double& sum : exact.terms_32) sum = double(float(sum));
  return exact;
}

// Sums of |error| over what was pooled.
struct Error {
  double da = 0;
  double db = 0;
  void add(const Sums& got, const Sums& exact) {
    for (std::size_t i = 0; i < got.size(); ++i) {
      (int(i) % kTerms <= kM ? da : db) += std::fabs(got[i] - exact[i]);
    }
  }
};

// A kernel that the virtual GPU executes: an earlier one, or (no peer) this project's.
struct CudaKernel {
  std::string name;
  std::string ptx;
  std::optional<PeerKernel> peer;
  Error error = {};
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
    cuda_schedule_ = std::get<CudaSchedule>(options.cuda_schedule.empty()
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
    const Exact exact = exact_sums(sample, options_.width);
    floor_.add(exact.terms_32, exact.terms_64);
    run_cpu(sample);
    cpu_.add(sums_in(sample), exact.terms_64);
    vgpu::Memory memory(kMemoryBytes);
    vgpu::VirtualSample device(sample, memory);
    for (CudaKernel& kernel : kernels_) {
      const Sums sums = run_cuda(kernel, device, sample, seed);
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
    const auto line = [&](std::string_view name, const Error& error, std::string_view bits) {
      fmt::print("{:<10} {:>12.3g} {:>12.3g} {:>10.2f} {:>10.2f} {:>14}\n", name,
                 error.da / groups / (kM + 1), error.db / groups / kN, error.da / floor_.da,
                 error.db / floor_.db, bits);
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
  static void set_swish(Sample& sample) {
    for (std::int64_t group = 0; group < kGroups; ++group) {
      std::copy(kSwishA.begin(), kSwishA.end(), floats(sample.a) + group * (kM + 1));
      std::copy(kSwishB.begin(), kSwishB.end(), floats(sample.b) + group * kN);
    }
  }

  void run_cpu(Sample& sample) {
    Device& device = context_.device("cpu");
    const auto kernel = context_.kernel(device, task_, cpu_schedule_);
    const std::size_t bytes = kernel->workspace_size(options_.rows, 1);
    const auto workspace = device.allocate(std::max<std::size_t>(bytes, 1));
    kernel->run(sample.call(), {.data = workspace->data(), .size = bytes});
  }

  Sums run_cuda(const CudaKernel& kernel, vgpu::VirtualSample& device, const Sample& sample,
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
    return sums_in(sample);
  }

  Options options_;
  Target target_;
  Task task_;
  Context context_;
  Schedule cpu_schedule_;
  CudaSchedule cuda_schedule_;
  std::vector<CudaKernel> kernels_;
  Error floor_, cpu_;
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
