// grkan compile: builds a task for each architecture and tells what the compiler said.
#include <fmt/format.h>

#include <chrono>
#include <memory>

#include "cli/options.h"
#include "cli/schedules.h"
#include "cli/verb.h"
#include "core/json.h"
#include "runtime/context.h"

namespace grkan::cli {
namespace {

constexpr int kUsualMultiprocessors = 132;  // of an H100

struct CompileOptions {
  TaskOptions task;
  ScheduleOptions schedule;
  std::string cache;
  int multiprocessors = 0;  // the grid that instruction counts are weighted for; 0: the device's
};

void add_counts(Json& entry, Context& context, const Binary& binary, const Schedule& schedule,
                std::int64_t rows, std::int64_t inner, int multiprocessors) {
  const std::string field = "instructions_per_element";
  if (!binary.target.cuda()) {
    set_null(entry, field, "counted for CUDA targets only");
    set_null(entry, "atomics_per_element", "counted for CUDA targets only");
    return;
  }
  const Json counts = context.compiler().count(binary, schedule, rows, inner, multiprocessors);
  entry[field] = counts.at(field);
  entry["atomics_per_element"] = counts.at("atomics_per_element");
  if (!counts.at("why").is_null()) {
    entry["why"][field] = counts.at("why");
    if (entry["atomics_per_element"].is_null()) {
      entry["why"]["atomics_per_element"] = counts.at("why");
    }
  }
}

std::string figure_text(const Json& value) {
  if (value.is_null()) return "-";
  return value.is_number_float() ? fmt::format("{:.1f}", value.get<double>()) : value.dump();
}

VerbResult compile(const CompileOptions& options) {
  Context context({.cache_dir = options.cache});
  const std::string& device = options.schedule.device;
  int multiprocessors = options.multiprocessors;
  if (multiprocessors == 0) {
    multiprocessors = device.empty() ? kUsualMultiprocessors : context.device(device).info().units;
  }
  VerbResult result;
  std::vector<std::vector<std::string>> rows = {{"task", "target", "registers", "spills", "shared",
                                                 "code", "SASS/element", "PTX/element",
                                                 "schedule"}};
  for (const Task& task : options.task.tasks()) {
    const std::int64_t inner = options.task.inner_of(task.problem);
    for (const Target& target : options.schedule.target_list(context)) {
      const Schedule schedule = options.schedule.schedule_for(
          task, target, options.task.row_count(), inner, options.task.determinism_class());
      const auto start = std::chrono::steady_clock::now();
      const Binary binary = context.binaries().get(task, schedule, target);
      const std::chrono::duration<double, std::milli> took =
          std::chrono::steady_clock::now() - start;
      // A plan also holds the kernels beside it.
      for (const Schedule& other : schedule.backend->loaded_beside(task, schedule)) {
        context.binaries().get(task, other, target);
      }
      Json entry = {{"task", to_string(task)},
                    {"problem", to_string(task.problem)},
                    {"variant", to_string(task.problem.variant)},
                    {"direction", to_string(task.direction)},
                    {"target", target.name},
                    {"rows", options.task.row_count()},
                    {"schedule", to_string(schedule)},
                    {"compiler", binary.compiler},
                    {"build_ms", took.count()}};
      if (!device.empty()) entry["device"] = device;
      add_resources(entry, binary);
      add_counts(entry, context, binary, schedule, options.task.row_count(), inner,
                 multiprocessors);
      const Json counts = entry["instructions_per_element"];
      const Json none;
      rows.push_back({to_string(task), target.name, figure_text(entry["registers"]),
                      figure_text(entry["spills"]), figure_text(entry["shared_bytes"]),
                      figure_text(entry["code_bytes"]),
                      figure_text(counts.is_object() ? counts.at("sass") : none),
                      figure_text(counts.is_object() ? counts.at("ptx") : none),
                      to_string(schedule)});
      result.document["results"].push_back(entry);
    }
  }
  result.text = table(rows);
  return result;
}

}  // namespace

Verb add_compile(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "compile", "Build for architectures; tell registers, spills, code size, instructions");
  auto options = std::make_shared<CompileOptions>();
  options->task.declare(*command);
  options->schedule.declare(*command, true);
  command->add_option("--cache", options->cache, "Cache folder");
  command
      ->add_option(
          "--multiprocessors", options->multiprocessors,
          "Multiprocessors that instruction counts are weighted for; else the device's, or "
          "132, an H100's")
      ->check(whole_number(1, INT32_MAX));
  return {command, [options] { return compile(*options); }};
}

}  // namespace grkan::cli
