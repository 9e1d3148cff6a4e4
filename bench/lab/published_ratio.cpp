// A check of the cost model from outside: how much slower KAT's order of sums is than FlashKAT's on
// a GPU that is not here, beside what FlashKAT's authors published. Both algorithms (bench/peers)
// are executed on the virtual GPU at a few rows, and their counts scaled to the published call.
// This project's kernel stands beside them. All times are predictions.
//
//   build/bin/bench_published_ratio [--gpu rtx4060ti] [--rows 201728]
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/lab/executed_call.h"
#include "bench/peers/peer_kernels.h"
#include "codegen/compiler.h"
#include "codegen/cuda/nvrtc.h"
#include "core/error.h"
#include "cuda/cost_model.h"

namespace grkan {
namespace {

// FlashKAT (arXiv 2505.13813): backward of [1024 x 197, 768], 8 groups, degrees (5, 4), f32.
constexpr double kKatSeconds = 1.03;
constexpr double kFlashKatSeconds = 7.33e-3;
constexpr std::int64_t kChannels = 768;
constexpr std::int64_t kGroups = 8;
constexpr std::int64_t kRows = std::int64_t{1024} * 197;
constexpr std::int64_t kExecutedRows = 1024;  // whole tiles of FlashKAT's
constexpr double kTile = 64;

struct Options {
  GpuModel gpu;
  std::int64_t rows = kRows;
};

std::vector<LaunchFacts> facts_of(Peer peer, const Task& task, const Options& options) {
  const PeerKernel kernel = peer_kernel(peer, task);
  const NvrtcOutput output = nvrtc_compile(choose_nvrtc(target_of(options.gpu)), kernel.text,
                                           kernel.symbol + ".cu", target_of(options.gpu));
  vgpu::Memory memory(kDeviceMemory);
  const vgpu::Module module(output.ptx, memory);
  Sample sample(task, {.rows = kExecutedRows});
  const vgpu::VirtualSample device(sample, memory);
  const vgpu::LaunchResult result = run_peer(kernel, module, device, {});
  const nlohmann::json launch =
      report_launch(result, read_ptxas_log(output.log, output.cubin).at(0),
                    kernel.grid(kExecutedRows), {std::uint32_t(kernel.threads), 1, 1}, options.gpu);
  LaunchFacts facts = scaled(launch_facts(launch), double(options.rows) / double(kExecutedRows));
  const double elements = double(options.rows) * double(task.problem.channels);
  facts.dram_bytes = 12 * elements;
  facts.streamed_bytes = 8 * elements;
  facts.round_trips = 1;  // the coefficients
  // x and dy: of one element; of four rows, in lanes that have a column.
  const auto width = double(task.problem.segment_width());
  const double busy = width / (std::ceil(width / kTile) * kTile);
  facts.bytes_ahead = peer == Peer::kat ? 8 : 4 * 8 * busy;
  facts.independent = peer == Peer::kat ? 2 : 4 * 2;
  LaunchFacts clear;
  clear.kernel = "memset";
  clear.executed = true;
  return {clear, clear, facts};  // of da and of db
}

std::vector<LaunchFacts> own_facts(const Task& task, const Options& options) {
  GpuCall call{.task = task, .schedule = {}, .gpu = options.gpu, .rows = options.rows};
  const Target target = target_of(options.gpu);
  call.schedule = CudaSchedule(default_schedule(task, target, options.rows));
  return execute(call, compile_cuda(task, call.schedule, target));
}

void print_line(std::string_view name, const Prediction& p) {
  fmt::print("{:<9} {:>9.3f} {:>7.2f}  {:<10}", name, p.ns * 1e-6, p.fraction_of_floor(),
             to_string(p.bound()));
  for (std::size_t i = 0; i < kResources; ++i) {
    if (p.parts_ns.at(i) > 0.02 * p.ns) {
      fmt::print("  {} {:.3f}", to_string(Resource(i)), p.parts_ns.at(i) * 1e-6);
    }
  }
  fmt::print("\n");
}

Options read(int argc, char** argv) {
  Options options;
  std::string gpu = "rtx4060ti";
  CLI::App app{"KAT's time over FlashKAT's, predicted and as published"};
  app.add_option("--gpu", gpu, "GPU model")->capture_default_str();
  app.add_option("--rows", options.rows, "Rows")->check(CLI::PositiveNumber)->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  options.gpu = gpu_model(gpu);
  return options;
}

int run(int argc, char** argv) {
  const Options options = read(argc, argv);
  Problem problem;
  problem.channels = kChannels;
  problem.numerator_groups = problem.denominator_groups = kGroups;
  const Task task = backward_task(problem);
  fmt::print("{}, {} rows, {}. Predicted, from counts executed on the virtual GPU.\n\n",
             to_string(task), options.rows, options.gpu.marketing);
  fmt::print("{:<9} {:>9} {:>7}  {:<10}  parts of it, ms (they overlap)\n", "kernel", "ms", "floor",
             "bound by");
  const Prediction kat = predict(facts_of(Peer::kat, task, options), options.gpu);
  const Prediction flashkat = predict(facts_of(Peer::flashkat, task, options), options.gpu);
  print_line("KAT", kat);
  print_line("FlashKAT", flashkat);
  print_line("grkan", predict(own_facts(task, options), options.gpu));
  fmt::print("\nKAT / FlashKAT: predicted {:.0f}; published {:.0f} ({} s and {} ms, {} rows)\n",
             kat.ns / flashkat.ns, kKatSeconds / kFlashKatSeconds, kKatSeconds,
             kFlashKatSeconds * 1e3, kRows);
  fmt::print("\nAssumed figures behind KAT's:\n  {}\n", fmt::join(kat.assumed, "\n  "));
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
