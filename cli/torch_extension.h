// The folder of `grkan emit --torch-extension`: tuned kernels as CUDA sources, what launches them,
// and PyTorch's binding, in the layout of Hugging Face's kernel-builder.
#pragma once

#include <string>
#include <vector>

#include "cli/made_folder.h"
#include "runtime/context.h"
#include "tuner/problem_list.h"

namespace grkan::cli {

// A schedule for a listed task on a GPU, and the sizes that it was chosen for.
struct ExtensionKernel {
  Task task;
  DeviceInfo gpu;
  Range rows;
  std::int64_t inner = 1;
  Schedule schedule;
  std::string evidence;   // "measured", "predicted", "default"
  std::string path = {};  // of its source in the folder, once that is made
};

// What a plan on this GPU would run for the listed rows: more than one where they cross a winner's
// end.
std::vector<ExtensionKernel> choose_extension_kernels(Context& context, Device& gpu,
                                                      const ListedTask& listed);

// What README.md tells beside the kernels.
struct ExtensionAbout {
  std::string name;     // of the extension, "grkan-rational"
  std::string command;  // that makes the folder
  std::vector<ListedTask> list;
};

// Throws invalid_argument unless kernel-builder takes the name: lower-case letters, digits and
// dashes, from a letter to no dash.
void check_extension_name(const std::string& name);

// All files, and each kernel's path. Of several GPUs no two may have one architecture: kernels are
// chosen by compute capability.
MadeFiles make_extension_files(Context& context, std::vector<ExtensionKernel>& kernels,
                               const ExtensionAbout& about);

}  // namespace grkan::cli
