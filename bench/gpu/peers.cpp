// Times earlier kernels' algorithms (bench/peers/peer_kernels.h) on a GPU, beside the default
// schedule, the winner in use and a device copy of the same bytes: interleaved in one run, on
// rotating buffers, sums cleared where a kernel needs it. Answers are checked first.
//
//   build/bin/bench_gpu_peers [--device cuda:0] [--channels 768] [--groups 8] [--rows 25216]
//                             [--rounds 30]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "bench/gpu/own_driver.h"
#include "bench/guarded.h"
#include "bench/peers/peer_kernels.h"
#include "codegen/cuda/nvrtc.h"
#include "core/check.h"
#include "core/error.h"
#include "core/sample_run.h"
#include "runtime/plan.h"
#include "tuner/search/statistics.h"
#include "tuner/workbench.h"

namespace grkan {
namespace {

// KAT's kernel takes a thousand times as long as others.
constexpr int kKatRounds = 3;
constexpr std::size_t kMemory = std::size_t{16} << 30;

struct Options {
  std::string device = "cuda:0";
  std::int64_t channels = 768;
  int groups = 8;
  std::int64_t rows = 25216;
  int rounds = 30;
};

// A peer as a kernel of the device whose context is current.
class GpuPeer final : public Kernel {
 public:
  GpuPeer(const PeerKernel& kernel, const OwnDriver& driver, const Target& target,
          std::int64_t rows)
      : Kernel(kernel.task, kernel.error_schedule(rows)), kernel_(kernel), driver_(driver) {
    library_ = driver_.load(
        nvrtc_compile(choose_nvrtc(target), kernel.text, kernel.symbol + ".cu", target).cubin);
    function_ = driver_.function(library_, kernel.symbol.c_str());
  }
  ~GpuPeer() override { driver_->library_unload(library_); }
  GpuPeer(const GpuPeer&) = delete;
  GpuPeer& operator=(const GpuPeer&) = delete;

  [[nodiscard]] std::size_t workspace_size(std::int64_t /*rows*/,
                                           std::int64_t /*inner*/) const override {
    return 0;
  }
  void run(const Call& call, const Workspace& workspace) const override {
    const Problem& p = task().problem;
    auto* stream = static_cast<cuda::Stream>(workspace.stream);
    const auto clear = [&](void* sums, std::int64_t count) {
      driver_->check(driver_->memset_async(reinterpret_cast<cuda::Pointer>(sums), 0,
                                           std::size_t(count) * sizeof(float), stream),
                     "cuMemsetD8Async");
    };
    clear(call.da, p.numerator_groups * p.numerator_terms());
    clear(call.db, p.denominator_groups * p.denominator_terms());
    PeerCall argument = peer_call(kernel_, call);
    std::array<void*, 1> parameters = {&argument};
    const vgpu::Dim3 grid = kernel_.grid(call.rows);
    driver_->check(driver_->launch_kernel(function_, grid.x, grid.y, 1, unsigned(kernel_.threads),
                                          1, 1, 0, stream, parameters.data(), nullptr),
                   "cuLaunchKernel");
  }

