#include "python/src/plans.h"

#include <pthread.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>

#include "python/src/fork_local.h"

namespace grkan::frameworks {

constinit std::atomic<unsigned> forks = 0;

namespace {

struct BytesLess {
  bool operator()(const PlanKey& a, const PlanKey& b) const {
    return std::memcmp(&a, &b, sizeof(PlanKey)) < 0;
  }
};

struct Store {
  std::mutex mutex;
  std::map<std::tuple<std::int16_t, grkan_parallel_for, std::int16_t>, grkan_context*> contexts;
  std::map<PlanKey, grkan_plan*, BytesLess> plans;
};

constinit ForkLocal<Store> store;

// When the library is loaded: a process that forks before its first call has threads to leave, too.
[[maybe_unused]] const int registered =
    pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });

grkan_status make_plan(Store& s, const PlanKey& key, grkan_plan** plan) {
  grkan_context*& context = s.contexts[{key.determinism, key.pool, key.threads}];
  if (context == nullptr) {
    grkan_context_options options{};
    options.size = sizeof options;
    options.determinism = key.determinism;
    options.threads = key.threads;
    options.parallel_for = key.pool;
    if (const grkan_status status = grkan_context_create(&options, &context)) return status;
  }
  const std::string device = key.device == kCpu ? "cpu" : "cuda:" + std::to_string(key.device);
  return grkan_plan_create(context, &key.problem, device.c_str(), GRKAN_DX | GRKAN_DA | GRKAN_DB,
                           plan);
}

// The plans this thread used last, in front of the store.
struct Recent {
  struct Entry {
    PlanKey key;
    grkan_plan* plan;  // nullptr: none yet
  };
  unsigned forks = 0;
  std::array<Entry, 64> entries{};

  static std::size_t slot(const PlanKey& key) {
    std::uint64_t hash = 0;
    std::array<std::uint64_t, sizeof(PlanKey) / 8> words;
    static_assert(sizeof words == sizeof key);
    std::memcpy(words.data(), &key, sizeof key);
    for (const std::uint64_t word : words) hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash >> 58;
  }
};

// What a thread keeps of its workspace between calls.
constexpr std::size_t kKept = std::size_t{64} << 20;

struct Memory {
  void* data = nullptr;
  std::size_t size = 0;
  bool taken = false;

  ~Memory() { std::free(data); }
};
thread_local Memory memory;

void* allocate(std::size_t bytes) { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }

}  // namespace

grkan_status find_plan(const PlanKey& key, grkan_plan** plan) {
  thread_local Recent recent;
  const unsigned now = forks.load(std::memory_order_relaxed);
  if (recent.forks != now) {
    recent = {};
    recent.forks = now;
  }
  Recent::Entry& entry = recent.entries[Recent::slot(key)];
  if (entry.plan == nullptr || std::memcmp(&entry.key, &key, sizeof key) != 0) {
    Store& s = store.get();
    const std::lock_guard lock(s.mutex);
    grkan_plan*& known = s.plans[key];
    if (known == nullptr) {
      if (const grkan_status status = make_plan(s, key, &known)) {
        s.plans.erase(key);
        return status;
      }
    }
    entry = {key, known};
  }
  *plan = entry.plan;
  return GRKAN_OK;
}

bool forked() { return forks.load(std::memory_order_relaxed) != 0; }

// A call within a call of the same thread (a parallel region that runs it) brings its own.
Workspace::Workspace(std::size_t bytes) : data_(nullptr), own_(memory.taken || bytes > kKept) {
  if (own_) {
    data_ = bytes > 0 ? allocate(bytes) : nullptr;
    return;
  }
  if (memory.size < bytes) {
    std::free(memory.data);
    memory.data = allocate(bytes);
    memory.size = memory.data != nullptr ? bytes : 0;
  }
  memory.taken = true;
  data_ = memory.data;
}

Workspace::~Workspace() {
  if (own_) {
    std::free(data_);
  } else {
    memory.taken = false;
  }
}

void ask_for_huge_pages(void* data, std::size_t bytes) {
  constexpr std::size_t kPage = std::size_t{2} << 20;
  if (bytes < kHuge) return;
  const auto begin = (reinterpret_cast<std::uintptr_t>(data) + kPage - 1) / kPage * kPage;
  const auto end = (reinterpret_cast<std::uintptr_t>(data) + bytes) / kPage * kPage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

}  // namespace grkan::frameworks

using grkan::frameworks::PlanKey;

extern "C" {

// find_plan, for Python.
GRKAN_API grkan_status grkan_frameworks_plan(const PlanKey* key, grkan_plan** plan) {
  try {
    return grkan::frameworks::find_plan(*key, plan);
  } catch (const std::exception&) {
    return GRKAN_OUT_OF_MEMORY;
  }
}

// Fills up to `most` keys of the plans made so far. Returns how many there are.
GRKAN_API std::size_t grkan_frameworks_plans(PlanKey* keys, std::size_t most) noexcept {
  auto& s = grkan::frameworks::store.get();
  const std::lock_guard lock(s.mutex);
  std::size_t count = 0;
  for (const auto& [key, plan] : s.plans) {
    if (count < most) keys[count] = key;
    ++count;
  }
  return count;
}

}  // extern "C"
