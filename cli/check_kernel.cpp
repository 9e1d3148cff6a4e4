#include "cli/check_kernel.h"

#include "cli/launch_counts.h"
#include "core/reference.h"
#include "core/sample_run.h"
#include "core/virtual_report.h"

namespace grkan::cli {

Outcome check_kernel(Context& context, Device& device, const Task& task,
                     const SampleOptions& options, const Schedule& schedule) {
  Outcome outcome{
      .task = task, .sample = options, .schedule = schedule, .error = {}, .failure = {}};
  const auto kernel = context.kernel(device, task, schedule);
  Sample sample(task, options);
  const Reference reference = make_reference(task, sample.call());
  const auto add_failure = [&](const std::string& why) {
    if (why.empty()) return;
    outcome.failure += (outcome.failure.empty() ? "" : "; ") + why;
  };
  try {
    run_sample(device, *kernel, sample);
    outcome.error = compare(task, schedule, reference, sample.call());
    add_failure(outcome.error.why_failed());
    add_failure(sample.why_damaged());
  } catch (const Error& error) {
    // A virtual GPU goes on after a fault, and tells what it was.
    if (!device.info().is_virtual || error.status() != Status::device_error) throw;
    add_failure(error.what());
  }
  outcome.findings = findings_of(take_launches(device));
  for (const Json& finding : outcome.findings) add_failure(finding_text(finding));
  return outcome;
}

Json error_json(const TensorErrors& error) {
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
