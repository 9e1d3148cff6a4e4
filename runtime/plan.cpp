#include "runtime/plan.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "cache/files.h"
#include "core/bounds.h"
#include "core/error.h"
#include "core/version.h"
#include "runtime/call_check.h"
#include "runtime/tune.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;
constexpr std::string_view kExportKind = "grkan choices";
constexpr int kBuckets = 64;  // powers of two of a 63-bit size

int bucket(std::int64_t size) { return std::bit_width(std::uint64_t(size)) - 1; }
Range bucket_range(std::int64_t size) {
  const std::int64_t low = std::int64_t{1} << bucket(size);
  return {low, low + (low - 1)};
}

// A choice whose kernel is loaded. Never changes once it can be seen.
struct Prepared {
  Choice choice;
  std::shared_ptr<const Kernel> kernel;
  const Prepared* next = nullptr;  // of the same power of two

  [[nodiscard]] bool holds(std::int64_t rows, std::int64_t inner) const {
    return choice.rows.holds(rows) && choice.inner.holds(inner);
  }
};

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

Range checked_range(const char* name, Range range, std::int64_t least) {
  if (range.low < least || range.high < range.low) {
    fail_argument("{} {} to {} is not a range; use numbers of at least {}, the lower one first",
                  name, range.low, range.high, least);
  }
  return {std::max<std::int64_t>(1, range.low), std::max<std::int64_t>(1, range.high)};
}

}  // namespace

// One direction of a plan. Slots are read without a lock; all else is under the mutex.
struct Plan::Table {
  Table(Context& context_of_plan, Device& device_of_plan, const Task& task_of_plan)
      : context(context_of_plan),
        device(device_of_plan),
        task(task_of_plan),
        workspace(device.workspace_bound(task)),
        check(task, workspace, device_kind(device.info().name) == DeviceKind::cpu),
        inner_buckets(task.problem.layout == Layout::channels_first ? kBuckets : 1),
        slots(std::size_t(kBuckets) * std::size_t(inner_buckets)) {}

  std::atomic<const Prepared*>& slot(std::int64_t rows, std::int64_t inner) {
    const int column = inner_buckets == 1 ? 0 : bucket(inner);
    return slots[std::size_t(bucket(rows)) * std::size_t(inner_buckets) + std::size_t(column)];
  }
  // Null: not prepared.
  const Prepared* find(std::int64_t rows, std::int64_t inner) {
    const Prepared* p = slot(rows, inner).load(std::memory_order_acquire);
    while (p != nullptr && !p->holds(rows, inner)) p = p->next;
    return p;
  }
  const Prepared& prepare(std::int64_t rows, std::int64_t inner);
  void prepare_all(Range rows, Range inner);
  Choice choose(std::int64_t rows, std::int64_t inner);
  Choice choose_exactly(std::int64_t rows, std::int64_t inner);
  // Read when they are first asked for.
  const std::vector<StoredWinner>& known_winners();
  void refresh();

  Context& context;
  Device& device;
  const Task task;
  const WorkspaceBound workspace;
  const CallCheck check;
  const int inner_buckets;
  std::vector<std::atomic<const Prepared*>> slots;

  std::mutex mutex;
  std::vector<std::unique_ptr<const Prepared>> owned;  // also those no longer in a slot: calls may
                                                       // still be reading them
  std::vector<const Prepared*> current;
  std::optional<std::vector<StoredWinner>> winners;  // none: not read yet
  std::vector<Choice> imported;
  std::uint64_t epoch = 0;  // of what choices rest on: another one makes a choice under way stale
};

const std::vector<StoredWinner>& Plan::Table::known_winners() {
  if (winners) return *winners;
  return winners.emplace(context.cache().winners(task, device.target().name));
}

