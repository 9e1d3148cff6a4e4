// Measures on a GPU what core/gpu_models.h keeps of one: streams, L2, latency, launches, atomics,
// and the rates of a few instructions. No generated kernel is among the loops (figures.cu).
//
//   build/bin/bench_gpu_figures [--device cuda:0] [--rounds 9]
//
// Medians of rounds, each queued behind a call of itself. Of loops the time at one length is taken
// from that at another, so that their start and end don't weigh.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bench/gpu/figures_source.h"
#include "bench/gpu/own_driver.h"
#include "bench/guarded.h"
#include "codegen/cuda/nvrtc.h"
#include "core/error.h"
#include "runtime/context.h"
#include "tuner/search/statistics.h"

namespace grkan {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kStream = 512 * kMiB;  // of each tensor
constexpr int kThreads = 256;
constexpr int kBlocks = 8;  // of a multiprocessor: 2048 threads

struct Options {
  std::string device = "cuda:0";
  int rounds = 9;
};

class Bench {
 public:
  Bench(Context& context, const Options& options)
      : driver_(context, options.device),
        device_(context.device(options.device)),
        rounds_(options.rounds),
        timer_(device_.timer()),
        library_(driver_.load(nvrtc_compile(choose_nvrtc(device_.target()), kFiguresSource,
                                            "figures.cu", device_.target())
                                  .cubin)) {}

  [[nodiscard]] const DeviceInfo& info() const { return device_.info(); }
  [[nodiscard]] int wave() const { return device_.info().units * kBlocks; }

  template <class... Arguments>
  void launch(const char* name, int blocks, int threads, Arguments... arguments) {
    std::array<void*, sizeof...(arguments) + 1> pointers = {static_cast<void*>(&arguments)...,
                                                            nullptr};
    cuda::Function& function = functions_[name];
    if (function == nullptr) function = driver_.function(library_, name);
    driver_->check(driver_->launch_kernel(function, unsigned(blocks), 1, 1, unsigned(threads), 1, 1,
                                          0, nullptr, pointers.data(), nullptr),
                   name);
  }

  // Seconds of one call.
  double time(const std::function<void()>& run, int calls = 1) {
    std::vector<double> seconds;
    for (int round = -1; round < rounds_; ++round) {
      run();
      timer_->start();
      for (int i = 0; i < calls; ++i) run();
      const double once = timer_->stop() / calls;
      if (round >= 0) seconds.push_back(once);
    }
    return median(seconds);
  }

  // Seconds that `many` trips take longer than `few`.
  double time_more(const std::function<void(int)>& run, int few, int many) {
    const double less = time([&] { run(few); });
    return time([&] { run(many); }) - less;
  }

  std::unique_ptr<DeviceMemory> memory(std::int64_t bytes) {
    auto memory = device_.allocate(std::size_t(bytes));
    device_.clear(memory->data(), std::size_t(bytes), nullptr);
    return memory;
  }
  void clear(DeviceMemory& memory) { device_.clear(memory.data(), memory.size(), nullptr); }
  void upload(DeviceMemory& to, const void* from, std::size_t bytes) {
    device_.upload(to.data(), from, bytes);
  }
  void download(void* to, const DeviceMemory& from, std::size_t bytes) {
    device_.download(to, from.data(), bytes);
  }

