// Runs the slices of a call on several threads: the context's own, or the caller's.
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
  // body(context, i) for i in [0, count), each once, on any threads but at most `most` (0: all),
  // the caller's among them; returns when all are done. The body must not throw. A call that finds
  // the threads at another one's work does its own alone. After a fork the child gets threads of
  // its own; where the system refuses threads, those that were made do the work.
  void run(std::int64_t count, Body body, void* context, int most = 0);

 private:
  struct Pool;
  Pool* pool();

  int threads_;
  ParallelFor lent_;
  std::atomic<Pool*> pool_ = nullptr;
};

}  // namespace grkan
