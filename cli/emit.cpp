// grkan emit: prints any stage of a kernel's making.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "cli/options.h"
#include "cli/schedules.h"
#include "cli/verb.h"
#include "runtime/context.h"

namespace grkan::cli {
namespace {

struct EmitOptions {
  TaskOptions task;
  ScheduleOptions schedule;
  std::string stage;
  std::string folder;
};

std::string default_stage(const Target& target) { return target.cuda() ? "cuda" : "mlir"; }

// The file's ending for a stage.
std::string extension(const std::string& stage) {
  if (stage == "cuda" || stage == "example") return ".cu";
  if (stage == "llvm") return ".ll";
  if (stage == "asm") return ".s";
  if (stage == "schedule") return ".txt";
  return "." + stage;
}

std::string write_file(const std::string& folder, const std::string& name,
                       const std::string& text) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::string path = (std::filesystem::path(folder) / name).string();
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) fail(Status::io_error, "can't write {}; name another folder with -o", path);
  return path;
}

VerbResult emit(const EmitOptions& options) {
  Context context;
  VerbResult result;
  const std::vector<Target> targets = options.schedule.target_list(context);
  if (targets.size() != 1) {
    fail_argument("emit takes one target; --arch names {}; name one, as sm_90", targets.size());
  }
  const Target& target = targets.front();
  const bool to_files = !options.folder.empty();
  // Files hold what stands alone; a GPU's kernel comes with a program that launches it.
  std::string stage = options.stage;
  if (stage.empty()) stage = default_stage(target);
  if (to_files && options.stage.empty() && target.cuda()) stage = "example";
  for (const Task& task : options.task.tasks()) {
    const std::int64_t inner = options.task.inner_of(task.problem);
    const Schedule schedule = options.schedule.schedule_for(
        task, target, options.task.row_count(), inner, options.task.determinism_class());
    const std::string text = context.compiler().emit(task, schedule, target, stage);
    Json entry = {{"task", to_string(task)},
                  {"target", target.name},
                  {"schedule", to_string(schedule)},
                  {"stage", stage}};
    if (to_files) {
      const std::string name = kernel_symbol(task, compiled_text(schedule)) + extension(stage);
      entry["path"] = write_file(options.folder, name, text);
      result.text += entry["path"].get<std::string>() + "\n";
    } else {
      entry["text"] = text;
      result.text += text;
      if (!text.ends_with('\n')) result.text += "\n";
    }
    result.document["results"].push_back(entry);
  }
  return result;
}

}  // namespace

Verb add_emit(CLI::App& app) {
  CLI::App* command = app.add_subcommand("emit", "Print a stage: source, intermediate or assembly");
  auto options = std::make_shared<EmitOptions>();
  options->task.declare(*command);
  options->schedule.declare(*command, false);
  command->add_option("--stage", options->stage,
                      "CPU: mlir, llvm, asm, schedule. CUDA: cuda, ptx, sass, schedule, example");
  command->add_option("-o", options->folder,
                      "Folder to write files to; for CUDA a program with a launch example");
  return {command, [options] { return emit(*options); }, false};
}

}  // namespace grkan::cli