// The choice for one size; its ranges are that size alone.
Choice Plan::Table::choose_exactly(std::int64_t rows, std::int64_t inner) {
  Choice choice;
  choice.rows = {rows, rows};
  choice.inner = {inner, inner};
  for (const Choice& from : imported) {
    if (!from.rows.holds(rows) || !from.inner.holds(inner)) continue;
    choice.schedule = from.schedule;
    choice.evidence = "imported";
    return choice;
  }
  if (device.target().name.empty()) {
    choice.schedule = device.portable(task)->schedule();
    choice.evidence = "portable";
    return choice;
  }
  const Determinism determinism = context.options().determinism;
  auto found = choose_winner(known_winners(), {.task = task,
                                               .device = describe(device.info()),
                                               .determinism = determinism,
                                               .rows = rows,
                                               .inner = inner});
  if (found && found->grade != Grade::default_schedule) {
    const Winner& winner = found->stored.winner;
    choice.schedule = parse_schedule(winner.schedule, device.target());
    if (why_illegal(task, choice.schedule, device.target(), determinism).empty()) {
      choice.evidence = to_string(winner.evidence);
      choice.winner = std::move(found);
      return choice;
    }
  }
  choice.schedule = default_schedule(task, device.target(), rows, inner, determinism);
  choice.evidence = "default";
  return choice;
}