 private:
  PeerKernel kernel_;
  const OwnDriver& driver_;
  cuda::Library library_ = nullptr;
  cuda::Function function_ = nullptr;
};

struct Line {
  std::string name;
  std::shared_ptr<const Kernel> kernel;  // null: a copy
  int rounds = 0;
  double error = 0;  // over its bound
  std::vector<double> seconds = {};
};

double checked_error(Device& device, const Kernel& kernel, std::int64_t rows) {
  Sample sample(kernel.task(), {.rows = rows});
  const Reference reference = make_reference(kernel.task(), sample.call());
  run_sample(device, kernel, sample);
  return compare(kernel.task(), kernel.schedule(), reference, sample.call()).scaled();
}

std::vector<Line> lines_of(Context& context, Device& device, const OwnDriver& driver,
                           const Task& task, const Options& options) {
  std::vector<Line> lines;
  for (const Peer peer : kPeers) {
    lines.push_back({.name = std::string(to_string(peer)) + "'s algorithm",
                     .kernel = std::make_shared<GpuPeer>(peer_kernel(peer, task), driver,
                                                         device.target(), options.rows),
                     .rounds = peer == Peer::kat ? kKatRounds : options.rounds});
  }
  const Schedule standard = default_schedule(task, device.target(), options.rows);
  lines.push_back({.name = "grkan, default",
                   .kernel = context.kernel(device, task, standard),
                   .rounds = options.rounds});
  Plan plan(context, task.problem, options.device, task.gradients);
  const Choice choice = plan.choose(task.direction, options.rows, 1);
  if (choice.schedule != standard) {
    lines.push_back({.name = "grkan, " + choice.evidence,
                     .kernel = context.kernel(device, task, choice.schedule),
                     .rounds = options.rounds});
  }
  const std::int64_t checked = checked_rows(task, options.rows, 1);
  for (Line& line : lines) line.error = checked_error(device, *line.kernel, checked);
  lines.push_back({.name = "device copy", .kernel = nullptr, .rounds = options.rounds});
  return lines;
}

void time_lines(Workbench& bench, std::vector<Line>& lines, int rounds) {
  bench.time(*lines.at(lines.size() - 2).kernel);  // decides how often each is repeated
  for (int round = -1; round < rounds; ++round) {
    for (Line& line : lines) {
      if (round >= line.rounds) continue;
      const double seconds = line.kernel == nullptr ? bench.time_bound(BoundKind::device_copy)
                                                    : bench.time(*line.kernel);
      if (round >= 0) line.seconds.push_back(seconds);
    }
  }
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Earlier kernels' algorithms on a GPU, beside this project's");
  app.add_option("--device", options.device, "cuda:0")->capture_default_str();
  app.add_option("--channels", options.channels, "Channels")->capture_default_str();
  app.add_option("--groups", options.groups, "Groups of both")->capture_default_str();
  app.add_option("--rows", options.rows, "Rows")->capture_default_str();
  app.add_option("--rounds", options.rounds, "Rounds; of KAT's at most 3")
      ->check(CLI::Range(3, 10000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Problem problem;
  problem.channels = options.channels;
  problem.numerator_groups = problem.denominator_groups = options.groups;
  const Task task = backward_task(problem);
  Context context({.tune_memory = kMemory});
  Device& device = context.device(options.device);
  const OwnDriver driver(context, options.device);
  std::vector<Line> lines = lines_of(context, device, driver, task, options);
  const TuneSite site = context.tune_site(device);
  Workbench bench(site, task, options.rows, 1);
  time_lines(bench, lines, options.rounds);
  fmt::print("{}, {} rows, {}; {:.4g} MB a call\n", to_string(task), bench.rows(),
             device.info().model, double(bench.bytes()) * 1e-6);
  fmt::print("{:<22} {:>10} {:>8} {:>8} {:>8} {:>9} {:>12}  {}\n", "kernel", "median, us", "p10",
             "p90", "GB/s", "to first", "error/bound", "schedule");
  const auto ours = std::find_if(lines.begin(), lines.end(),
                                 [](const Line& line) { return line.name == "grkan, default"; });
  const double first = median(ours->seconds);
  for (const Line& line : lines) {
    const Summary s = summarize(line.seconds);
    fmt::print("{:<22} {:>10.2f} {:>8.2f} {:>8.2f} {:>8.0f} {:>9.3f} {:>12.3g}  {}\n", line.name,
               s.median * 1e6, s.p10 * 1e6, s.p90 * 1e6, double(bench.bytes()) / s.median * 1e-9,
               s.median / first, line.error,
               line.name.starts_with("grkan") ? to_string(line.kernel->schedule()) : "");
  }
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
