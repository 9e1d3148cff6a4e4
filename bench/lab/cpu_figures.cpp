// What cpu/cpu_models.cpp has of a processor and no guide tells, measured on this
// one: rates of arithmetic, the latency of memory, streams of one core and of all, and rows read
// side by side. No kernel of this project runs. Figures are lower quartiles; run it several times,
// on a machine without other load.
//
//   build/bin/bench_cpu_figures
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "core/device_info.h"
#include "tuner/search/statistics.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define GRKAN_AVX2 __attribute__((target("avx2,fma")))

namespace grkan {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kBytes = std::size_t{96} << 20;
constexpr std::size_t kAhead = std::size_t{4} << 20;  // that requests may reach past the end

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds of a run.
double time_of(int runs, const std::function<void()>& run) {
  std::vector<double> seconds;
  for (int i = 0; i < runs; ++i) {
    const double start = now();
    run();
    seconds.push_back(now() - start);
  }
  return quantile(seconds, 0.25);
}

// `divisions` and ten times `tens` fused multiplications on vectors of 32 bytes, independent ones.
template <int divisions, int tens, bool doubles>
GRKAN_AVX2 void arithmetic() {
  constexpr int kSteps = 100'000;
  __m256 m = _mm256_set1_ps(0.999F);
  __m256 a[10] = {m, m, m, m, m, m, m, m, m, m};  // NOLINT(modernize-avoid-c-arrays)
  for (int i = 0; i < kSteps; ++i) {
    for (int k = 0; k < divisions; ++k) {
      __m256 d = m;
      __asm__ volatile("" : "+x"(d));
      const __m256 q =
          doubles ? _mm256_castpd_ps(_mm256_div_pd(_mm256_castps_pd(m), _mm256_castps_pd(d)))
                  : _mm256_div_ps(m, d);
      __asm__ volatile("" : : "x"(q));
    }
    for (int k = 0; k < tens; ++k) {
      a[0] = _mm256_fmadd_ps(a[0], m, m);
      a[1] = _mm256_fmadd_ps(a[1], m, m);
      a[2] = _mm256_fmadd_ps(a[2], m, m);
      a[3] = _mm256_fmadd_ps(a[3], m, m);
      a[4] = _mm256_fmadd_ps(a[4], m, m);
      a[5] = _mm256_fmadd_ps(a[5], m, m);
      a[6] = _mm256_fmadd_ps(a[6], m, m);
      a[7] = _mm256_fmadd_ps(a[7], m, m);
      a[8] = _mm256_fmadd_ps(a[8], m, m);
      a[9] = _mm256_fmadd_ps(a[9], m, m);
      __asm__ volatile("" : "+x"(a[0]), "+x"(a[1]), "+x"(a[2]), "+x"(a[3]), "+x"(a[4]));
      __asm__ volatile("" : "+x"(a[5]), "+x"(a[6]), "+x"(a[7]), "+x"(a[8]), "+x"(a[9]));
    }
  }
}

// Nanoseconds of a step.
template <int divisions, int tens, bool doubles = false>
double arithmetic_ns() {
  return time_of(30, &arithmetic<divisions, tens, doubles>) / 100'000 * 1e9;
}

void print_arithmetic() {
  const double clock = 5 / arithmetic_ns<0, 1>();  // ten on two pipes
  fmt::print("clock, if two pipes multiply    {:.2f} GHz\n", clock);
  const double f32 = arithmetic_ns<10, 0>() / 10 * clock;
  const double f64 = arithmetic_ns<10, 0, true>() / 10 * clock;
  fmt::print("division of 32 bytes            {:.2f} clocks, f64 {:.2f}\n", f32, f64);
  const double alone = arithmetic_ns<0, 2>();
  const double beside = (arithmetic_ns<1, 2>() - alone) * clock * 2;
  const double beside_f64 = (arithmetic_ns<1, 2, true>() - alone) * clock * 2;
  fmt::print("multiplications in its place    {:.2f}, f64 {:.2f}\n", beside, beside_f64);
}

enum class Stream : std::uint8_t { read, copy, copy_past, fill_past };

template <Stream stream>
GRKAN_AVX2 void run_stream(const std::byte* x, std::byte* y, std::size_t bytes) {
  __m256 sum = _mm256_setzero_ps();
  for (std::size_t i = 0; i < bytes; i += 32) {
    const auto* from = reinterpret_cast<const float*>(x + i);
    auto* to = reinterpret_cast<float*>(y + i);
    if constexpr (stream == Stream::read) sum = _mm256_or_ps(sum, _mm256_loadu_ps(from));
    if constexpr (stream == Stream::copy) _mm256_storeu_ps(to, _mm256_loadu_ps(from));
    if constexpr (stream == Stream::copy_past) _mm256_stream_ps(to, _mm256_loadu_ps(from));
    if constexpr (stream == Stream::fill_past) _mm256_stream_ps(to, sum);
  }
  __asm__ volatile("" : : "x"(sum));
  _mm_sfence();
}

// Nanoseconds from a load to the next, which waits for it: `lines` of each page in random order,
// out of the caches.
double latency_ns(std::byte* memory, std::size_t lines) {
  constexpr std::size_t kPage = 4096;
  std::mt19937 random(1);  // NOLINT(bugprone-random-generator-seed): the same order each time
  std::vector<std::uint32_t> pages(kBytes / kPage);
  std::iota(pages.begin(), pages.end(), 0U);
  std::shuffle(pages.begin(), pages.end(), random);
  std::vector<std::uint32_t> order;
  for (const std::uint32_t page : pages) {
    std::vector<std::uint32_t> of_page(kPage / kLine);
    std::iota(of_page.begin(), of_page.end(), page * std::uint32_t(kPage / kLine));
    std::shuffle(of_page.begin(), of_page.end(), random);
    order.insert(order.end(), of_page.begin(), of_page.begin() + std::ptrdiff_t(lines));
  }
  const auto at = [&](std::uint32_t line) {
    return reinterpret_cast<std::uint32_t*>(memory + std::size_t(line) * kLine);
  };
  for (std::size_t i = 0; i < order.size(); ++i) *at(order[i]) = order[(i + 1) % order.size()];
  std::vector<double> seconds;
  for (int run = 0; run < 9; ++run) {
    run_stream<Stream::read>(memory + kBytes, nullptr, 2 * kBytes);  // pushes the lines out
    seconds.push_back(time_of(1, [&] {
      std::uint32_t line = order[0];
      for (std::size_t i = 0; i < order.size(); ++i) line = *at(line);
      __asm__ volatile("" : : "r"(line));
    }));
  }
  return quantile(seconds, 0.25) / double(order.size()) * 1e9;
}

// The calling thread stays on the index-th of the processors that there are.
void stay_on(std::size_t index) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed) == 0 || index-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
    return;
  }
}

