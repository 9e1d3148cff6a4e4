#include "codegen/cuda/binary.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "codegen/compiler.h"
#include "codegen/cuda/sass.h"
#include "core/backend.h"
#include "core/error.h"

namespace grkan {
namespace {

// Of the launch example; its reader puts in his own.
constexpr std::int64_t kExampleRows = 4096;
constexpr int kExampleMultiprocessors = 132;

// The name, value and meaning of each parameter.
std::string describe_schedule(const Schedule& schedule) {
  std::string text = to_string(schedule) + "\n";
  const std::span<const Parameter> parameters = schedule.backend->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    const int value = schedule.values[i];
    const std::string shown = value > 0 && !p.words.empty()
                                  ? std::string(p.words[std::size_t(value - 1)])
                                  : fmt::format("{}", value);
    text += fmt::format("{:<16}{:<10}{}\n", p.name, shown, p.compiled ? "compiled" : "launch");
  }
  return text;
}

// What a launch must know beside the source; how it goes about is cuda/launch.h's.
std::string describe_launch(const Task& task, const CudaSchedule& s, const Target& target) {
  const CudaSource source = cuda_source(task, s, target);
  const CudaLaunch launch = cuda_launch(task, s, 1, 1, 1);
  constexpr std::array<std::string_view, 5> kSums = {"none", "twopass", "programmatic", "lastblock",
                                                     "blockatomics"};
  const nlohmann::ordered_json json = {{"symbol", source.symbol},
                                       {"second_pass_symbol", source.second_pass_symbol},
                                       {"columns", s.columns},
                                       {"rows_in_flight", s.rows_in_flight},
                                       {"tile_columns", s.tile_columns},
                                       {"tile_rows", s.tile_rows},
                                       {"tile_segments", cuda_tile(task, s).segments},
                                       {"run", s.run},
                                       {"blocks", s.blocks},
                                       {"slab", s.slab},
                                       {"sums", kSums.at(std::size_t(s.sums))},
                                       {"sum_terms", task.sum_terms()},
                                       {"second_pass_blocks", launch.second_pass_blocks},
                                       {"second_pass_threads", launch.second_pass_threads}};
  return json.dump(2) + "\n";
}

}  // namespace

CudaBuild build_cuda(const Task& task, const CudaSchedule& schedule, const Target& target) {
  CudaBuild build;
  build.source = cuda_source(task, schedule, target);
  build.output =
      nvrtc_compile(choose_nvrtc(target), build.source.text, build.source.symbol + ".cu", target);
  build.kernels = read_ptxas_log(build.output.log, build.output.cubin);
  std::stable_sort(build.kernels.begin(), build.kernels.end(),
                   [&](const KernelResources& a, const KernelResources& b) {
                     return (a.symbol == build.source.symbol) > (b.symbol == build.source.symbol);
                   });
  const std::size_t expected = cuda_has_second_pass(task, schedule) ? 2 : 1;
  if (build.kernels.size() < expected || build.kernels.front().symbol != build.source.symbol) {
    fail(Status::compile_failed, "{} told of {} kernels where {} has {}; its log: {}",
         compiler_of(target), build.kernels.size(), build.source.symbol, expected,
         build.output.log);
  }
  return build;
}

Binary compile_cuda(const Task& task, const Schedule& schedule, const Target& target) {
  CudaBuild build = build_cuda(task, CudaSchedule(schedule), target);
  std::string key = build.source.text;
  for (const char* option : kNvrtcOptions) key += std::string("\n") + option;
  Binary binary;
  binary.task = task;
  binary.compiled_schedule = compiled_text(schedule);
  binary.target = target;
  binary.compiler = compiler_of(target);
  const XXH128_hash_t hash = XXH3_128bits(key.data(), key.size());
  binary.source_hash = fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  binary.code = std::move(build.output.cubin);
  binary.ptx = std::move(build.output.ptx);
  binary.kernels = std::move(build.kernels);
  return binary;
}

std::string emit_cuda(const Task& task, const Schedule& schedule, const Target& target,
                      std::string_view stage) {
  const CudaSchedule s(schedule);
  if (stage == "cuda") return cuda_source(task, s, target).text;
  if (stage == "ptx") return build_cuda(task, s, target).output.ptx;
  if (stage == "sass") return disassemble(build_cuda(task, s, target).output.cubin);
  if (stage == "schedule") return describe_schedule(schedule);
  if (stage == "launch") return describe_launch(task, s, target);
  if (stage == "example") {
    return cuda_launch_example(task, s, target, kExampleRows, 1, kExampleMultiprocessors);
  }
  fail_argument("unknown stage '{}' for {}; use one of cuda, ptx, sass, schedule, launch, example",
                stage, target.name);
}

}  // namespace grkan
