#include "cpu/thread_pool.h"

#include <pthreadpool.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
extern "C" void __tsan_acquire(void* address);  // NOLINT(bugprone-reserved-identifier)
extern "C" void __tsan_release(void* address);  // NOLINT(bugprone-reserved-identifier)
#endif

namespace grkan {
namespace {

// The sanitizer can't see how pthreadpool, built without it, orders its threads.
void happens_before([[maybe_unused]] void* address) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(address);
#endif
}
void happens_after([[maybe_unused]] void* address) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(address);
#endif
}

struct Job {
  ThreadPool::Body body;
  void* context;
};

void run_item(void* job_pointer, std::size_t index) {
  auto* job = static_cast<Job*>(job_pointer);
  happens_after(job);
  job->body(job->context, std::int64_t(index));
  happens_before(job);
}

}  // namespace

struct ThreadPool::Pool {
  pid_t process;
  pthreadpool_t threads;  // null: everything runs on the caller
};

ThreadPool::ThreadPool(int threads, ParallelFor lent) : threads_(threads), lent_(lent) {}

ThreadPool::~ThreadPool() {
  Pool* pool = pool_.load(std::memory_order_acquire);
  if (pool == nullptr) return;
  // A forked child has the parent's pool but not its threads: waiting for them would never end.
  if (pool->process == getpid() && pool->threads != nullptr) pthreadpool_destroy(pool->threads);
  delete pool;
}

// No mutex, since a fork could happen while another thread holds it.
ThreadPool::Pool* ThreadPool::pool() {
  Pool* current = pool_.load(std::memory_order_acquire);
  const pid_t process = getpid();
  if (current != nullptr && current->process == process) return current;
  Pool* made = new Pool{process, pthreadpool_create(std::size_t(threads_))};
  if (pool_.compare_exchange_strong(current, made, std::memory_order_acq_rel)) {
    return made;  // after a fork, the parent's pool is left alone: its state is unknown
  }
  if (made->threads != nullptr) pthreadpool_destroy(made->threads);
  delete made;
  return current;  // what another thread made first
}

void ThreadPool::start() {
  if (lent_.run == nullptr && threads_ > 1) pool();
}

void ThreadPool::run(std::int64_t count, Body body, void* context) {
  if (count <= 1 || (lent_.run == nullptr && threads_ == 1)) {
    for (std::int64_t i = 0; i < count; ++i) body(context, i);
    return;
  }
  if (lent_.run != nullptr) {
    lent_.run(lent_.user, count, body, context);
    return;
  }
  Job job{body, context};
  happens_before(&job);
  // Workers sleep between calls: spinning ones would take the processors from the caller's own.
  pthreadpool_parallelize_1d(pool()->threads, &run_item, &job, std::size_t(count),
                             PTHREADPOOL_FLAG_YIELD_WORKERS);
  happens_after(&job);
}

}  // namespace grkan