// 1e9 bytes a second, of `threads` at once.
template <Stream stream>
double stream_gbs(const std::byte* x, std::byte* y, int threads, double ways) {
  const std::size_t part = kBytes / std::size_t(threads) / kLine * kLine;
  std::vector<double> rates;
  for (int run = 0; run < 15; ++run) {
    std::latch begin(threads);
    std::vector<double> start(static_cast<std::size_t>(threads));
    std::vector<double> end(static_cast<std::size_t>(threads));
    std::vector<std::thread> all;
    for (std::size_t t = 0; t < std::size_t(threads); ++t) {
      all.emplace_back([&, t] {
        stay_on(t);
        begin.arrive_and_wait();
        start[t] = now();
        run_stream<stream>(x + t * part, y + t * part, part);
        end[t] = now();
      });
    }
    for (std::thread& thread : all) thread.join();
    const double seconds =
        *std::max_element(end.begin(), end.end()) - *std::min_element(start.begin(), start.end());
    rates.push_back(ways * double(part) * threads / seconds * 1e-9);
  }
  return quantile(rates, 0.75);
}

void print_streams(const std::byte* x, std::byte* y) {
  for (const int threads : {1, available_processors()}) {
    fmt::print(
        "{:>3} cores: read {:.1f} GB/s, copy {:.1f}, past the caches {:.1f}, fill past them "
        "{:.1f}\n",
        threads, stream_gbs<Stream::read>(x, y, threads, 1),
        stream_gbs<Stream::copy>(x, y, threads, 2), stream_gbs<Stream::copy_past>(x, y, threads, 2),
        stream_gbs<Stream::fill_past>(x, y, threads, 1));
  }
}

