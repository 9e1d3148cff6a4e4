// How fast the virtual GPU executes this project's own kernels, and what each check costs: thread
// instructions a second, forward and backward, on one and two threads of the host; with all checks,
// with none, and with each one off. All are timed in turn, round after round; medians.
//
//   build/bin/bench_virtual_gpu [rows [rounds]]
#include <fmt/format.h>

#include <chrono>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "codegen/cuda/binary.h"
#include "codegen/cuda/nvrtc.h"
#include "core/error.h"
#include "tests/support/virtual_sample.h"
#include "tuner/search/statistics.h"

namespace grkan {
namespace {

constexpr const char* kTasks[] = {"forward/p5q4-A-c768-g8-f32-last",
                                  "backward.dx.da.db/p5q4-A-c768-g8-f32-last"};
constexpr int kMultiprocessors = 132;

// A set of checks and the times of a run with it.
struct Setting {
  std::string name;
  std::bitset<vgpu::kChecks> checks;
  std::vector<double> seconds;
};

std::vector<Setting> settings() {
  const auto all = std::bitset<vgpu::kChecks>().set();
  std::vector<Setting> list = {{"all", all, {}}, {"none", {}, {}}};
  for (int check = 0; check < vgpu::kChecks; ++check) {
    auto checks = all;
    checks.reset(std::size_t(check));
    list.push_back({fmt::format("without {}", to_string(vgpu::Check(check))), checks, {}});
  }
  return list;
}

void time_task(const char* text, std::int64_t rows, int rounds, int threads) {
  const Task task = parse_task(text);
  const Target target{"sm_90"};
  const auto schedule = CudaSchedule(default_schedule(task, target, rows));
  Sample sample(task, {.rows = rows});
  vgpu::Memory memory(std::size_t{1} << 33);
  const vgpu::Module module(build_cuda(task, schedule, target).output.ptx, memory);
  std::vector<Setting> list = settings();
  std::uint64_t instructions = 0;
  for (int round = 0; round < rounds; ++round) {
    for (Setting& setting : list) {
      sample.reset();
      vgpu::VirtualSample device(sample, memory);
      vgpu::LaunchOptions options;
      options.checks = setting.checks;
      options.threads = threads;
      const auto start = std::chrono::steady_clock::now();
      const auto results = device.run(module, schedule, kMultiprocessors, options);
      const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
      setting.seconds.push_back(time.count());
      instructions = 0;
      for (const vgpu::LaunchResult& result : results) {
        if (!result.findings.empty()) fail(Status::internal, "{}", result.findings[0].detail);
        instructions += result.counts.instructions;
      }
    }
  }
  fmt::print("\n{}, {} rows, threads={}: {:.3g} thread instructions\n", text, rows, threads,
             double(instructions));
  const double all = median(list[0].seconds);
  for (const Setting& setting : list) {
    const double seconds = median(setting.seconds);
    fmt::print("{:26}{:8.1f} ms  {:.2f}e9 a second", setting.name, 1e3 * seconds,
               1e-9 * double(instructions) / seconds);
    if (&setting != list.data()) fmt::print("  {:+.1f} %", 100 * (all - seconds) / seconds);
    fmt::print("\n");
  }
}

int run(int argc, char** argv) {
  const std::int64_t rows = argc > 1 ? std::stoll(argv[1]) : 4096;
  const int rounds = argc > 2 ? std::stoi(argv[2]) : 15;
  if (rows < 1 || rounds < 1) fail_argument("rows and rounds are positive numbers");
  fmt::print("the last column: what these checks cost beside all of them\n");
  for (const char* task : kTasks) {
    for (const int threads : {1, 2}) time_task(task, rows, rounds, threads);
  }
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
