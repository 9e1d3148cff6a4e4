// PlanTable: one direction of a plan: which kernel serves a size. Slots are the powers of two of
// rows (and, channels-first, of inner); each leads to a short list of ranges. Calls read them
// without a lock; a list never changes, a new entry is put in front, and old ones live as long as
// the plan.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/lookup.h"
#include "runtime/call_check.h"
#include "runtime/context.h"

namespace grkan {

// A schedule, why it was chosen, and the sizes for which the choice is this very one.
struct Choice {
  Schedule schedule;
  std::string evidence = {};  // "measured", "predicted", "default", "imported", "portable"
  std::optional<FoundWinner> winner = {};  // for "measured" and "predicted"; may be for "imported"
  Range rows = {};
  Range inner = {};
};

// What another process chose from: its device, and the winners it had.
struct ImportedWinners {
  DeviceDescription device;
  std::vector<StoredWinner> winners;
};

// What the tables of a plan choose from in place of the cache's winners; null: nothing.
class Imports {
 public:
  void set(std::shared_ptr<const ImportedWinners> winners) {
    const std::lock_guard lock(mutex_);
    winners_ = std::move(winners);
  }
  [[nodiscard]] std::shared_ptr<const ImportedWinners> get() const {
    const std::lock_guard lock(mutex_);
    return winners_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const ImportedWinners> winners_;
};

// A choice whose kernel is loaded. Never changes once it can be seen.
struct Prepared {
  Choice choice;
  std::shared_ptr<const Kernel> kernel;
  const Prepared* next = nullptr;  // of the same power of two

  [[nodiscard]] bool holds(std::int64_t rows, std::int64_t inner) const {
    return choice.rows.holds(rows) && choice.inner.holds(inner);
  }
};

// A range as a caller named it, from `least`; what is below 1 counts as 1. Throws invalid_argument.
Range checked_range(const char* name, Range range, std::int64_t least);

class PlanTable {
 public:
  // `whole`: of a task with more gradients, whose choices serve until this one is tuned; may be
  // null. It and `imports` live longer.
  PlanTable(Context& context, Device& device, const Imports& imports, const Task& task,
            PlanTable* whole = nullptr);
  PlanTable(const PlanTable&) = delete;
  PlanTable& operator=(const PlanTable&) = delete;

  [[nodiscard]] const Task& task() const { return task_; }
  [[nodiscard]] const WorkspaceBound& workspace() const { return workspace_; }
  [[nodiscard]] const CallCheck& check() const { return check_; }

  // Null: not prepared.
  const Prepared* find(std::int64_t rows, std::int64_t inner) {
    const Prepared* p = slot(rows, inner).load(std::memory_order_acquire);
    while (p != nullptr && !p->holds(rows, inner)) p = p->next;
    return p;
  }
  // Chooses, compiles and loads where that was not done. On a CPU without a compiler the portable
  // kernel serves what the cache does not have.
  const Prepared& prepare(std::int64_t rows, std::int64_t inner);
  void prepare_all(Range rows, Range inner);
  // The choice for a size, with the sizes around it (within its power of two) that share it; 0 is
  // chosen for as 1. Throws invalid_argument for a size that no call has.
  Choice choose(std::int64_t rows, std::int64_t inner);
  // Reads the winners again, and chooses anew for what was prepared.
  void refresh();

 private:
  static constexpr int kBuckets = 64;  // powers of two of a 63-bit size
  static int bucket(std::int64_t size) { return std::bit_width(std::uint64_t(size)) - 1; }

  std::atomic<const Prepared*>& slot(std::int64_t rows, std::int64_t inner) {
    const int column = inner_buckets_ == 1 ? 0 : bucket(inner);
    return slots_[std::size_t(bucket(rows)) * std::size_t(inner_buckets_) + std::size_t(column)];
  }
  static Range bucket_range(std::int64_t size);
  Choice choose_exactly(std::int64_t rows, std::int64_t inner);
  // From this table's own winners; nothing where there is none for the size.
  std::optional<Choice> choose_winner_at(std::int64_t rows, std::int64_t inner);
  // What effort instant takes where nothing is known; nothing: the default. The same for all sizes
  // of one power of two.
  std::optional<Schedule> predict_at(std::int64_t rows, std::int64_t inner);
  // The whole task's choice, fitted to this task; nothing where it is no more than a default.
  std::optional<Choice> choose_of_whole(std::int64_t rows, std::int64_t inner);
  // Cuts ranges around a size where another choice may begin.
  void cut_ranges(std::int64_t rows, std::int64_t inner, Range& row_range, Range& inner_range);
  std::shared_ptr<const Kernel> load(Choice& choice);
  // Read when they are first asked for.
  const std::vector<StoredWinner>& known_winners();

  Context& context_;
  Device& device_;
  const Imports& imports_;
  const Task task_;
  PlanTable* const whole_;
  const WorkspaceBound workspace_;
  const CallCheck check_;
  const int inner_buckets_;
  std::vector<std::atomic<const Prepared*>> slots_;

  std::mutex mutex_;                                    // of all below
  std::vector<std::unique_ptr<const Prepared>> owned_;  // also those no longer in a slot: calls may
                                                        // still be reading them
  std::vector<const Prepared*> current_;
  std::optional<std::vector<StoredWinner>> winners_;                  // none: not read yet
  std::map<std::pair<int, int>, std::optional<Schedule>> predicted_;  // by power of two
  std::shared_ptr<const ImportedWinners> imported_;  // that winners_ are of; null: the cache's
  std::uint64_t epoch_ = 0;  // of what choices rest on: another one makes a choice under way stale
};

}  // namespace grkan