// Blocks of `block` rows of `width` bytes, 256 bytes of a row at a time; x and y are read, z is
// written. `ahead`: blocks of rows that the same bytes are asked for ahead.
GRKAN_AVX2 void run_rows(const std::byte* x, const std::byte* y, std::byte* z, std::size_t width,
                         std::size_t block, std::size_t ahead) {
  constexpr std::size_t kPiece = 256;
  const std::size_t rows = kBytes / 2 / width / block * block;
  for (std::size_t row = 0; row < rows; row += block) {
    for (std::size_t column = 0; column < width; column += kPiece) {
      for (std::size_t k = 0; k < block; ++k) {
        const std::size_t at = (row + k) * width + column;
        for (std::size_t i = at; i < at + kPiece; i += kLine) {
          if (ahead > 0) {
            _mm_prefetch(x + i + ahead * block * width, _MM_HINT_T0);
            _mm_prefetch(y + i + ahead * block * width, _MM_HINT_T0);
          }
          for (const std::size_t half : {i, i + 32}) {
            _mm256_stream_ps(
                reinterpret_cast<float*>(z + half),
                _mm256_or_ps(_mm256_loadu_ps(reinterpret_cast<const float*>(x + half)),
                             _mm256_loadu_ps(reinterpret_cast<const float*>(y + half))));
          }
        }
      }
    }
  }
  _mm_sfence();
}

void print_rows(const std::byte* x, const std::byte* y, std::byte* z) {
  fmt::print("rows side by side, ns for a line of each array; after the stroke with requests\n");
  for (const std::size_t width : {768U, 1536U, 2048U, 3072U, 6144U, 12288U}) {
    fmt::print("  {:>5} bytes:", width);
    for (const std::size_t block : {1U, 2U, 4U, 8U, 16U}) {
      const std::size_t lines = kBytes / 2 / width / block * block * width / kLine;
      const auto ns = [&](std::size_t ahead) {
        return time_of(5, [&] { run_rows(x, y, z, width, block, ahead); }) / double(lines) * 1e9;
      };
      fmt::print("  {} rows {:.1f} / {:.1f}", block, ns(0), ns(1));
    }
    fmt::print("\n");
  }
}

int run() {
  if (__builtin_cpu_supports("avx2") == 0 || __builtin_cpu_supports("fma") == 0) {
    fmt::print("SKIP: this processor has no AVX2\n");
    return 0;
  }
  fmt::print("{}\n", describe_cpu().model);
  print_arithmetic();
  std::vector<std::byte> memory(3 * kBytes + kAhead, std::byte{1});
  std::byte* x = memory.data() + (kLine - reinterpret_cast<std::uintptr_t>(memory.data()) % kLine);
  for (const std::size_t lines : {4U, 1U}) {
    fmt::print("latency, {} lines of a page      {:.0f} ns\n", lines, latency_ns(x, lines));
  }
  print_streams(x, x + kBytes);
  print_rows(x, x + kBytes, x + 2 * kBytes);
  return 0;
}

}  // namespace
}  // namespace grkan

int main() { return grkan::run(); }

#else

int main() {
  fmt::print("SKIP: this processor is no x86-64\n");
  return 0;
}

#endif