// The choice for a size, with the sizes around it (within its power of two) that share it.
Choice Plan::Table::choose(std::int64_t rows, std::int64_t inner) {
  const std::lock_guard lock(mutex);
  Choice choice = choose_exactly(rows, inner);
  Range row_range = bucket_range(rows);
  Range inner_range = inner_buckets == 1 ? Range{1, 1} : bucket_range(inner);
  for (const Choice& from : imported) {
    cut(row_range, rows, from.rows);
    cut(inner_range, inner, from.inner);
  }
  if (winners) {
    for (const StoredWinner& stored : *winners) {
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

const Prepared& Plan::Table::prepare(std::int64_t rows, std::int64_t inner) {
  if (const Prepared* known = find(rows, inner); known != nullptr) return *known;
  Choice choice;
  std::shared_ptr<const Kernel> kernel;
  std::unique_lock lock(mutex);
  // Chosen and compiled without the lock: what came in meanwhile, an import say, is chosen from
  // anew.
  std::uint64_t chosen_at = 0;
  do {
    chosen_at = epoch;
    lock.unlock();
    choice = choose(rows, inner);
    const std::string hint = choice.winner ? choice.winner->stored.winner.binary : std::string();
    kernel = context.kernel(device, task, choice.schedule, hint);
    lock.lock();
    if (const Prepared* known = find(rows, inner); known != nullptr) return *known;
  } while (chosen_at != epoch);
  auto made = std::make_unique<Prepared>();
  made->choice = std::move(choice);
  made->kernel = std::move(kernel);
  std::atomic<const Prepared*>& place = slot(rows, inner);
  made->next = place.load(std::memory_order_relaxed);
  const Prepared& result = *made;
  owned.push_back(std::move(made));
  current.push_back(&result);
  place.store(&result, std::memory_order_release);
  return result;
}

void Plan::Table::refresh() {
  std::vector<const Prepared*> old;
  {
    const std::lock_guard lock(mutex);
    winners.reset();
    ++epoch;
    old.swap(current);
    // Calls that come before the new choices are ready prepare their size themselves.
    for (auto& place : slots) place.store(nullptr, std::memory_order_release);
  }
  for (const Prepared* p : old) prepare_all(p->choice.rows, p->choice.inner);
}

void Plan::Table::prepare_all(Range rows, Range inner) {
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

Plan::Plan(Context& context, const Problem& problem, std::string_view device, Gradients gradients)
    : context_(context), problem_((validate(problem), problem)), device_(context.device(device)) {
  tables_[0] = std::make_unique<Table>(context, device_, forward_task(problem));
  if (gradients.any()) {
    tables_[1] = std::make_unique<Table>(context, device_, backward_task(problem, gradients));
  }
}

Plan::~Plan() = default;

Plan::Table& Plan::table(Direction direction) const {
  const auto& found = tables_.at(std::size_t(direction));
  if (found == nullptr) {
    fail_argument(
        "the plan has no backward: it was made with no gradients; make it with dx, da or "
        "db");
  }
  return *found;
}

const Task& Plan::task(Direction direction) const { return table(direction).task; }

std::size_t Plan::workspace_size(Direction direction, std::int64_t inner) const {
  const Table& t = table(direction);
  t.check.check_size(1, inner);
  return t.workspace.bytes(inner);
}

void Plan::prepare(Range rows, Range inner) {
  rows = checked_range("rows", rows, 0);
  inner = checked_range("inner", inner, problem_.layout == Layout::channels_last ? 1 : 0);
  for (const auto& t : tables_) {
    if (t == nullptr) continue;
    t->check.check_size(rows.high, inner.high);
    if (context_.options().effort >= Effort::quick) tune_where_unknown(*this, t->task, rows, inner);
    t->prepare_all(rows, inner);
  }
}

void Plan::run(Direction direction, const Call& call, const Workspace& workspace) {
  Table& t = table(direction);
  t.check.check(call, workspace);
  if (call.rows == 0 || call.inner == 0) {
    clear_gradients(device_, t.task, call, workspace.stream);
    return;
  }
  const Prepared* prepared = t.find(call.rows, call.inner);
  if (prepared == nullptr) prepared = &t.prepare(call.rows, call.inner);
  prepared->kernel->run(call, workspace);
}

Choice Plan::choose(Direction direction, std::int64_t rows, std::int64_t inner) {
  Table& t = table(direction);
  t.check.check_size(rows, inner);
  return t.choose(std::max<std::int64_t>(1, rows), std::max<std::int64_t>(1, inner));
}

std::string Plan::explain(Direction direction, std::int64_t rows, std::int64_t inner) {
  const Choice choice = choose(direction, rows, inner);
  const Task& t = task(direction);
  const Target& target = device_.target();
  Json j = {{"schema", kSchema},
            {"grkan", kVersion},
            {"task", to_string(t)},
            {"problem", to_string(t.problem)},
            {"variant", to_string(t.problem.variant)},
            {"device", device_.info().name},
            {"model", device_.info().model},
            {"target", target.name.empty() ? "portable" : target.name},
            {"direction", to_string(direction)},
            {"rows", rows},
            {"inner", inner},
            {"schedule", to_string(choice.schedule)},
            {"symbol", kernel_symbol(t, compiled_text(choice.schedule))},
            {"evidence", choice.evidence},
            {"holds",
             {{"rows", {choice.rows.low, choice.rows.high}},
              {"inner", {choice.inner.low, choice.inner.high}}}},
            {"workspace_bytes", workspace_size(direction, inner)}};
  const auto unknown = [&](const char* field, const char* why) {
    j[field] = nullptr;
    j["why"][field] = why;
  };
  if (choice.winner) {
    const FoundWinner& found = *choice.winner;
    const Winner& winner = found.stored.winner;
    j["grade"] = to_string(found.grade);
    j["tuned"] = {{"rows", winner.tuned_rows},
                  {"inner", winner.tuned_inner},
                  {"octaves_away", found.tuned_distance},
                  {"range_octaves_away", found.range_distance},
                  {"date", winner.date},
                  {"disturbed", winner.disturbed}};
    j["cache_entry"] = found.stored.path;
    if (winner.time) j["time_ns"] = {{"median", winner.time->median}};
  } else {
    unknown("tuned", "no winner is stored for this task and device");
    unknown("cache_entry", "no winner is stored for this task and device");
  }
  if (!j.contains("time_ns")) unknown("time_ns", "never measured");
  unknown("loss_estimate", "there is no cost model for sizes between measured ones");
  if (const auto limit = finite_below(t, choice.schedule)) {
    j["finite_below"] = *limit;
  } else {
    unknown("finite_below", "variant N has poles");
  }
  std::optional<Binary> binary;
  if (!target.name.empty()) {
    const std::string hint = choice.winner ? choice.winner->stored.winner.binary : std::string();
    binary = context_.cached_binary(t, choice.schedule, target, hint);
  }
  j["cached"] = binary.has_value();
  if (binary && !binary->kernels.empty()) {
    const CompilerReport& report = binary->kernels.front();
    j["compiler"] = binary->compiler;
    const auto figure = [&](const char* field, const std::optional<int>& value) {
      if (value) {
        j[field] = *value;
      } else {
        unknown(field, "the compiler does not tell");
      }
    };
    figure("registers", report.registers);
    figure("spills", report.spill_bytes);
    figure("shared_bytes", report.shared_bytes);
    figure("code_bytes", report.code_bytes);
  }
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

void Plan::refresh() {
  for (const auto& t : tables_) {
    if (t != nullptr) t->refresh();
  }
}

std::string Plan::export_choices() {
  Json choices = Json::array();
  for (const auto& t : tables_) {
    if (t == nullptr) continue;
    const std::lock_guard lock(t->mutex);
    for (const Prepared* p : t->current) {
      choices.push_back({{"task", to_string(t->task)},
                         {"schedule", to_string(p->choice.schedule)},
                         {"rows", {p->choice.rows.low, p->choice.rows.high}},
                         {"inner", {p->choice.inner.low, p->choice.inner.high}}});
    }
  }
  const std::string body = choices.dump();
  return Json{{"kind", kExportKind},
              {"schema", kSchema},
              {"problem", to_string(problem_)},
              {"target", device_.target().name},
              {"hash", content_hash(body)},
              {"choices", choices}}
      .dump();
}

void Plan::import_choices(std::string_view bytes) {
  std::array<std::vector<Choice>, 2> imported;
  try {
    const Json j = Json::parse(bytes);
    if (j.at("kind") != kExportKind || j.at("schema") != kSchema ||
        j.at("hash") != content_hash(j.at("choices").dump())) {
      fail_argument("the bytes are no undamaged export of this version; export them again");
    }
    if (j.at("problem") != to_string(problem_) || j.at("target") != device_.target().name) {
      fail_argument("the bytes are of {} on {}, but the plan is of {} on {}",
                    j.at("problem").get<std::string>(), j.at("target").get<std::string>(),
                    to_string(problem_), device_.target().name);
    }
    for (const Json& item : j.at("choices")) {
      const Task of = parse_task(item.at("task").get<std::string>());
      const auto& t = tables_.at(std::size_t(of.direction));
      if (t == nullptr || t->task != of) continue;  // a rank that asks for other gradients
      Choice choice;
      choice.schedule = parse_schedule(item.at("schedule").get<std::string>(), device_.target());
      const auto rows = item.at("rows").get<std::array<std::int64_t, 2>>();
      const auto inner = item.at("inner").get<std::array<std::int64_t, 2>>();
      choice.rows = checked_range("rows", {rows[0], rows[1]}, 1);
      choice.inner = checked_range("inner", {inner[0], inner[1]}, 1);
      if (const std::string why =
              why_illegal(of, choice.schedule, device_.target(), context_.options().determinism);
          !why.empty() && !device_.target().name.empty()) {
        fail_argument("the bytes hold the schedule {}, which this plan can't use: {}",
                      to_string(choice.schedule), why);
      }
      imported.at(std::size_t(of.direction)).push_back(std::move(choice));
    }
  } catch (const nlohmann::json::exception& error) {
    fail_argument("the bytes are no undamaged export of a plan: {}", error.what());
  }
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    if (tables_.at(i) == nullptr) continue;
    {
      const std::lock_guard lock(tables_.at(i)->mutex);
      tables_.at(i)->imported = std::move(imported.at(i));
    }
    tables_.at(i)->refresh();
  }
}

}  // namespace grkan
