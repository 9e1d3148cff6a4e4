#include "codegen/cuda/binary.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

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
  if (stage == "example") {
    return cuda_launch_example(task, s, target, kExampleRows, 1, kExampleMultiprocessors);
  }
  fail_argument("unknown stage '{}' for {}; use one of cuda, ptx, sass, schedule, example", stage,
                target.name);
}

}  // namespace grkan
