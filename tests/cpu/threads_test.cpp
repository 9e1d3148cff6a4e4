// Threads: the same bits for any number of them, forks, lent pools, concurrent callers.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "cpu/thread_pool.h"
#include "runtime/plan.h"

namespace grkan {
namespace {

ContextOptions quiet(int threads) {
  ContextOptions options;
  options.cache_dir = "/nonexistent/grkan";
  options.threads = threads;
  options.cpu_target = Target{};
  options.log_level = LogLevel::error;
  return options;
}

// One layer's tensors and what it computes.
struct Layer {
  static constexpr std::int64_t kRows = 999;
  static constexpr std::int64_t kChannels = 48;
  Problem problem = parse_problem("p5q4-A-c48-g4-f32-last");
  std::vector<float> x = numbers(kRows * kChannels);
  std::vector<float> dy = numbers(kRows * kChannels);
  std::vector<float> a = numbers(24);
  std::vector<float> b = numbers(16);
  std::vector<float> out, da, db;
  std::vector<double> workspace;

  static std::vector<float> numbers(std::int64_t count) {
    std::vector<float> v(static_cast<std::size_t>(count));
    unsigned state = unsigned(count);
    for (float& f : v) {
      state = state * 1664525U + 1013904223U;
      f = float(state >> 8) / 8388608.0F - 1.0F;
    }
    return v;
  }

