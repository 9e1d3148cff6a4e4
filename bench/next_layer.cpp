// Whether stores past the caches pay where the next layer reads what was stored, timed on this
// machine's CPU: a forward call x to y, alone and with a call y to z behind it, with y stored past
// the caches or into them. "cold": buffers rotate among far more than the last-level cache, as
// tuning times them; "reused": the same buffers again and again, as where an allocator hands out
// the same memory.
//
//   build/bin/bench_next_layer [--rounds 30] [--threads 0]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "bench/guarded.h"
#include "bench/temporary_folder.h"
#include "core/device.h"
#include "core/device_info.h"
#include "core/print.h"
#include "cpu/schedule.h"
#include "runtime/context.h"
#include "tuner/search/statistics.h"

namespace grkan {
namespace {

constexpr std::int64_t kChannels = 768;
constexpr std::size_t kCold = std::size_t{128} << 20;  // of each tensor
constexpr double kSample = 2e-3;                       // seconds

using Tensors = std::array<std::unique_ptr<DeviceMemory>, 3>;  // x, y and z

class Pair {
 public:
  Pair(Context& context, std::int64_t rows, bool cold) : rows_(rows) {
    Device& cpu = context.device("cpu");
    const std::size_t bytes = std::size_t(rows * kChannels) * sizeof(float);
    const std::size_t sets = cold ? kCold / bytes + 1 : 1;
    for (std::size_t i = 0; i < sets; ++i) {
      Tensors t;
      for (auto& memory : t) memory = filled(cpu, bytes, 0.5F);
      sets_.push_back(std::move(t));
    }
    a_ = filled(cpu, std::size_t{8} * 6 * sizeof(float), 0.1F);
    b_ = filled(cpu, std::size_t{8} * 4 * sizeof(float), 0.1F);
    workspace_ = cpu.allocate(std::max<std::size_t>(64, cpu.workspace_bound(task()).bytes(1)));
  }

  static Task task() { return parse_task("forward/p5q4-A-c768-g8-f32-last"); }

  void run(const Kernel& first, const Kernel* second) {
    const Tensors& t = sets_[next_++ % sets_.size()];
    call(first, *t[0], *t[1]);
    if (second != nullptr) call(*second, *t[1], *t[2]);
  }

  // Seconds of a call or a pair, of as many as fill a sample.
  double time(const Kernel& first, const Kernel* second) {
    int runs = 0;
    const auto start = std::chrono::steady_clock::now();
    std::chrono::duration<double> spent{};
    for (; spent.count() < kSample; spent = std::chrono::steady_clock::now() - start, ++runs) {
      run(first, second);
    }
    return spent.count() / runs;
  }

 private:
  static std::unique_ptr<DeviceMemory> filled(Device& device, std::size_t bytes, float value) {
    auto memory = device.allocate(bytes);
    std::fill_n(static_cast<float*>(memory->data()), bytes / sizeof(float), value);
    return memory;
  }
  void call(const Kernel& kernel, const DeviceMemory& in, const DeviceMemory& out) {
    Call c;
    c.rows = rows_;
    c.x = in.data();
    c.out = out.data();
    c.x_stride = c.out_stride = kChannels;
    c.a = a_->data();
    c.b = b_->data();
    kernel.run(c, {.data = workspace_->data(), .size = workspace_->size()});
  }

  std::int64_t rows_;
  std::vector<Tensors> sets_;
  std::size_t next_ = 0;
  std::unique_ptr<DeviceMemory> a_, b_, workspace_;
};

int run(int argc, char** argv) {
  int rounds = 30;
  int threads = 0;
  CLI::App app("Stores past the caches, with a layer behind that reads them");
  app.add_option("--rounds", rounds, "Rounds")->check(CLI::Range(9, 10000))->capture_default_str();
  app.add_option("--threads", threads, "Threads; 0: all")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const TemporaryFolder folder;
  Context context({.cache_dir = folder.path(), .threads = threads});
  Device& cpu = context.device("cpu");
  CpuSchedule s = CpuSchedule(default_schedule(Pair::task(), cpu.target(), 1));
  s.stores = CpuSchedule::cached;
  const auto cached = context.kernel(cpu, Pair::task(), s);
  s.stores = CpuSchedule::nontemporal;
  const auto past = context.kernel(cpu, Pair::task(), s);
  print_to(stdout, "time past the caches over time into them; {} threads\n", cpu.info().units);
  for (const bool cold : {true, false}) {
    for (const std::int64_t rows : {196, 788, 1576, 3152, 6304, 12608, 25216}) {
      Pair pair(context, rows, cold);
      std::vector<double> alone[2];
      std::vector<double> both[2];
      for (int round = 0; round < rounds; ++round) {
        for (const int k : {0, 1}) {
          const Kernel& first = k == 0 ? *past : *cached;
          alone[k].push_back(pair.time(first, nullptr));
          both[k].push_back(pair.time(first, cached.get()));
        }
      }
      const Comparison one = compare(alone[0], alone[1]);
      const Comparison two = compare(both[0], both[1]);
      print_to(stdout,
               "{:6} {:6} rows, y {:5.1f} MB: alone {:.3f} [{:.3f}, {:.3f}], with the next layer "
               "{:.3f} [{:.3f}, {:.3f}]\n",
               cold ? "cold" : "reused", rows, double(rows * kChannels * 4) * 1e-6, one.ratio,
               one.low, one.high, two.ratio, two.low, two.high);
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
