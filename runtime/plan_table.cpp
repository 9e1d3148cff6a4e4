#include "runtime/plan_table.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/error.h"

namespace grkan {
namespace {

// The part of `range` around `at` where same(value) holds at both ends, found by halving: choices
// change at few places.
template <class Same>
Range shrink(Range range, std::int64_t at, const Same& same) {
  const auto last_same = [&](std::int64_t from, std::int64_t to) {
    while (from != to) {
      const std::int64_t middle = from + (to - from) / 2 + ((to > from) && (to - from) % 2 != 0);
      if (same(middle)) {
        if (middle == from) break;
        from = middle;
      } else {
        to = middle > from ? middle - 1 : middle + 1;
      }
    }
    return from;
  };
  if (!same(range.low)) range.low = last_same(at, range.low);
  if (!same(range.high)) range.high = last_same(at, range.high);
  return range;
}

void cut(Range& range, std::int64_t at, const Range& boundary) {
  constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t begin : {boundary.low, std::min(boundary.high, kEnd - 1) + 1}) {
    if (begin <= at) {
      range.low = std::max(range.low, begin);
    } else {
      range.high = std::min(range.high, begin - 1);
    }
  }
}

}  // namespace

Range checked_range(const char* name, Range range, std::int64_t least) {
  if (range.low < least || range.high < range.low) {
    fail_argument("{} {} to {} is not a range; use numbers of at least {}, the lower one first",
                  name, range.low, range.high, least);
  }
  return {std::max<std::int64_t>(1, range.low), std::max<std::int64_t>(1, range.high)};
}

PlanTable::PlanTable(Context& context, Device& device, const Task& task)
    : context_(context),
      device_(device),
      task_(task),
      workspace_(device.workspace_bound(task)),
      check_(task, workspace_, device_kind(device.info().name) == DeviceKind::cpu),
      inner_buckets_(task.problem.layout == Layout::channels_first ? kBuckets : 1),
      slots_(std::size_t(kBuckets) * std::size_t(inner_buckets_)) {}

Range PlanTable::bucket_range(std::int64_t size) {
  const std::int64_t low = std::int64_t{1} << bucket(size);
  return {low, low + (low - 1)};
}

const std::vector<StoredWinner>& PlanTable::known_winners() {
  if (winners_) return *winners_;
  return winners_.emplace(context_.cache().winners(task_, device_.target().name));
}

// The choice for one size; its ranges are that size alone.
Choice PlanTable::choose_exactly(std::int64_t rows, std::int64_t inner) {
  Choice choice;
  choice.rows = {rows, rows};
  choice.inner = {inner, inner};
  for (const Choice& from : imported_) {
    if (!from.rows.holds(rows) || !from.inner.holds(inner)) continue;
    choice.schedule = from.schedule;
    choice.evidence = "imported";
    return choice;
  }
  if (device_.target().name.empty()) {
    choice.schedule = device_.portable(task_)->schedule();
    choice.evidence = "portable";
    return choice;
  }
  const Determinism determinism = context_.options().determinism;
  auto found = choose_winner(known_winners(), {.task = task_,
                                               .device = describe(device_.info()),
                                               .determinism = determinism,
                                               .rows = rows,
                                               .inner = inner});
  if (found && found->grade != Grade::default_schedule) {
    const Winner& winner = found->stored.winner;
    choice.schedule = parse_schedule(winner.schedule, device_.target());
    if (why_illegal(task_, choice.schedule, device_.target(), determinism).empty()) {
      choice.evidence = to_string(winner.evidence);
      choice.winner = std::move(found);
      return choice;
    }
  }
  choice.schedule = default_schedule(task_, device_.target(), rows, inner, determinism);
  choice.evidence = "default";
  return choice;
}

