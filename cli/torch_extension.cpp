#include "cli/torch_extension.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/backend.h"
#include "core/error.h"
#include "core/gpu_models.h"
#include "core/version.h"
#include "runtime/generator.h"
#include "runtime/plan.h"
#include "templates/fill.h"
#include "templates/templates.h"

namespace grkan::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kProblems = "problems.jsonl";

// Those that kernel-builder compiles for; other devices run the code of the one below them of the
// same major version.
constexpr std::array kCapabilities = {75, 80, 86, 89, 90, 100, 110, 120};

int capability_of(const DeviceInfo& gpu) { return gpu.target.compute_capability(); }

std::string capability_text(int capability) {
  return fmt::format("{}.{}", capability / 10, capability % 10);
}

// A virtual GPU stands for the one that it is a model of.
std::string gpu_text(const DeviceInfo& gpu) {
  const GpuModel* model = find_gpu_model(capability_of(gpu), gpu.units, double(gpu.memory));
  return gpu.is_virtual && model != nullptr ? std::string(model->marketing) : gpu.model;
}

// Ascending, one of each.
std::vector<DeviceInfo> gpus_of(const std::vector<ExtensionKernel>& kernels) {
  std::vector<DeviceInfo> gpus;
  for (const ExtensionKernel& kernel : kernels) {
    if (std::find(gpus.begin(), gpus.end(), kernel.gpu) == gpus.end()) gpus.push_back(kernel.gpu);
  }
  std::sort(gpus.begin(), gpus.end(), [](const DeviceInfo& a, const DeviceInfo& b) {
    return capability_of(a) < capability_of(b);
  });
  return gpus;
}

// From which capabilities to which a GPU's kernels serve: up to the next GPU's; 0: to all later
// ones.
std::pair<int, int> served(const std::vector<DeviceInfo>& gpus, std::size_t i) {
  return {capability_of(gpus[i]), i + 1 < gpus.size() ? capability_of(gpus[i + 1]) : 0};
}

std::vector<std::string> compiled_capabilities(std::pair<int, int> serves) {
  const auto [from, to] = serves;
  std::vector<std::string> list;
  // 8.7 runs what 8.6 does.
  int first = from;
  for (const int known : kCapabilities) {
    if (known <= from && known / 10 == from / 10) first = known;
  }
  list.push_back(capability_text(first));
  for (const int known : kCapabilities) {
    if (known > from && (to == 0 || known < to)) list.push_back(capability_text(known));
  }
  if (to == 0) list.back() += "+PTX";
  return list;
}

// The oldest CUDA that knows a capability, where kernel-builder builds with older ones too; else
// empty.
std::string oldest_cuda(int capability) {
  if (capability < 100) return {};
  return 110 <= capability && capability < 120 ? "13.0" : "12.8";
}

// ---------------------------------------------------------------- csrc/

void replace_all(std::string& text, const std::string& word, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += by.size()) {
    text.replace(at, word.size(), by);
  }
}

// The sources and the table that leads to them.
class Kernels {
 public:
  Kernels(Compiler& compiler, MadeFiles& files) : compiler_(compiler), files_(files) {}

  // Returns the path of its source.
  std::string add(const ExtensionKernel& kernel) {
    const Json launch = launch_of(kernel, kernel.schedule);
    int narrow = -1;
    // Where not every size fits the columns of a thread, one column does.
    const std::int64_t columns = launch.at("columns").get<std::int64_t>();
    if (kernel.task.problem.segment_width() % columns != 0) {
      const Schedule beside =
          kernel.schedule.backend->loaded_beside(kernel.task, kernel.schedule).front();
      add_row(kernel, "", beside, launch_of(kernel, beside), -1);
      narrow = count_ - 1;
    }
    add_row(kernel, to_string(kernel.task), kernel.schedule, launch, narrow);
    return path_of(kernel, launch);
  }

