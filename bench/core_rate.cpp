// Whether the cores are this machine's own: the time of one fused multiply-add on vectors of 8, on
// all threads at once, ten to a chain of dependencies so that two pipes stay busy. A core shared
// with a neighbour of a virtual machine takes twice as long in the same minute, and then every
// figure of arithmetic beside it is worth half.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>
#include <vector>

#include "core/device_info.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace {

constexpr int kChains = 10;
constexpr int kSteps = 100'000;
constexpr int kWindows = 40;

// Nanoseconds of one operation, in each window.
__attribute__((target("avx2,fma"))) void run(std::vector<double>& windows) {
  std::array<float, 8> sink{};
  for (int window = 0; window < kWindows; ++window) {
    __m256 a0 = _mm256_set1_ps(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0;
    __m256 a5 = a0, a6 = a0, a7 = a0, a8 = a0, a9 = a0;
    const __m256 m = _mm256_set1_ps(0.999F);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kSteps; ++i) {
      a0 = _mm256_fmadd_ps(a0, m, m);
      a1 = _mm256_fmadd_ps(a1, m, m);
      a2 = _mm256_fmadd_ps(a2, m, m);
      a3 = _mm256_fmadd_ps(a3, m, m);
      a4 = _mm256_fmadd_ps(a4, m, m);
      a5 = _mm256_fmadd_ps(a5, m, m);
      a6 = _mm256_fmadd_ps(a6, m, m);
      a7 = _mm256_fmadd_ps(a7, m, m);
      a8 = _mm256_fmadd_ps(a8, m, m);
      a9 = _mm256_fmadd_ps(a9, m, m);
      // Equal chains would be computed once.
      __asm__ volatile("" : "+x"(a0), "+x"(a1), "+x"(a2), "+x"(a3), "+x"(a4), "+x"(a5), "+x"(a6));
      __asm__ volatile("" : "+x"(a7), "+x"(a8), "+x"(a9));
    }
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
    windows.push_back(time.count() / (double(kSteps) * kChains));
    _mm256_storeu_ps(sink.data(), a0);
  }
}

}  // namespace

int main() {
  if (__builtin_cpu_supports("avx2") == 0 || __builtin_cpu_supports("fma") == 0) {
    fmt::print("SKIP: this processor has no AVX2\n");
    return 0;
  }
  const int threads = grkan::available_processors();
  std::vector<std::vector<double>> windows{std::size_t(threads)};
  std::vector<std::thread> running;
  for (auto& mine : windows) running.emplace_back([&mine] { run(mine); });
  for (std::thread& thread : running) thread.join();
  fmt::print("ns for a vector multiply-add, {} windows at once on each thread\n", kWindows);
  for (int i = 0; i < threads; ++i) {
    std::vector<double>& mine = windows[std::size_t(i)];
    std::sort(mine.begin(), mine.end());
    fmt::print("thread {}: best {:.3f}, median {:.3f}, worst {:.3f}\n", i, mine.front(),
               mine[mine.size() / 2], mine.back());
  }
  return 0;
}
#else
int main() {
  fmt::print("SKIP: only written for x86-64\n");
  return 0;
}
#endif