// The choice for a size, with the sizes around it (within its power of two) that share it.
Choice PlanTable::choose(std::int64_t rows, std::int64_t inner) {
  const std::lock_guard lock(mutex_);
  Choice choice = choose_exactly(rows, inner);
  Range row_range = bucket_range(rows);
  Range inner_range = inner_buckets_ == 1 ? Range{1, 1} : bucket_range(inner);
  for (const Choice& from : imported_) {
    cut(row_range, rows, from.rows);
    cut(inner_range, inner, from.inner);
  }
  if (winners_) {
    for (const StoredWinner& stored : *winners_) {
      cut(row_range, rows, stored.winner.rows);
      cut(inner_range, inner, stored.winner.inner);
    }
  }
  const Schedule schedule = choice.schedule;
  // Inner first, then rows at both ends of inner: a rectangle with the choice at its corners.
  inner_range = shrink(inner_range, inner, [&](std::int64_t at) {
    return choose_exactly(rows, at).schedule == schedule;
  });
  row_range = shrink(row_range, rows, [&](std::int64_t at) {
    return choose_exactly(at, inner_range.low).schedule == schedule &&
           choose_exactly(at, inner_range.high).schedule == schedule;
  });
  choice.rows = row_range;
  choice.inner = inner_range;
  return choice;
}

const Prepared& PlanTable::prepare(std::int64_t rows, std::int64_t inner) {
  if (const Prepared* known = find(rows, inner); known != nullptr) return *known;
  Choice choice;
  std::shared_ptr<const Kernel> kernel;
  std::unique_lock lock(mutex_);
  // Chosen and compiled without the lock: what came in meanwhile, an import say, is chosen from
  // anew.
  std::uint64_t chosen_at = 0;
  do {
    chosen_at = epoch_;
    lock.unlock();
    choice = choose(rows, inner);
    const std::string hint = choice.winner ? choice.winner->stored.winner.binary : std::string();
    kernel = context_.kernel(device_, task_, choice.schedule, hint);
    lock.lock();
    if (const Prepared* known = find(rows, inner); known != nullptr) return *known;
  } while (chosen_at != epoch_);
  auto made = std::make_unique<Prepared>();
  made->choice = std::move(choice);
  made->kernel = std::move(kernel);
  std::atomic<const Prepared*>& place = slot(rows, inner);
  made->next = place.load(std::memory_order_relaxed);
  const Prepared& result = *made;
  owned_.push_back(std::move(made));
  current_.push_back(&result);
  place.store(&result, std::memory_order_release);
  return result;
}

void PlanTable::refresh() {
  std::vector<const Prepared*> old;
  {
    const std::lock_guard lock(mutex_);
    winners_.reset();
    ++epoch_;
    old.swap(current_);
    // Calls that come before the new choices are ready prepare their size themselves.
    for (auto& place : slots_) place.store(nullptr, std::memory_order_release);
  }
  for (const Prepared* p : old) prepare_all(p->choice.rows, p->choice.inner);
}

void PlanTable::prepare_all(Range rows, Range inner) {
  for (std::int64_t i = inner.low; i <= inner.high;) {
    std::int64_t next = inner.high + 1;
    for (std::int64_t r = rows.low; r <= rows.high;) {
      const Prepared& prepared = prepare(r, i);
      const Choice& choice = prepared.choice;
      prepared.kernel->get_ready(std::min(choice.rows.high, rows.high),
                                 std::min(choice.inner.high, inner.high));
      next = std::min(next, choice.inner.high + 1);
      r = choice.rows.high + 1;
    }
    i = next;
  }
}

std::vector<Choice> PlanTable::prepared_choices() {
  const std::lock_guard lock(mutex_);
  std::vector<Choice> choices;
  for (const Prepared* p : current_) choices.push_back(p->choice);
  return choices;
}

void PlanTable::import(std::vector<Choice> choices) {
  {
    const std::lock_guard lock(mutex_);
    imported_ = std::move(choices);
  }
  refresh();
}

}  // namespace grkan
