#include "python/src/recording.h"

#include <pthread.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <vector>

#include "python/src/fork_local.h"

namespace grkan::frameworks {

std::atomic<int> recordings_under_way = 0;

namespace {

struct Recorder {
  std::mutex mutex;
  std::vector<RecordedCall> calls;  // in the order of their first
};

// A forked child records nothing of its parent's.
constinit ForkLocal<Recorder> recorder;
[[maybe_unused]] const int registered =
    pthread_atfork(nullptr, nullptr, [] { recordings_under_way.store(0); });

bool alike(const RecordedCall& a, const RecordedCall& b) {
  return a.rows == b.rows && a.inner == b.inner && a.direction == b.direction &&
         a.gradients == b.gradients && std::memcmp(&a.key, &b.key, sizeof a.key) == 0;
}

}  // namespace

void record(const PlanKey& key, std::int32_t direction, std::int32_t gradients, std::int64_t rows,
            std::int64_t inner) {
  Recorder& r = recorder.get();
  const RecordedCall call{key, direction, gradients, rows, inner, 1};
  const std::lock_guard lock(r.mutex);
  const auto known =
      std::find_if(r.calls.begin(), r.calls.end(), [&](const auto& c) { return alike(c, call); });
  if (known != r.calls.end()) {
    ++known->count;
  } else {
    r.calls.push_back(call);
  }
}

}  // namespace grkan::frameworks

using grkan::frameworks::RecordedCall;

extern "C" {

// Begins a recording (1) or ends one (0). Several may be under way; with the last all counts end.
GRKAN_API void grkan_frameworks_record(std::int32_t begin) noexcept {
  auto& r = grkan::frameworks::recorder.get();
  const std::lock_guard lock(r.mutex);
  std::atomic<int>& under_way = grkan::frameworks::recordings_under_way;
  if (begin != 0) {
    ++under_way;
  } else if (under_way > 0) {
    --under_way;
    if (under_way == 0) r.calls.clear();
  }
}

// Fills up to `most` of the calls counted since recordings are under way. Returns how many there
// are.
GRKAN_API std::size_t grkan_frameworks_recorded(RecordedCall* calls, std::size_t most) noexcept {
  auto& r = grkan::frameworks::recorder.get();
  const std::lock_guard lock(r.mutex);
  std::copy_n(r.calls.begin(), std::min(most, r.calls.size()), calls);
  return r.calls.size();
}

}  // extern "C"
