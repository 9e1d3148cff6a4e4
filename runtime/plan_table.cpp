#include "runtime/plan_table.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/error.h"
#include "tuner/instant_run.h"

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
    fail_field(name, "{} {} to {} is not a range; use numbers of at least {}, the lower one first",
               name, range.low, range.high, least);
  }
  return {std::max<std::int64_t>(1, range.low), std::max<std::int64_t>(1, range.high)};
}

PlanTable::PlanTable(Context& context, Device& device, const Imports& imports, const Task& task,
                     PlanTable* whole)
    : context_(context),
      device_(device),
      imports_(imports),
      task_(task),
      whole_(whole),
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
  imported_ = imports_.get();
  predicted_.clear();
  if (imported_ == nullptr) {
    return winners_.emplace(context_.cache().winners(task_, device_.target().name));
  }
  winners_.emplace();
  for (const StoredWinner& stored : imported_->winners) {
    if (stored.winner.task == task_) winners_->push_back(stored);
  }
  return *winners_;
}

std::optional<Choice> PlanTable::choose_winner_at(std::int64_t rows, std::int64_t inner) {
  const Determinism determinism = context_.options().determinism;
  const std::vector<StoredWinner>& known = known_winners();
  auto found =
      choose_winner(known, {.task = task_,
                            .device = imported_ ? imported_->device : describe(device_.info()),
                            .determinism = determinism,
                            .rows = rows,
                            .inner = inner});
  if (!found || found->grade == Grade::default_schedule) return {};
  const Winner& winner = found->stored.winner;
  Choice choice;
  choice.schedule = parse_schedule(winner.schedule, device_.target());
  if (!why_illegal(task_, choice.schedule, device_.target(), determinism).empty()) return {};
  choice.evidence = imported_ ? "imported" : to_string(winner.evidence);
  choice.winner = std::move(found);
  return choice;
}

std::optional<Schedule> PlanTable::predict_at(std::int64_t rows, std::int64_t inner) {
  const bool asked = context_.options().effort != Effort::none;
  // On a virtual GPU predictions are asked for by `grkan tune`.
  if (!asked || device_.info().is_virtual) return {};
  const std::pair<int, int> place = {bucket(rows), inner_buckets_ == 1 ? 0 : bucket(inner)};
  if (const auto known = predicted_.find(place); known != predicted_.end()) return known->second;
  const auto middle = [](std::int64_t size) {
    const Range range = bucket_range(size);
    return range.low + (range.high - range.low) / 2;
  };
  // As the process does from which the winners came.
  DeviceInfo device = device_.info();
  if (imported_ != nullptr) {
    device.model = imported_->device.name;
    device.units = int(imported_->device.units);
    device.memory = imported_->device.memory_bytes;
  }
  const std::optional<Schedule> predicted =
      predict_schedule(device, task_, middle(rows), inner_buckets_ == 1 ? 1 : middle(inner),
                       context_.options().determinism);
  return predicted_.emplace(place, predicted).first->second;
}

std::optional<Choice> PlanTable::choose_of_whole(std::int64_t rows, std::int64_t inner) {
  if (whole_ == nullptr) return {};
  std::optional<Choice> choice;
  {
    const std::lock_guard lock(whole_->mutex_);
    choice = whole_->choose_exactly(rows, inner);
  }
  if (!choice->winner) return {};
  const Determinism determinism = context_.options().determinism;
  const Schedule standard = default_schedule(task_, device_.target(), rows, inner, determinism);
  const auto legal = [&] {
    return why_illegal(task_, choice->schedule, device_.target(), determinism).empty();
  };
  // What a task with fewer gradients has no use for does not apply in its default either.
  for (std::size_t i = 0; !legal(); ++i) {
    if (i == standard.values.size()) return {};
    if (standard.values[i] == 0) choice->schedule.values[i] = 0;
  }
  return choice;
}

// The choice for one size; its ranges are that size alone.
Choice PlanTable::choose_exactly(std::int64_t rows, std::int64_t inner) {
  const auto here = [&](Choice choice) {
    choice.rows = {rows, rows};
    choice.inner = {inner, inner};
    return choice;
  };
  const Target& target = device_.target();
  if (target.name.empty()) {
    return here({.schedule = device_.portable(task_)->schedule(), .evidence = "portable"});
  }
  if (auto own = choose_winner_at(rows, inner)) return here(std::move(*own));
  if (auto whole = choose_of_whole(rows, inner)) return here(std::move(*whole));
  if (const auto predicted = predict_at(rows, inner)) {
    return here({.schedule = *predicted, .evidence = imported_ ? "imported" : "predicted"});
  }
  return here(
      {.schedule = default_schedule(task_, target, rows, inner, context_.options().determinism),
       .evidence = imported_ ? "imported" : "default"});
}

void PlanTable::cut_ranges(std::int64_t rows, std::int64_t inner, Range& row_range,
                           Range& inner_range) {
  if (!winners_) return;
  for (const StoredWinner& stored : *winners_) {
    cut(row_range, rows, stored.winner.rows);
    cut(inner_range, inner, stored.winner.inner);
  }
}

// The choice for a size, with the sizes around it (within its power of two) that share it.
Choice PlanTable::choose(std::int64_t rows, std::int64_t inner) {
  check_.check_size(rows, inner);
  rows = std::max<std::int64_t>(1, rows);
  inner = std::max<std::int64_t>(1, inner);
  const std::lock_guard lock(mutex_);
  Choice choice = choose_exactly(rows, inner);
  Range row_range = bucket_range(rows);
  Range inner_range = inner_buckets_ == 1 ? Range{1, 1} : bucket_range(inner);
  cut_ranges(rows, inner, row_range, inner_range);
  if (whole_ != nullptr) {
    const std::lock_guard of_whole(whole_->mutex_);
    whole_->cut_ranges(rows, inner, row_range, inner_range);
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

std::shared_ptr<const Kernel> PlanTable::load(Choice& choice) {
  const bool own = choice.winner && choice.winner->stored.winner.task == task_;
  const std::string hint = own ? choice.winner->stored.winner.binary : std::string();
  try {
    return context_.kernel(device_, task_, choice.schedule, hint);
  } catch (const Error& error) {
    if (error.status() != Status::no_compiler || device_.target().cuda()) throw;
    context_.log()(LogLevel::warn, "{} runs on the portable kernel, which is slow: {}",
                   to_string(task_), error.what());
  }
  std::shared_ptr<const Kernel> kernel = device_.portable(task_);
  choice.schedule = kernel->schedule();
  choice.evidence = "portable";
  choice.winner.reset();
  return kernel;
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
    kernel = load(choice);
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

}  // namespace grkan