  [[nodiscard]] std::string table() const {
    return fill_template(extension_file("kernels.cpp.in"),
                         {.values = {{"version", kVersion},
                                     {"declarations", fmt::format("{}", fmt::join(symbols_, "\n"))},
                                     {"rows", fmt::format("{}", fmt::join(rows_, "\n"))},
                                     {"count", fmt::format("{}", count_)}},
                          .conditions = {}});
  }

 private:
  Json launch_of(const ExtensionKernel& kernel, const Schedule& schedule) {
    return Json::parse(compiler_.emit(kernel.task, schedule, kernel.gpu.target, "launch"));
  }
  static std::string path_of(const ExtensionKernel& kernel, const Json& launch) {
    return fmt::format("csrc/{}/{}.cu", kernel.gpu.target.name,
                       launch.at("symbol").get<std::string>());
  }
  // A schedule's source may differ between GPUs, whose kernels are linked together.
  static std::string linked_name(const ExtensionKernel& kernel, const std::string& symbol) {
    return symbol + "_" + kernel.gpu.target.name;
  }

  void add_source(const ExtensionKernel& kernel, const Schedule& schedule, const Json& launch) {
    const auto symbol = launch.at("symbol").get<std::string>();
    const auto second = launch.at("second_pass_symbol").get<std::string>();
    std::string& text = files_[path_of(kernel, launch)];
    if (!text.empty()) return;
    text = compiler_.emit(kernel.task, schedule, kernel.gpu.target, "cuda");
    replace_all(text, symbol, linked_name(kernel, symbol));
    declare(linked_name(kernel, symbol));
    if (!second.empty()) declare(linked_name(kernel, symbol) + second.substr(symbol.size()));
  }
  void declare(const std::string& symbol) {
    symbols_.push_back(fmt::format("void {}(grkan_extension::CudaCall);", symbol));
  }

  void add_row(const ExtensionKernel& kernel, const std::string& task, const Schedule& schedule,
               const Json& launch, int narrow) {
    add_source(kernel, schedule, launch);
    const Problem& p = kernel.task.problem;
    const auto symbol = launch.at("symbol").get<std::string>();
    const auto second = launch.at("second_pass_symbol").get<std::string>();
    const auto handle = [&](const std::string& of) {
      return fmt::format("handle({}{})", linked_name(kernel, symbol), of.substr(symbol.size()));
    };
    const auto number = [&](const char* name) { return launch.at(name).get<int>(); };
    rows_.push_back(fmt::format(
        "    {{\"{}\", \"{}\",\n"
        "     {{{}, {}, '{}', {}, {}, {}, {}, {}, {}, {}}}, {}, {}, {{{}, {}}}, {},\n"
        "     {{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}},\n"
        "     {},\n     {}, {}}},  // {}",
        task, to_string(schedule), p.numerator_degree, p.denominator_degree, to_string(p.variant),
        p.channels, p.numerator_groups, p.denominator_groups, to_string(p.x_type),
        to_string(p.y_type), to_string(p.coefficient_type()), p.layout == Layout::channels_first,
        kernel.task.gradients.bits(), capability_of(kernel.gpu), kernel.rows.low, kernel.rows.high,
        kernel.inner, number("columns"), number("rows_in_flight"), number("tile_columns"),
        number("tile_rows"), number("tile_segments"), number("run"), number("sum_terms"),
        number("blocks"), number("slab"), launch.at("sums").get<std::string>(),
        number("second_pass_blocks"), number("second_pass_threads"), handle(symbol),
        second.empty() ? "nullptr" : handle(second), narrow, count_));
    ++count_;
  }

  Compiler& compiler_;
  MadeFiles& files_;
  std::vector<std::string> symbols_;
  std::vector<std::string> rows_;
  int count_ = 0;
};

// ---------------------------------------------------------------- the other files

