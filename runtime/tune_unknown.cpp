#include "runtime/tune_unknown.h"

#include <algorithm>

#include "core/error.h"
#include "tuner/tune.h"

namespace grkan {

void tune_where_unknown(Plan& plan, const Task& task, Range rows, Range inner) {
  Context& context = plan.context();
  // A plan there runs and counts; predictions are asked for.
  if (plan.device().info().is_virtual) return;
  const TuneSite site = context.tune_site(plan.device());
  const auto choice_at = [&](std::int64_t r) { return plan.choose(task.direction, r, inner.high); };
  const auto is_known = [&](const Choice& choice) {
    if (choice.evidence == "imported" || choice.evidence == "portable") return true;
    if (!choice.winner || choice.winner->grade > Grade::measured_disturbed) return false;
    const Winner& winner = choice.winner->stored.winner;
    // What was disturbed is timed again, but once in a process.
    if (winner.disturbed && winner.date < context.made()) return false;
    // A GPU's compiler is not asked: a process that finds its winners loads none.
    const bool cuda = plan.device().target().cuda();
    return is_current(site, winner, cuda ? winner.compiler : "");
  };
  for (std::int64_t r = rows.low; r <= rows.high;) {
    Choice choice = choice_at(r);
    Range part = {r, std::min(rows.high, choice.rows.high)};
    r = part.high + 1;
    if (is_known(choice)) continue;
    for (; r <= rows.high; r = part.high + 1) {
      choice = choice_at(r);
      if (is_known(choice)) break;
      part.high = std::min(rows.high, choice.rows.high);
    }
    TuneOptions options;
    options.effort = context.options().effort;
    try {
      tune_range(site, task, part, inner, options);
      plan.refresh();
    } catch (const Error& error) {
      context.log()(LogLevel::warn, "{} is not tuned: {}", to_string(task), error.what());
      return;
    }
  }
}

}  // namespace grkan
