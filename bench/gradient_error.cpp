// Rounding error of da and db in f32: mean absolute error, pooled over groups and seeds, of the CPU
// kernel and of earlier kernels' orders of summation, beside the floor.
//
//   floor     the terms in f32, their sum exact: no f32 kernel can do much better
//   kernel    the schedule in use (the winner, or --schedule)
//   FlashKAT  sums over tiles of 64 rows (taken as exact), then one f32 add after another
//   KAT       one f32 add for every element
//
//   build/bin/bench_gradient_error [rows [seeds [schedule]]]
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/sample.h"
#include "core/text.h"
#include "runtime/context.h"

namespace grkan {
namespace {

constexpr std::int64_t kChannels = 768;
constexpr std::int64_t kGroups = 8;
constexpr int kM = 5;
constexpr int kN = 4;
constexpr int kTerms = kM + 1 + kN;
constexpr std::int64_t kTileRows = 64;

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
      value[kM + 1 + i] = std::copysign(F(1), b[i]) * (v * power);
    }
  }
};

// Sums of one group in four ways.
struct GroupSums {
  double exact[kTerms] = {};
  double f32_terms[kTerms] = {};
  float flashkat[kTerms] = {};
  float kat[kTerms] = {};
};

GroupSums sums_of_group(const Sample& sample, std::int64_t group) {
  const auto* x = reinterpret_cast<const float*>(sample.x.data());
  const auto* dy = reinterpret_cast<const float*>(sample.dy.data());
  const auto* a = reinterpret_cast<const float*>(sample.a.data()) + group * (kM + 1);
  const auto* b = reinterpret_cast<const float*>(sample.b.data()) + group * kN;
  std::vector<double> a64(a, a + kM + 1);
  std::vector<double> b64(b, b + kN);
  constexpr std::int64_t kWidth = kChannels / kGroups;
  GroupSums sums;
  const std::int64_t rows = sample.options().rows;
  for (std::int64_t tile = 0; tile < rows; tile += kTileRows) {
    double tile_sums[kTerms] = {};
    for (std::int64_t row = tile; row < std::min(rows, tile + kTileRows); ++row) {
      for (std::int64_t column = 0; column < kWidth; ++column) {
        const std::int64_t at = row * kChannels + group * kWidth + column;
        const Terms<double> exact(a64.data(), b64.data(), x[at], dy[at]);
        const Terms<float> terms(a, b, x[at], dy[at]);
        for (int i = 0; i < kTerms; ++i) {
          sums.exact[i] += exact.value[i];
          sums.f32_terms[i] += double(terms.value[i]);
          tile_sums[i] += double(terms.value[i]);
          sums.kat[i] += terms.value[i];
        }
      }
    }
    for (int i = 0; i < kTerms; ++i) sums.flashkat[i] += float(tile_sums[i]);
  }
  return sums;
}

struct Error {
  double da = 0;
  double db = 0;
  void add(int term, double error) { (term <= kM ? da : db) += std::fabs(error); }
};

struct Pooled {
  Error floor, kernel, flashkat, kat;
};

void add_sample(Context& context, const Task& task, const Schedule& schedule, std::int64_t rows,
                std::uint64_t seed, Pooled& pooled) {
  Sample sample(task, {.rows = rows, .seed = seed});
  Device& device = context.device("cpu");
  const auto kernel = context.kernel(device, task, schedule);
  const std::size_t bytes = kernel->workspace_size(rows, 1);
  const auto workspace = device.allocate(std::max<std::size_t>(bytes, 1));
  kernel->run(sample.call(), {.data = workspace->data(), .size = bytes});
  const auto* da = reinterpret_cast<const float*>(sample.da.data());
  const auto* db = reinterpret_cast<const float*>(sample.db.data());
  for (std::int64_t group = 0; group < kGroups; ++group) {
    const GroupSums sums = sums_of_group(sample, group);
    for (int i = 0; i < kTerms; ++i) {
      const float got = i <= kM ? da[group * (kM + 1) + i] : db[group * kN + i - kM - 1];
      pooled.kernel.add(i, double(got) - sums.exact[i]);
      pooled.floor.add(i, double(float(sums.f32_terms[i])) - sums.exact[i]);
      pooled.flashkat.add(i, double(sums.flashkat[i]) - sums.exact[i]);
      pooled.kat.add(i, double(sums.kat[i]) - sums.exact[i]);
    }
  }
}

int run(int argc, char** argv) {
  const std::int64_t rows = argc > 1 ? std::stoll(argv[1]) : 25216;
  const std::int64_t seeds = argc > 2 ? std::stoll(argv[2]) : 8;
  if (rows < 1 || seeds < 1) fail_argument("rows and seeds are positive numbers");
  Problem problem;
  problem.channels = kChannels;
  problem.numerator_groups = problem.denominator_groups = kGroups;
  const Task task = backward_task(problem, {false, true, true});
  Context context;
  const Target target = context.device("cpu").target();
  const Schedule schedule =
      argc > 3 ? parse_schedule(argv[3], target) : default_schedule(task, target, rows);
  Pooled pooled;
  for (std::int64_t seed = 1; seed <= seeds; ++seed) {
    add_sample(context, task, schedule, rows, std::uint64_t(seed), pooled);
  }
  const double groups = double(seeds * kGroups);
  fmt::print("{}, {} rows, {} groups pooled, seeds 1 to {}, {}\n", to_string(task), rows,
             seeds * kGroups, seeds, to_string(schedule));
  fmt::print("{:<10} {:>12} {:>12} {:>10} {:>10}\n", "order", "da", "db", "da/floor", "db/floor");
  const auto line = [&](const char* name, const Error& error) {
    fmt::print("{:<10} {:>12.3g} {:>12.3g} {:>10.2f} {:>10.2f}\n", name,
               error.da / groups / (kM + 1), error.db / groups / kN, error.da / pooled.floor.da,
               error.db / pooled.floor.db);
  };
  line("floor", pooled.floor);
  line("kernel", pooled.kernel);
  line("FlashKAT", pooled.flashkat);
  line("KAT", pooled.kat);
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) {
  try {
    return grkan::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
