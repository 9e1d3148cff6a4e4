#include "cpu/thread_pool.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <system_error>
#include <thread>
#include <vector>

namespace grkan {
namespace {

// A run: whoever comes takes the next item.
struct Job {
  ThreadPool::Body body;
  void* context;
  std::int64_t count;
  std::atomic<std::int64_t> next = 0;

  void work() {
    for (;;) {
      const std::int64_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= count) return;
      body(context, i);
    }
  }
};

// Signals are the host's: none is handled on a thread of ours.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

// Threads that sleep between runs: spinning ones would take the processors from the caller's own.
struct ThreadPool::Pool {
  explicit Pool(int threads) {
    const SignalsBlocked blocked;
    while (int(workers.size()) < threads - 1 && add_worker()) {
    }
  }
  ~Pool() {
    ending.store(true, std::memory_order_relaxed);
    runs.fetch_add(1, std::memory_order_release);
    runs.notify_all();
    for (std::thread& worker : workers) worker.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // False where the system has no more threads: a limit of the user, of a container.
  bool add_worker() {
    try {
      workers.emplace_back([this] { serve(); });
      return true;
    } catch (const std::system_error&) {
      return false;
    }
  }
  void serve() {
    std::uint32_t seen = 0;
    for (;;) {
      runs.wait(seen, std::memory_order_acquire);
      seen = runs.load(std::memory_order_acquire);
      if (ending.load(std::memory_order_relaxed)) return;
      if (!enter()) continue;
      job->work();
      if (places.fetch_sub(1, std::memory_order_acq_rel) == 1) places.notify_all();
    }
  }
  bool enter() {
    std::uint32_t now = places.load(std::memory_order_acquire);
    while (now >= kSeat) {
      if (places.compare_exchange_weak(now, now - kSeat + 1, std::memory_order_acq_rel))
        return true;
    }
    return false;
  }

  // By the one caller that has `taken`. Workers that wake late find no seat: nobody waits for them.
  void run(Job& of, std::uint32_t helpers) {
    job = &of;
    places.store(helpers * kSeat, std::memory_order_release);
    runs.fetch_add(1, std::memory_order_release);
    if (helpers == workers.size()) {
      runs.notify_all();
    } else {
      for (std::uint32_t i = 0; i < helpers; ++i) runs.notify_one();
    }
    of.work();
    std::uint32_t inside = places.fetch_and(kSeat - 1, std::memory_order_acq_rel) % kSeat;
    while (inside != 0) {
      places.wait(inside, std::memory_order_acquire);
      inside = places.load(std::memory_order_acquire);
    }
  }

  const pid_t process = getpid();
  std::atomic_flag taken;
  std::atomic<std::uint32_t> runs = 0;  // what workers sleep on
  std::atomic<bool> ending = false;
  // Workers inside the run, and kSeat for each that may still come in.
  static constexpr std::uint32_t kSeat = 1U << 16;
  std::atomic<std::uint32_t> places = 0;
  Job* job = nullptr;  // for those inside
  std::vector<std::thread> workers;
};

ThreadPool::ThreadPool(int threads, ParallelFor lent) : threads_(threads), lent_(lent) {}

ThreadPool::~ThreadPool() {
  Pool* pool = pool_.load(std::memory_order_acquire);
  // A forked child has the parent's pool but not its threads: waiting for them would never end.
  if (pool != nullptr && pool->process == getpid()) delete pool;
}

// No mutex, since a fork could happen while another thread holds it.
ThreadPool::Pool* ThreadPool::pool() {
  Pool* current = pool_.load(std::memory_order_acquire);
  if (current != nullptr && current->process == getpid()) return current;
  Pool* made = new Pool(threads_);
  if (pool_.compare_exchange_strong(current, made, std::memory_order_acq_rel)) {
    return made;  // after a fork, the parent's pool is left alone: its state is unknown
  }
  delete made;
  return current;  // what another thread made first
}

void ThreadPool::start() {
  if (lent_.run == nullptr && threads_ > 1) pool();
}

void ThreadPool::run(std::int64_t count, Body body, void* context, int most) {
  Job job{body, context, count};
  if (lent_.run != nullptr && count > 1 && most != 1) {
    if (most == 0 || most >= count) {
      lent_.run(lent_.user, count, body, context);
    } else {
      lent_.run(
          lent_.user, most,
          [](void* shared, std::int64_t /*index*/) { static_cast<Job*>(shared)->work(); }, &job);
    }
    return;
  }
  const int limit = most == 0 ? threads_ : std::min(most, threads_);
  if (count > 1 && limit > 1) {
    Pool& shared = *pool();
    const auto helpers = std::uint32_t(
        std::min({std::int64_t(shared.workers.size()), std::int64_t(limit) - 1, count - 1}));
    if (helpers > 0 && !shared.taken.test_and_set(std::memory_order_acquire)) {
      shared.run(job, helpers);
      shared.taken.clear(std::memory_order_release);
      return;
    }
  }
  job.work();
}

}  // namespace grkan
