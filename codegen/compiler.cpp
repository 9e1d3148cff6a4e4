#include "codegen/compiler.h"

#include <llvm/Config/llvm-config.h>

#include "codegen/cuda/nvrtc.h"
#include "core/error.h"

namespace grkan {
namespace {

// The schedule as the target's kind.
template <class S>
const S& as(const Schedule& schedule, const Target& target) {
  if (const S* kind = std::get_if<S>(&schedule)) return *kind;
  fail_argument("schedule {} is for another kind of device than {}", to_string(schedule),
                target.name);
}

}  // namespace

Binary compile(const Task& task, const Schedule& schedule, const Target& target) {
  return target.cuda() ? compile_cuda(task, as<CudaSchedule>(schedule, target), target)
                       : compile_cpu(task, as<CpuSchedule>(schedule, target), target);
}

std::string emit(const Task& task, const Schedule& schedule, const Target& target,
                 std::string_view stage) {
  return target.cuda() ? emit_cuda(task, as<CudaSchedule>(schedule, target), target, stage)
                       : emit_cpu(task, as<CpuSchedule>(schedule, target), target, stage);
}

std::string compiler_of(const Target& target) {
  if (!target.cuda()) return "llvm " LLVM_VERSION_STRING;
  return "nvrtc " + choose_nvrtc(target).version;
}

}  // namespace grkan
