// grkan emit: prints any stage of a kernel's making, or writes kernels as a PyTorch extension.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "cli/options.h"
#include "cli/schedules.h"
#include "cli/torch_extension.h"
#include "cli/verb.h"
#include "core/print.h"
#include "runtime/context.h"
#include "tuner/problem_list.h"

namespace grkan::cli {
namespace {

struct EmitOptions {
  TaskOptions task;
  ScheduleOptions schedule;
  std::string stage;
  std::string folder;
  // An extension's.
  std::string extension;  // its folder; empty: a stage is emitted
  std::string problems;
  std::string gpus;
  std::string name = "grkan-rational";
  std::string cache;
  bool force = false;
};

std::string default_stage(const Target& target) { return target.cuda() ? "cuda" : "mlir"; }

// The file's ending for a stage.
std::string extension(const std::string& stage) {
  if (stage == "cuda" || stage == "example") return ".cu";
  if (stage == "llvm") return ".ll";
  if (stage == "asm") return ".s";
  if (stage == "schedule") return ".txt";
  if (stage == "launch") return ".json";
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

// The GPUs whose kernels an extension has, as devices are named.
std::vector<std::string> gpu_names(const EmitOptions& options, const Context& context) {
  std::vector<std::string> names;
  if (!options.gpus.empty()) {
    for (const std::string& model : split_list(options.gpus, "--gpu")) {
      names.push_back("virtual:" + model);
    }
    return names;
  }
  const std::string& device = options.schedule.device;
  if (device.empty()) {
    if (const std::string why = context.why_no_cuda(); !why.empty()) {
      fail_argument(
          "an extension's kernels are chosen for a GPU, and none is here ({}); name GPU models, as "
          "--gpu h200 (grkan devices lists them)",
          why);
    }
    return {"cuda:0"};
  }
  if (device_kind(device) == DeviceKind::cpu) {
    fail_argument(
        "an extension holds CUDA kernels, but --device {} is no GPU; name GPU models, as --gpu "
        "h200, or --device cuda:0",
        device);
  }
  return {device};
}

std::vector<Device*> gpus_of(const EmitOptions& options, Context& context) {
  std::vector<Device*> gpus;
  for (const std::string& name : gpu_names(options, context)) {
    Device& gpu = context.device(name);
    for (const Device* other : gpus) {
      if (other->target() != gpu.target()) continue;
      fail_argument(
          "{} and {} are both {}, and an extension chooses kernels by compute capability; name one "
          "of them",
          other->info().model, gpu.info().model, gpu.target().name);
    }
    gpus.push_back(&gpu);
  }
  return gpus;
}

std::vector<ListedTask> extension_list(const EmitOptions& options) {
  if (options.problems.empty()) {
    fail_argument(
        "--torch-extension {} needs the list of its problems; add --problems LIST, a line of JSON "
        "for each as grkan tune takes them",
        options.extension);
  }
  std::string beside;
  if (options.task.named()) beside = "a problem on the command line";
  if (!options.schedule.schedule.empty()) beside = "--schedule";
  if (!options.schedule.targets.empty()) beside = "--arch";
  if (!options.stage.empty()) beside = "--stage";
  if (!options.folder.empty()) beside = "-o";
  if (!beside.empty()) {
    fail_argument(
        "{} does not go with --torch-extension, which takes problems from --problems and schedules "
        "from the cache; leave it out",
        beside);
  }
  const Range rows = options.task.row_range();
  if (rows.low < 1) fail_argument("rows {} have no kernel; use 1 or more", options.task.rows);
  return read_problem_list(options.problems, rows, options.task.inner);
}

// What README.md tells: the call that makes the same folder, from its own list.
std::string extension_command(const EmitOptions& options) {
  std::string text = "grkan emit --torch-extension . --problems problems.jsonl";
  if (!options.gpus.empty()) text += " --gpu " + options.gpus;
  if (!options.schedule.device.empty()) text += " --device " + options.schedule.device;
  if (options.name != EmitOptions().name) text += " --name " + options.name;
  if (options.task.determinism_class() != Determinism::run_to_run) {
    text += " --determinism " + options.task.determinism;
  }
  return text;
}

void tell_folder(VerbResult& result, const EmitOptions& options, const MadeFiles& files,
                 const MadeFolder& made) {
  Json& document = result.document;
  document["folder"] = options.extension;
  for (const auto& [path, text] : files) document["files"].push_back(path);
  document["kept_aside"] = made.kept_aside;
  document["removed"] = made.removed;
  document["left_behind"] = made.left_behind;
  for (const std::string& path : made.kept_aside) {
    print_to(stderr, "grkan: {} was there and is kept as {}.old\n", path, path);
  }
  for (const std::string& path : made.left_behind) {
    print_to(stderr, "grkan: {} is no longer made but was changed; it stays\n", path);
  }
  result.text += fmt::format("{} files in {}\n", files.size(), options.extension);
}

VerbResult emit_extension(const EmitOptions& options) {
  const std::vector<ListedTask> list = extension_list(options);
  check_extension_name(options.name);
  Context context({.cache_dir = options.cache, .determinism = options.task.determinism_class()});
  std::vector<ExtensionKernel> kernels;
  for (Device* gpu : gpus_of(options, context)) {
    for (const ListedTask& listed : list) {
      for (ExtensionKernel& kernel : choose_extension_kernels(context, *gpu, listed)) {
        kernels.push_back(std::move(kernel));
      }
    }
  }
  const MadeFiles files = make_extension_files(
      context, kernels,
      {.name = options.name, .command = extension_command(options), .list = list});
  const MadeFolder made = write_made_folder(options.extension, files, options.force);
  VerbResult result;
  std::vector<std::vector<std::string>> rows = {
      {"task", "target", "rows", "inner", "chosen by", "schedule"}};
  for (const ExtensionKernel& kernel : kernels) {
    result.document["results"].push_back({{"task", to_string(kernel.task)},
                                          {"target", kernel.gpu.target.name},
                                          {"schedule", to_string(kernel.schedule)},
                                          {"stage", "cuda"},
                                          {"path", kernel.path},
                                          {"device", kernel.gpu.model},
                                          {"rows", {kernel.rows.low, kernel.rows.high}},
                                          {"inner", kernel.inner},
                                          {"evidence", kernel.evidence}});
    rows.push_back({to_string(kernel.task), kernel.gpu.target.name, to_string(kernel.rows),
                    fmt::format("{}", kernel.inner), kernel.evidence, to_string(kernel.schedule)});
  }
  result.text = table(rows);
  tell_folder(result, options, files, made);
  return result;
}

VerbResult emit_either(const EmitOptions& options) {
  if (!options.extension.empty()) return emit_extension(options);
  if (!options.problems.empty() || !options.gpus.empty()) {
    fail_argument("{} is for --torch-extension DIR; add it, or leave this out",
                  options.problems.empty() ? "--gpu" : "--problems");
  }
  return emit(options);
}

}  // namespace

Verb add_emit(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "emit", "Print a stage: source, intermediate or assembly; or write a PyTorch extension");
  auto options = std::make_shared<EmitOptions>();
  options->task.declare(*command);
  options->schedule.declare(*command, false);
  command->add_option(
      "--stage", options->stage,
      "CPU: mlir, llvm, asm, schedule. CUDA: cuda, ptx, sass, schedule, launch, example");
  command->add_option("-o", options->folder,
                      "Folder to write files to; for CUDA a program with a launch example");
  command->add_option("--torch-extension", options->extension,
                      "Folder to write a PyTorch extension to: CUDA sources of the winners, for "
                      "Hugging Face's kernel-builder (docs/torch-extension.md)");
  command->add_option("--problems", options->problems,
                      "Its tasks, a list as grkan tune takes it; -: standard input");
  command
      ->add_option("--gpu", options->gpus,
                   "GPU models to choose its schedules for: h200,a100-80; else --device's")
      ->excludes("--device");
  command->add_option("--name", options->name, "The extension's name")->capture_default_str();
  command->add_option("--cache", options->cache, "Cache folder");
  command->add_flag("--force", options->force,
                    "Write among other files; what is in the way is kept as FILE.old");
  return {command, [options] { return emit_either(*options); }, false};
}

}  // namespace grkan::cli
