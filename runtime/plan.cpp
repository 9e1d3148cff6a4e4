#include "runtime/plan.h"

#include <algorithm>

#include "core/error.h"
#include "runtime/tune_unknown.h"

namespace grkan {

Plan::Plan(Context& context, const Problem& problem, std::string_view device, Gradients gradients)
    : context_(context), problem_((validate(problem), problem)), device_(context.device(device)) {
  tables_[0] = std::make_unique<PlanTable>(context, device_, forward_task(problem));
  if (gradients.any()) {
    tables_[1] = std::make_unique<PlanTable>(context, device_, backward_task(problem, gradients));
  }
}

Plan::~Plan() = default;

PlanTable& Plan::table(Direction direction) const {
  const auto& found = tables_.at(std::size_t(direction));
  if (found == nullptr) {
    fail_argument(
        "the plan has no backward: it was made with no gradients; make it with dx, da or "
        "db");
  }
  return *found;
}

const Task& Plan::task(Direction direction) const { return table(direction).task(); }

std::size_t Plan::workspace_size(Direction direction, std::int64_t inner) const {
  const PlanTable& t = table(direction);
  t.check().check_size(1, inner);
  return t.workspace().bytes(inner);
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
  PlanTable& t = table(direction);
  t.check().check(call, workspace);
  if (call.rows == 0 || call.inner == 0) {
    clear_gradients(device_, t.task(), call, workspace.stream);
    return;
  }
  const Prepared* prepared = t.find(call.rows, call.inner);
  if (prepared == nullptr) prepared = &t.prepare(call.rows, call.inner);
  prepared->kernel->run(call, workspace);
}

Choice Plan::choose(Direction direction, std::int64_t rows, std::int64_t inner) {
  PlanTable& t = table(direction);
  t.check().check_size(rows, inner);
  return t.choose(std::max<std::int64_t>(1, rows), std::max<std::int64_t>(1, inner));
}

void Plan::refresh() {
  for (const auto& t : tables_) {
    if (t != nullptr) t->refresh();
  }
}

}  // namespace grkan
