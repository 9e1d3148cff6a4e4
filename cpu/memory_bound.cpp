#include "cpu/memory_bound.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "core/error.h"
#include "cpu/slices.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace grkan {
namespace {

constexpr std::int64_t kSlices = 256;
// Elements of one step: 32 bytes of 16-bit data, 128 of f64.
constexpr std::int64_t kStep = 16;

using Words = std::array<std::uint64_t, 4>;  // 32 bytes

// X, D and O: 32-byte words of x, dy and out in one step. Every word read goes into a word written,
// or, where there is none, into the result, so that no load can be left out.
template <int X, int D, int O>
std::uint64_t plain(const std::byte* x, const std::byte* dy, std::byte* out, std::int64_t steps) {
  std::uint64_t all = 0;
  for (std::int64_t s = 0; s < steps; ++s) {
    std::array<Words, std::max(O, 1)> to{};
    const auto read = [&](const std::byte* from, int count) {
      for (int i = 0; i < count; ++i) {
        Words word;
        std::memcpy(word.data(), from + (s * count + i) * 32, 32);
        for (std::size_t k = 0; k < 4; ++k) to[std::size_t(i % std::max(O, 1))][k] |= word[k];
      }
    };
    read(x, X);
    read(dy, D);
    if constexpr (O > 0) {
      for (int i = 0; i < O; ++i) {
        std::memcpy(out + (s * O + i) * 32, to[std::size_t(i)].data(), 32);
      }
    } else {
      all |= to[0][0] | to[0][1] | to[0][2] | to[0][3];
    }
  }
  return all;
}

#if defined(__x86_64__)
template <int X, int D, int O>
__attribute__((target("avx2"))) void nontemporal(const std::byte* x, const std::byte* dy,
                                                 std::byte* out, std::int64_t steps) {
  for (std::int64_t s = 0; s < steps; ++s) {
    __m256i to[O];  // NOLINT(modernize-avoid-c-arrays): std::array loses the type's alignment
    for (int i = 0; i < O; ++i) to[i] = _mm256_setzero_si256();
    for (int i = 0; i < X; ++i) {
      to[i % O] = _mm256_or_si256(
          to[i % O], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + (s * X + i) * 32)));
    }
    for (int i = 0; i < D; ++i) {
      to[i % O] = _mm256_or_si256(
          to[i % O], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(dy + (s * D + i) * 32)));
    }
    for (int i = 0; i < O; ++i) {
      _mm256_stream_si256(reinterpret_cast<__m256i*>(out + (s * O + i) * 32), to[i]);
    }
  }
  _mm_sfence();
}
#endif

struct Job {
  BoundBuffers buffers;
  std::int64_t steps = 0;
  std::int64_t slices = 1;
  bool streaming = false;
  std::atomic<std::uint64_t> sink = 0;
};

template <int X, int D, int O>
void run_slice(void* context, std::int64_t index) {
  auto* job = static_cast<Job*>(context);
  const std::int64_t each = (job->steps + job->slices - 1) / job->slices;
  const std::int64_t first = std::min(job->steps, index * each);
  const std::int64_t steps = std::min(each, job->steps - first);
  const std::byte* x = job->buffers.x + first * X * 32;
  const std::byte* dy = D > 0 ? job->buffers.dy + first * D * 32 : nullptr;
  std::byte* out = O > 0 ? job->buffers.out + first * O * 32 : nullptr;
#if defined(__x86_64__)
  if constexpr (O > 0) {
    if (job->streaming) {
      nontemporal<X, D, O>(x, dy, out, steps);
      return;
    }
  }
#endif
  job->sink.fetch_or(plain<X, D, O>(x, dy, out, steps), std::memory_order_relaxed);
}

bool has_streaming() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

// The slice function for the bytes of x's, dy's and out's elements.
ThreadPool::Body slice_for(int x, int dy, int out) {
  const int code = x * 100 + dy * 10 + out;  // in words of a step: 1, 2 or 4
  switch (code) {
    // forward: x, y
    case 101:
      return &run_slice<1, 0, 1>;
    case 102:
      return &run_slice<1, 0, 2>;
    case 201:
      return &run_slice<2, 0, 1>;
    case 202:
      return &run_slice<2, 0, 2>;
    case 404:
      return &run_slice<4, 0, 4>;
    // backward: x, dy, dx (of x's type)
    case 111:
      return &run_slice<1, 1, 1>;
    case 121:
      return &run_slice<1, 2, 1>;
    case 212:
      return &run_slice<2, 1, 2>;
    case 222:
      return &run_slice<2, 2, 2>;
    case 444:
      return &run_slice<4, 4, 4>;
    // backward without dx
    case 110:
      return &run_slice<1, 1, 0>;
    case 120:
      return &run_slice<1, 2, 0>;
    case 210:
      return &run_slice<2, 1, 0>;
    case 220:
      return &run_slice<2, 2, 0>;
    case 440:
      return &run_slice<4, 4, 0>;
    default:
      fail(Status::internal, "no bound for elements of {} / 50 words", code);
  }
}

}  // namespace

std::vector<BoundKind> cpu_bound_kinds(const Task& task) {
  if (!task.backward()) return {BoundKind::nt_copy, BoundKind::copy};
  if (task.gradients.dx) return {BoundKind::nt_triad, BoundKind::triad};
  return {BoundKind::read};
}

void run_cpu_bound(BoundKind kind, const Task& task, const BoundBuffers& buffers,
                   ThreadPool& pool) {
  const Problem& p = task.problem;
  const int x = int(size_of(p.x_type)) / 2;
  const int y = int(size_of(p.y_type)) / 2;
  const int out = buffers.out == nullptr ? 0 : (task.backward() ? x : y);
  Job job;
  job.buffers = buffers;
  job.steps = buffers.elements / kStep;
  job.streaming = (kind == BoundKind::nt_copy || kind == BoundKind::nt_triad) && has_streaming();
  job.slices = std::clamp<std::int64_t>(buffers.elements / kSliceElements, 1, kSlices);
  const ThreadPool::Body body = slice_for(x, task.backward() ? y : 0, out);
  if (job.slices == 1) {
    body(&job, 0);  // as the executor does: waking a thread would cost more
  } else {
    pool.run(job.slices, body, &job);
  }
}

}  // namespace grkan