 private:
  OwnDriver driver_;
  Device& device_;
  int rounds_;
  std::unique_ptr<Timer> timer_;
  cuda::Library library_;
  std::map<std::string, cuda::Function> functions_;
};

void tell(const char* what, double value, const char* unit) {
  fmt::print("{:<64} {:>10.4g} {}\n", what, value, unit);
}

// The clock that a busy multiprocessor has.
double clock_of(Bench& bench) {
  const auto out = bench.memory(64);
  for (int i = 0; i < 5; ++i) {
    bench.launch("clock_rate", bench.wave(), kThreads, out->data(), 2'000'000);
  }
  std::array<long long, 3> values{};
  bench.download(values.data(), *out, sizeof values);
  return double(values[0]) / double(values[1]) * 1e9;
}

void streams(Bench& bench) {
  const auto x = bench.memory(kStream);
  const auto y = bench.memory(kStream);
  const auto z = bench.memory(kStream);
  for (const std::int64_t bytes : {kStream, 74 * kMiB, 19 * kMiB}) {
    const long long vectors = bytes / 16;
    const double read = bench.time([&] {
      bench.launch("read_again", bench.wave(), kThreads, x->data(), vectors, 1, z->data());
    });
    const double copy = bench.time(
        [&] { bench.launch("copy", bench.wave(), kThreads, x->data(), z->data(), vectors); });
    const double triad = bench.time([&] {
      bench.launch("triad", bench.wave(), kThreads, x->data(), y->data(), z->data(), vectors);
    });
    const auto mb = double(bytes) * 1e-6;
    tell(fmt::format("read, {:.0f} MB", mb).c_str(), double(bytes) / read * 1e-9, "GB/s");
    tell(fmt::format("copy, {:.0f} MB to as much", mb).c_str(), 2.0 * double(bytes) / copy * 1e-9,
         "GB/s");
    tell(fmt::format("triad, 2 x {:.0f} MB to one", mb).c_str(), 3.0 * double(bytes) / triad * 1e-9,
         "GB/s");
  }
  for (const std::int64_t bytes : {4 * kMiB, 16 * kMiB, 24 * kMiB}) {
    const auto run = [&](int times) {
      bench.launch("read_again", bench.wave(), kThreads, x->data(),
                   static_cast<long long>(bytes / 16), times, z->data());
    };
    tell(fmt::format("L2: {:.0f} MB read again", double(bytes) * 1e-6).c_str(),
         20.0 * double(bytes) / bench.time_more(run, 10, 30) * 1e-9, "GB/s");
  }
}

void latencies(Bench& bench) {
  constexpr std::int64_t kLine = 128;
  const auto out = bench.memory(64);
  for (const std::int64_t bytes : {8 * kMiB, 24 * kMiB, 96 * kMiB, 1024 * kMiB}) {
    bench.clear(*out);
    const auto words = std::size_t(bytes / 4);
    const auto lines = std::size_t(bytes / kLine);
    std::vector<unsigned> order(lines);
    std::iota(order.begin(), order.end(), 0U);
    std::mt19937_64 random(lines);
    for (std::size_t i = lines - 1; i > 0; --i) std::swap(order[i], order[random() % (i + 1)]);
    std::vector<unsigned> next(words);
    for (std::size_t i = 0; i < lines; ++i) {
      next[order[i] * (kLine / 4)] = order[(i + 1) % lines] * unsigned(kLine / 4);
    }
    const auto chain = bench.memory(bytes);
    bench.upload(*chain, next.data(), words * 4);
    // Calls go on along the chain, so that what L2 holds of a long one is little.
    const int half_steps = int(std::min<std::size_t>(lines, 40000) / 2);
    const auto run = [&](int steps) {
      bench.launch("chase", 1, 1, chain->data(), steps, out->data());
    };
    tell(fmt::format("latency, a chain over {} MiB", bytes / kMiB).c_str(),
         bench.time_more(run, half_steps, 2 * half_steps) / half_steps * 1e9, "ns");
  }
}

void launches(Bench& bench) {
  const auto run = [&] { bench.launch("nothing", 1, 32); };
  tell("launch, one after another, of a block", bench.time(run, 1000) * 1e6, "us");
  const auto wide = [&] { bench.launch("nothing", bench.wave(), kThreads); };
  tell("launch, one after another, of a wave of blocks", bench.time(wide, 1000) * 1e6, "us");
}

// Lanes' results of a multiprocessor in a clock; `each`: results of a trip of a thread.
void rate(Bench& bench, const char* what, const char* kernel, int each, double clock) {
  const auto out = bench.memory(64);
  constexpr int kSteps = 2000;
  const auto run = [&](int steps) {
    bench.launch(kernel, bench.wave(), kThreads, out->data(), steps);
  };
  const double results = double(kSteps) * each * kThreads * kBlocks;
  tell(what, results / (bench.time_more(run, kSteps, 2 * kSteps) * clock), "a clock");
}

void atomics(Bench& bench, double clock) {
  constexpr int kWords = 1 << 22;  // 16 MiB
  const auto sums = bench.memory(std::int64_t{kWords} * 4);
  struct Case {
    const char* what;
    int lanes;
    int apart;
    int words;
  };
  for (const Case& c : {Case{"all threads at one word", 1, 0, 32},
                        Case{"warps at the words of one line", 32, 0, 32},
                        Case{"warps each at a word of its own line", 1, 32, kWords},
                        Case{"warps each at its own line", 32, 32, kWords},
                        Case{"warps at a word of 1 in 16 lines", 1, 512, 8192},
                        Case{"warps at 16 lines' words", 32, 32, 512}}) {
    constexpr int kSteps = 32;
    const int blocks = bench.wave() / 4;
    const auto run = [&](int steps) {
      bench.launch("add_floats", blocks, kThreads, sums->data(), c.lanes, c.apart, c.words, steps);
    };
    const double additions = double(kSteps) * blocks * kThreads;
    const double clocks = bench.time_more(run, kSteps, 2 * kSteps) * clock / additions;
    fmt::print("atomics, {:<55} {:>10.4g} clocks an addition of a lane, {:.4g} of a warp\n", c.what,
               clocks, clocks * 32);
  }
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Figures of a GPU for the cost model");
  app.add_option("--device", options.device, "cuda:0")->capture_default_str();
  app.add_option("--rounds", options.rounds, "Rounds")
      ->check(CLI::Range(3, 1000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Context context;
  Bench bench(context, options);
  const DeviceInfo& info = bench.info();
  fmt::print("{}, {} multiprocessors, {:.4g} MiB of L2, driver {}\n", info.model, info.units,
             double(info.cache) / double(kMiB), info.driver);
  const double clock = clock_of(bench);
  tell("clock of a busy multiprocessor", clock * 1e-6, "MHz");
  streams(bench);
  latencies(bench);
  launches(bench);
  rate(bench, "f32 multiply-adds of a multiprocessor", "fma_loop", 64, clock);
  rate(bench, "reciprocals (approximate)", "reciprocal_loop", 64, clock);
  rate(bench, "conversions of two f32 to a pair of bf16", "convert_loop", 64, clock);
  atomics(bench, clock);
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