  std::vector<float> backward(Plan& plan) {
    out.assign(x.size(), 0);
    da.assign(a.size(), 0);
    db.assign(b.size(), 0);
    const std::size_t size = plan.workspace_size(Direction::backward);
    workspace.resize(size / sizeof(double) + 8);
    void* space = workspace.data();
    std::size_t room = workspace.size() * sizeof(double);
    std::align(64, size, space, room);
    plan.run(Direction::backward,
             {.rows = kRows,
              .x = x.data(),
              .x_stride = kChannels,
              .dy = dy.data(),
              .dy_stride = kChannels,
              .out = out.data(),
              .out_stride = kChannels,
              .a = a.data(),
              .b = b.data(),
              .da = da.data(),
              .db = db.data()},
             {.data = space, .size = size});
    std::vector<float> all = out;
    all.insert(all.end(), da.begin(), da.end());
    all.insert(all.end(), db.begin(), db.end());
    return all;
  }
};

TEST(Threads, AnyNumberGivesTheSameBits) {
  std::vector<float> expected;
  for (const int threads : {1, 2, 3, 7}) {
    Context context(quiet(threads));
    Layer layer;
    Plan plan(context, layer.problem, "cpu", {true, true, true});
    const std::vector<float> got = layer.backward(plan);
    if (expected.empty()) expected = got;
    EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0) << threads;
  }
}

TEST(Threads, ALentParallelForGivesTheSameBits) {
  Context own(quiet(2));
  Layer layer;
  Plan plan(own, layer.problem, "cpu", {true, true, true});
  const std::vector<float> expected = layer.backward(plan);
  ContextOptions options = quiet(1);
  static std::atomic<int> items = 0;
  options.parallel_for.run = [](void*, std::int64_t count, void (*body)(void*, std::int64_t),
                                void* context) {
    for (std::int64_t i = count; i-- > 0;) {  // any order
      body(context, i);
      ++items;
    }
  };
  Context lent(options);
  Plan other(lent, layer.problem, "cpu", {true, true, true});
  EXPECT_EQ(layer.backward(other), expected);
  EXPECT_GT(items, 1);
}

TEST(Threads, ConcurrentCallsOnOnePlan) {
  Context context(quiet(3));
  Layer first;
  Plan plan(context, first.problem, "cpu", {true, true, true});
  const std::vector<float> expected = first.backward(plan);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      Layer layer;
      for (int i = 0; i < 5; ++i) wrong += layer.backward(plan) == expected ? 0 : 1;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

// Sizes that no thread prepared: all prepare at once.
TEST(Threads, ConcurrentFirstCalls) {
  Context context(quiet(2));
  const Problem problem = parse_problem("p5q4-A-c48-g4-f32-last");
  Plan plan(context, problem, "cpu", {});
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      Layer layer;
      layer.out.assign(layer.x.size(), 0);
      std::vector<double> space(plan.workspace_size(Direction::forward) / 8 + 16);
      void* at = space.data();
      std::size_t room = space.size() * 8;
      std::align(64, 64, at, room);
      for (std::int64_t rows = 1; rows < Layer::kRows; rows = rows * 2 + 1) {
        plan.run(Direction::forward,
                 {.rows = rows,
                  .x = layer.x.data(),
                  .x_stride = 48,
                  .out = layer.out.data(),
                  .out_stride = 48,
                  .a = layer.a.data(),
                  .b = layer.b.data()},
                 {.data = at, .size = room});
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST(Threads, AForkedChildWorks) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "SKIP: the thread sanitizer does not follow threads of a forked child";
#endif
  Context context(quiet(3));
  Layer layer;
  Plan plan(context, layer.problem, "cpu", {true, true, true});
  const std::vector<float> expected = layer.backward(plan);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // a hang is a failure
    _exit(layer.backward(plan) == expected ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(layer.backward(plan), expected);
}

TEST(ThreadPool, NoMoreThreadsThanACallWants) {
  struct Seen {
    std::mutex mutex;
    std::set<std::thread::id> threads;
    std::atomic<int> inside = 0;
    std::atomic<int> most = 0;
  };
  ThreadPool pool(6);
  for (const int most : {1, 2, 3, 6, 0}) {
    Seen seen;
    pool.run(
        200,
        [](void* context, std::int64_t) {
          auto& s = *static_cast<Seen*>(context);
          const int now = ++s.inside;
          int before = s.most.load();
          while (before < now && !s.most.compare_exchange_weak(before, now)) {
          }
          std::this_thread::sleep_for(std::chrono::microseconds(100));
          --s.inside;
          const std::lock_guard lock(s.mutex);
          s.threads.insert(std::this_thread::get_id());
        },
        &seen, most);
    const int limit = most == 0 ? 6 : most;
    EXPECT_LE(seen.most, limit);
    EXPECT_LE(seen.threads.size(), std::size_t(limit));
    EXPECT_EQ(seen.threads.count(std::this_thread::get_id()), 1U) << "the caller works too";
  }
}

TEST(ThreadPool, ALentParallelForIsLimitedToo) {
  static std::atomic<std::int64_t> asked = 0;
  const ParallelFor lent = {
      .run =
          [](void*, std::int64_t count, void (*body)(void*, std::int64_t), void* context) {
            asked = count;
            for (std::int64_t i = 0; i < count; ++i) body(context, i);
          },
      .user = nullptr};
  ThreadPool pool(4, lent);
  std::atomic<int> done = 0;
  pool.run(
      50, [](void* context, std::int64_t) { ++*static_cast<std::atomic<int>*>(context); }, &done,
      3);
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(done, 50);
}

// Where the system refuses threads (a container's limit; here: no memory for their stacks), the
// caller does the work alone.
TEST(ThreadPool, WithoutThreadsToBeHad) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "SKIP: a sanitizer needs more address space than this test leaves";
#endif
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // a hang is a failure
    rlimit limit{};
    limit.rlim_cur = limit.rlim_max = 1;
    setrlimit(RLIMIT_AS, &limit);
    ThreadPool pool(8);
    int done = 0;
    pool.run(100, [](void* context, std::int64_t) { ++*static_cast<int*>(context); }, &done);
    _exit(done == 100 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST(ThreadPool, CallsAtTheSameTimeAllEnd) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  std::atomic<int> done = 0;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        pool.run(
            20, [](void* context, std::int64_t) { ++*static_cast<std::atomic<int>*>(context); },
            &done);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(done, 4 * 500 * 20);
}

TEST(ThreadPool, RunsEachItemOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const std::int64_t count : {0, 1, 2, 255}) {
      std::vector<std::atomic<int>> done(256);
      pool.run(
          count,
          [](void* context, std::int64_t i) {
            ++(*static_cast<std::vector<std::atomic<int>>*>(context))[std::size_t(i)];
          },
          &done);
      for (std::int64_t i = 0; i < 256; ++i) EXPECT_EQ(done[std::size_t(i)], i < count ? 1 : 0);
    }
  }
}

}  // namespace
}  // namespace grkan
