// grkan explain: which kernel would run, from which evidence.
#include <fmt/format.h>

#include <memory>

#include "cli/options.h"
#include "cli/verb.h"
#include "runtime/plan.h"

namespace grkan::cli {
namespace {

struct ExplainOptions {
  TaskOptions task;
  DeviceOptions device;
};

// "schedule: v8..." a line for each plain field of the document; objects on one line.
std::string lines_of(const Json& document) {
  std::string text;
  for (const auto& [name, value] : document.items()) {
    if (name == "why" || value.is_null()) continue;
    text += fmt::format("  {}: {}\n", name,
                        value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

VerbResult explain(const ExplainOptions& options) {
  Context context({.cache_dir = options.device.cache,
                   .determinism = options.task.determinism_class(),
                   .threads = options.device.threads});
  VerbResult result;
  for (const Task& task : options.task.tasks()) {
    Plan plan(context, task.problem, options.device.device, task.gradients);
    const std::int64_t rows = options.task.row_count();
    const std::int64_t inner = options.task.inner_of(task.problem);
    Json entry = Json::parse(plan.explain(task, rows, inner));
    for (const char* field : {"schema", "grkan"}) entry.erase(field);  // the document has them
    for (const char* field : {"registers", "spills", "shared_bytes", "code_bytes"}) {
      if (!entry.contains(field)) set_null(entry, field, "the kernel is not compiled yet");
    }
    result.document["results"].push_back(entry);
    result.text += to_string(task) + "\n" + lines_of(entry);
  }
  return result;
}

}  // namespace

Verb add_explain(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("explain", "Which kernel would run, and from which evidence");
  auto options = std::make_shared<ExplainOptions>();
  options->task.declare(*command);
  options->device.declare(*command);
  return {command, [options] { return explain(*options); }};
}

}  // namespace grkan::cli