std::string sections_of(const std::vector<DeviceInfo>& gpus, const MadeFiles& files) {
  std::string text;
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    const std::string& name = gpus[i].target.name;
    text += fmt::format(
        "\n[kernel.{}]\nbackend = \"cuda\"\ndepends = [\"torch\"]\ncuda-capabilities = "
        "[\"{}\"]\ncuda-flags = [\"-fmad=false\"]\nsrc = [\n",
        name, fmt::join(compiled_capabilities(served(gpus, i)), "\", \""));
    for (const auto& [path, source] : files) {
      if (path.starts_with("csrc/" + name + "/")) text += fmt::format("  \"{}\",\n", path);
    }
    text += "]";
    if (i + 1 < gpus.size()) text += "\n";
  }
  return text;
}

std::string devices_text(const std::vector<DeviceInfo>& gpus) {
  std::string text = "A device runs the kernels of the highest compute capability that it has.";
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    const auto [from, to] = served(gpus, i);
    text += fmt::format("\n- {}, chosen for {} ({} multiprocessors): {} {}", gpus[i].target.name,
                        gpu_text(gpus[i]), gpus[i].units, capability_text(from),
                        to == 0 ? "and later" : "up to below " + capability_text(to));
  }
  return text;
}

std::string tasks_text(const std::vector<ExtensionKernel>& kernels) {
  std::vector<std::string> lines;
  for (const ExtensionKernel& kernel : kernels) {
    const std::string line = fmt::format("    \"{}\",", to_string(kernel.task));
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

std::string kernels_text(const std::vector<ExtensionKernel>& kernels) {
  std::vector<std::string> lines;
  for (const ExtensionKernel& k : kernels) {
    lines.push_back(fmt::format("| `{}` | {} | {} | {} | [`{}`]({}) | {} |", to_string(k.task),
                                gpu_text(k.gpu), to_string(k.rows), k.inner, to_string(k.schedule),
                                k.path, k.evidence));
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

std::string problems_text(const std::vector<ListedTask>& list) {
  std::string text;
  for (const ListedTask& listed : list) {
    Json line = {{"task", to_string(listed.task)}, {"rows", to_string(listed.rows)}};
    if (listed.rows.low == listed.rows.high) line["rows"] = listed.rows.low;
    if (listed.task.problem.layout == Layout::channels_first) line["inner"] = listed.inner;
    if (listed.count != 1) line["count"] = listed.count;
    text += line.dump() + "\n";
  }
  return text;
}

std::string_view torch_type(Type type) {
  constexpr std::array<std::string_view, 4> kNames = {"float32", "float64", "float16", "bfloat16"};
  return kNames.at(std::size_t(type));
}

// The values of README.md's example: a call of the first task.
std::map<std::string, std::string, std::less<>> example_of(const ListedTask& listed) {
  const Problem& p = listed.task.problem;
  const bool last = p.layout == Layout::channels_last;
  std::string options = fmt::format("variant=\"{}\"", to_string(p.variant));
  if (!last) options += ", channel_dim=1";
  if (p.y_type != p.x_type) options += fmt::format(", out_dtype=torch.{}", torch_type(p.y_type));
  return {{"shape", last ? fmt::format("{}, {}", listed.rows.high, p.channels)
                         : fmt::format("{}, {}, {}", listed.rows.high, p.channels, listed.inner)},
          {"x_type", std::string(torch_type(p.x_type))},
          {"a_shape", fmt::format("{}, {}", p.numerator_groups, p.numerator_terms())},
          {"b_shape", fmt::format("{}, {}", p.denominator_groups, p.denominator_terms())},
          {"coefficient_type", std::string(torch_type(p.coefficient_type()))},
          {"options", options}};
}

std::string sums_text(Determinism determinism) {
  if (determinism == Determinism::not_guaranteed) {
    return "Gradients of the coefficients may be added in any order: their last bits may differ "
           "between runs.";
  }
  const char* where = determinism == Determinism::gpu_to_gpu ? " and on every GPU" : "";
  return fmt::format(
      "Gradients of the coefficients are added in a fixed order: the same bits in every run{}.",
      where);
}

}  // namespace

std::vector<ExtensionKernel> choose_extension_kernels(Context& context, Device& gpu,
                                                      const ListedTask& listed) {
  const Task& task = listed.task;
  Plan plan(context, task.problem, gpu.info().name, task.gradients);
  std::vector<ExtensionKernel> chosen;
  for (std::int64_t rows = listed.rows.low;;) {
    const Choice choice = plan.choose(task.direction, rows, listed.inner);
    const std::int64_t last = std::min(choice.rows.high, listed.rows.high);
    if (!chosen.empty() && chosen.back().schedule == choice.schedule &&
        chosen.back().evidence == choice.evidence) {
      chosen.back().rows.high = last;
    } else {
      chosen.push_back({.task = task,
                        .gpu = gpu.info(),
                        .rows = {rows, last},
                        .inner = listed.inner,
                        .schedule = choice.schedule,
                        .evidence = choice.evidence});
    }
    if (last == listed.rows.high) return chosen;
    rows = last + 1;
  }
}

void check_extension_name(const std::string& name) {
  const auto letter = [](char c) { return 'a' <= c && c <= 'z'; };
  const auto plain = [&](char c) { return letter(c) || ('0' <= c && c <= '9'); };
  const bool right =
      name.size() >= 2 && letter(name.front()) && plain(name.back()) &&
      std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '-'; });
  if (!right) {
    fail_argument(
        "name '{}' is none that kernel-builder takes; use lower-case letters, digits and dashes, a "
        "letter first and no dash last, as grkan-rational",
        name);
  }
}

MadeFiles make_extension_files(Context& context, std::vector<ExtensionKernel>& kernels,
                               const ExtensionAbout& about) {
  MadeFiles files;
  Kernels sources(context.compiler(), files);
  for (ExtensionKernel& kernel : kernels) kernel.path = sources.add(kernel);
  files["csrc/kernels.cpp"] = sources.table();
  const std::vector<DeviceInfo> gpus = gpus_of(kernels);

  TemplateValues with{.values = example_of(about.list.front()), .conditions = {}};
  with.values["name"] = about.name;
  with.values["version"] = kVersion;
  with.values["generator"] = kGeneratorId;
  with.values["command"] = about.command;
  with.values["problems"] = fmt::format("[{0}]({0})", kProblems);
  with.values["sections"] = sections_of(gpus, files);
  with.values["devices"] = devices_text(gpus);
  with.values["kernels"] = kernels_text(kernels);
  with.values["tasks"] = tasks_text(kernels);
  with.values["sums"] = sums_text(context.options().determinism);
  std::string& minver = with.values["minver"];
  for (const DeviceInfo& gpu : gpus) minver = std::max(minver, oldest_cuda(capability_of(gpu)));
  with.conditions["newer_cuda"] = !minver.empty();
  for (const char* name : {"README.md", "build.toml", "flake.nix"}) {
    files[name] = fill_template(extension_file(name), with);
  }
  for (const char* name : {"launch.cpp", "launch.h", "queue.cpp"}) {
    files[fmt::format("csrc/{}", name)] = extension_file(name);
  }
  for (const char* name : {"torch_binding.cpp", "torch_binding.h"}) {
    files[fmt::format("torch-ext/{}", name)] = extension_file(name);
  }
  std::string module = about.name;
  std::replace(module.begin(), module.end(), '-', '_');
  for (const char* name : {"__init__.py", "layers.py", "rational.py"}) {
    files[fmt::format("torch-ext/{}/{}", module, name)] = extension_file(name);
  }
  files[fmt::format("torch-ext/{}/tasks.py", module)] =
      fill_template(extension_file("tasks.py.in"), with);
  files["LICENSE"] = root_file("LICENSE");
  files[kProblems] = problems_text(about.list);
  return files;
}

}  // namespace grkan::cli
