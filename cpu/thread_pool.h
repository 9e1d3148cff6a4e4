// Runs the slices of a call on several threads: the context's own pool, or the caller's.
#pragma once

#include <atomic>
#include <cstdint>

namespace grkan {

// A parallel_for lent by the caller, as in grkan.h.
struct ParallelFor {
  void (*run)(void* user, std::int64_t count, void (*body)(void* context, std::int64_t index),
              void* context) = nullptr;
  void* user = nullptr;
};

class ThreadPool {
 public:
  using Body = void (*)(void* context, std::int64_t index);

  // No thread starts before the first run (or start).
  explicit ThreadPool(int threads, ParallelFor lent = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int threads() const { return threads_; }
  // Makes the threads now, so that a later run does not.
  void start();
  // body(context, i) for i in [0, count), each once, on any threads; returns when all are done.
  // Concurrent calls are right: they take turns. The body must not throw. After a fork the child
  // gets threads of its own.
  void run(std::int64_t count, Body body, void* context);

 private:
  struct Pool;
  Pool* pool();

  int threads_;
  ParallelFor lent_;
  std::atomic<Pool*> pool_ = nullptr;
};

}  // namespace grkan
