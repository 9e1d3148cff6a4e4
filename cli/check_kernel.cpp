#include "cli/check_kernel.h"

#include "core/reference.h"
#include "runtime/sample_run.h"

namespace grkan::cli {

Outcome check_kernel(Context& context, Device& device, const Task& task,
                     const SampleOptions& options, const Schedule& schedule) {
  Outcome outcome{task, options, schedule, {}, {}};
  const auto kernel = context.kernel(device, task, schedule);
  Sample sample(task, options);
  const Reference reference = make_reference(task, sample.call());
  run_sample(device, *kernel, sample);
  outcome.error = compare(task, schedule, reference, sample.call());
  outcome.failure = outcome.error.why_failed();
  if (const std::string damage = sample.why_damaged(); !damage.empty()) {
    outcome.failure += (outcome.failure.empty() ? "" : "; ") + damage;
  }
  return outcome;
}

Json error_json(const ErrorReport& error) {
  Json json = Json::object();
  const auto add = [&](const char* name, const std::optional<TensorError>& e) {
    if (!e) return;
    json[name] = {{"max_abs", e->max_abs},
                  {"mean_abs", e->mean_abs},
                  {"scaled", e->scaled},
                  {"bound", e->bound}};
  };
  add("y", error.y);
  add("dx", error.dx);
  add("da", error.da);
  add("db", error.db);
  return json;
}

}  // namespace grkan::cli
