// grkan devices: the CPU, each CUDA device, the GPU models known for offline work, the compilers.
#include <fmt/format.h>

#include "cli/options.h"
#include "cli/verb.h"
#include "core/device_info.h"
#include "core/gpu_models.h"
#include "runtime/beside.h"
#include "runtime/context.h"

namespace grkan::cli {
namespace {

Json model_json(const GpuModel& model) {
  Json json = {{"name", model.name},
               {"model", model.marketing},
               {"architecture", fmt::format("sm_{}", model.compute_capability)}};
  for (const FigureField& field : figure_fields()) {
    const Figure& figure = model.*field.figure;
    json[std::string(field.name)] = {
        {"value", figure.value}, {"kind", to_string(figure.kind)}, {"source", figure.source}};
  }
  return json;
}

Json device_json(const DeviceInfo& device) {
  return {
      {"name", device.name},
      {"model", device.model},
      {"architecture", device.target.name},
      {"features", device.features},
      {device_kind(device.name) == DeviceKind::cpu ? "threads" : "multiprocessors", device.units},
      {"memory_bytes", device.memory},
      {"cache_bytes", device.cache},
      {"driver", device.driver}};
}

// The compiler for a kind of target, or why there is none.
Json compiler_json(Context& context, const char* kind, const Target& target) {
  Json json = {{"targets", kind}};
  try {
    json["compiler"] = context.compiler().describe(target);
  } catch (const Error& error) {
    set_null(json, "compiler", error.what());
  }
  return json;
}

VerbResult devices(const DeviceOptions& options) {
  Context context({.cache_dir = options.cache, .threads = options.threads});
  VerbResult result;
  std::vector<std::vector<std::string>> rows = {{"device", "model", "architecture", "units"}};
  for (const DeviceInfo& device : context.devices()) {
    result.document["devices"].push_back(device_json(device));
    const char* unit = device_kind(device.name) == DeviceKind::cpu ? "threads" : "multiprocessors";
    rows.push_back(
        {device.name, device.model,
         device.target.name.empty() ? "below x86-64-v3: portable kernels" : device.target.name,
         fmt::format("{} {}", device.units, unit)});
  }
  result.text = table(rows);
  if (const std::string why = context.why_no_cuda(); !why.empty()) {
    set_null(result.document, "cuda_driver", why);
    result.text += fmt::format("no CUDA device: {}\n", why);
  }
  std::string driver;
  try {
    driver = virtual_driver_path();
    result.document["virtual_driver"] = driver;
  } catch (const Error& error) {
    set_null(result.document, "virtual_driver", error.what());
    result.text += fmt::format("no virtual GPU: {}\n", error.what());
  }
  result.text += fmt::format("\nGPU models for offline work{}\n",
                             driver.empty() ? "" : ", and for --device virtual:NAME");
  rows = {{"name", "model", "architecture", "multiprocessors", "GB/s"}};
  for (const GpuModel& model : gpu_models()) {
    result.document["gpu_models"].push_back(model_json(model));
    rows.push_back({std::string(model.name), std::string(model.marketing),
                    fmt::format("sm_{}", model.compute_capability),
                    fmt::format("{}", model.multiprocessors.value),
                    fmt::format("{}", model.bandwidth_gbs.value)});
  }
  result.text += table(rows) + "\n";
  const Json compilers = {compiler_json(context, "cpu", {"x86-64-v3"}),
                          compiler_json(context, "cuda", {"sm_90"})};
  for (const Json& compiler : compilers) {
    const bool found = !compiler["compiler"].is_null();
    result.text += fmt::format("compiler for {}: {}\n", compiler["targets"].get<std::string>(),
                               found ? compiler["compiler"].get<std::string>()
                                     : compiler["why"]["compiler"].get<std::string>());
  }
  result.document["compilers"] = compilers;
  return result;
}

}  // namespace

Verb add_devices(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "devices", "The CPU, CUDA devices, GPU models known for offline work, and compilers");
  auto options = std::make_shared<DeviceOptions>();
  command->add_option("--threads", options->threads, "Threads of the CPU device; 0: all")
      ->check(whole_number(INT32_MIN, INT32_MAX));
  return {command, [options] { return devices(*options); }};
}

}  // namespace grkan::cli
