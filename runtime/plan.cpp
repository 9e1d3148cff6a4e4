#include "runtime/plan.h"

#include <algorithm>

#include "core/error.h"
#include "runtime/tune_unknown.h"

namespace grkan {

Plan::Plan(Context& context, const Problem& problem, std::string_view device, Gradients gradients)
    : context_(context), problem_((validate(problem), problem)), device_(context.device(device)) {
  tables_[0] = std::make_unique<PlanTable>(context, device_, imports_, forward_task(problem));
  workspaces_[0] = tables_[0]->workspace();
  if (!gradients.any()) return;
  const Task whole = backward_task(problem);
  if (gradients != whole.gradients) {
    whole_ = std::make_unique<PlanTable>(context, device_, imports_, whole);
  }
  tables_[1] = std::make_unique<PlanTable>(context, device_, imports_,
                                           backward_task(problem, gradients), whole_.get());
  for (unsigned bits = 1; bits <= gradients.bits(); ++bits) {
    if ((bits & ~gradients.bits()) != 0) continue;
    workspaces_[1].hold(device_.workspace_bound(backward_task(problem, Gradients::of_bits(bits))));
  }
}

Plan::~Plan() {
  for (const auto& part : parts_) delete part.load();
}

PlanTable& Plan::table(Direction direction) const {
  const auto& found = tables_.at(std::size_t(direction));
  if (found == nullptr) {
    fail_field("direction",
               "the plan has no backward: it was made with no gradients; make it with dx, da or "
               "db");
  }
  return *found;
}

PlanTable& Plan::table_of(const Call& call) {
  PlanTable& whole = table(Direction::backward);
  const Task& task = whole.task();
  Gradients given = task.gradients;
  if (call.rows > 0 && call.inner > 0) given.dx = call.out != nullptr;
  given.da = call.da != nullptr;
  if (task.problem.denominator_terms() > 0) given.db = call.db != nullptr;
  const Gradients& all = task.gradients;
  const bool fewer = (given.bits() & ~all.bits()) == 0 && given != all;
  if (!fewer || !given.any()) return whole;  // whose check says what is wrong
  return part_of(given);
}

PlanTable& Plan::part_of(Gradients given) {
  PlanTable& whole = table(Direction::backward);
  if (given == whole.task().gradients) return whole;
  std::atomic<PlanTable*>& part = parts_.at(given.bits());
  if (PlanTable* known = part.load(std::memory_order_acquire)) return *known;
  auto made = std::make_unique<PlanTable>(
      context_, device_, imports_, backward_task(problem_, given), whole_ ? whole_.get() : &whole);
  PlanTable* known = nullptr;
  if (!part.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel)) return *known;
  return *made.release();
}

const Task& Plan::task(Direction direction) const { return table(direction).task(); }

std::size_t Plan::workspace_size(Direction direction, std::int64_t inner) const {
  table(direction).check().check_size(1, inner);
  return workspaces_.at(std::size_t(direction)).bytes(inner);
}

std::size_t Plan::workspace_size(Direction direction, std::int64_t rows, std::int64_t inner) const {
  table(direction).check().check_size(rows, inner);
  if (rows == 0 || inner == 0) return 0;
  return workspaces_.at(std::size_t(direction)).bytes(rows, inner);
}

void Plan::prepare(Range rows, Range inner) {
  rows = checked_range("rows", rows, 0);
  inner = checked_range("inner", inner, problem_.layout == Layout::channels_last ? 1 : 0);
  for (const auto& t : tables_) {
    if (t == nullptr) continue;
    t->check().check_size(rows.high, inner.high);
    if (context_.options().effort >= Effort::quick)
      tune_where_unknown(*this, t->task(), rows, inner);
    t->prepare_all(rows, inner);
  }
}

void Plan::run(Direction direction, const Call& call, const Workspace& workspace) {
  PlanTable& t = direction == Direction::forward ? table(direction) : table_of(call);
  t.check().check(call, workspace);
  if (call.rows == 0 || call.inner == 0) {
    clear_gradients(device_, t.task(), call, workspace.stream);
    return;
  }
  const Prepared* prepared = t.find(call.rows, call.inner);
  if (prepared == nullptr) prepared = &t.prepare(call.rows, call.inner);
  prepared->kernel->run(call, workspace);
}

bool Plan::is_prepared(Direction direction, std::int64_t rows, std::int64_t inner) const {
  PlanTable& t = table(direction);
  t.check().check_size(rows, inner);
  return rows == 0 || inner == 0 || t.find(rows, inner) != nullptr;
}

Choice Plan::choose(Direction direction, std::int64_t rows, std::int64_t inner) {
  return table(direction).choose(rows, inner);
}

void Plan::refresh() {
  imports_.set(nullptr);
  choose_again();
}

void Plan::choose_again() {
  // The whole before what looks at it.
  for (PlanTable* t : {whole_.get(), tables_[0].get(), tables_[1].get()}) {
    if (t != nullptr) t->refresh();
  }
  for (const auto& part : parts_) {
    if (PlanTable* t = part.load(std::memory_order_acquire)) t->refresh();
  }
}

std::vector<Task> Plan::tasks() const {
  std::vector<Task> tasks = {task(Direction::forward)};
  if (!has(Direction::backward)) return tasks;
  const unsigned own = task(Direction::backward).gradients.bits();
  const unsigned all = backward_task(problem_).gradients.bits();
  for (unsigned bits = 1; bits <= all; ++bits) {
    if ((bits & ~own) != 0 && bits != all) continue;
    tasks.push_back(backward_task(problem_, Gradients::of_bits(bits)));
  }
  return tasks;
}

}  // namespace grkan
