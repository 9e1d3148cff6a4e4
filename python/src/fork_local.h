// What a process has once, and a forked child anew: another thread may have held what its parent
// has.
#pragma once

#include <atomic>

namespace grkan::frameworks {

// How many forks lie between this process and the one that loaded this library.
extern std::atomic<unsigned> forks;

// A T made by the first call of each process. Never destroyed: threads may still call while the
// process exits.
template <class T>
class ForkLocal {
 public:
  constexpr ForkLocal() = default;
  ForkLocal(const ForkLocal&) = delete;
  ForkLocal& operator=(const ForkLocal&) = delete;

  T& get() {
    const unsigned now = forks.load(std::memory_order_relaxed);
    Made* found = made_.load(std::memory_order_acquire);
    while (found == nullptr || found->forks != now) {
      auto* made = new Made{now, {}};
      if (made_.compare_exchange_strong(found, made, std::memory_order_acq_rel)) return made->value;
      delete made;
    }
    return found->value;
  }

 private:
  struct Made {
    unsigned forks;
    T value;
  };
  std::atomic<Made*> made_ = nullptr;
};

}  // namespace grkan::frameworks
