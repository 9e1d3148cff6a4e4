#include "codegen/compiler.h"

#include <llvm/Config/llvm-config.h>

#include <array>

#include "codegen/cuda/nvrtc.h"
#include "core/backend.h"
#include "core/error.h"
#include "cpu/schedule.h"
#include "cuda/schedule.h"

namespace grkan {
namespace {

// The road of one backend's targets.
struct Road {
  const Backend& backend;
  decltype(&compile_cpu) compile;
  decltype(&emit_cpu) emit;
  decltype(&compiler_of) compiler;
};

std::string llvm_of(const Target& /*target*/) { return "llvm " LLVM_VERSION_STRING; }
std::string nvrtc_of(const Target& target) { return "nvrtc " + choose_nvrtc(target).version; }

const Road& road_of(const Target& target) {
  static const std::array<Road, 2> roads = {{{cpu_backend(), compile_cpu, emit_cpu, llvm_of},
                                             {cuda_backend(), compile_cuda, emit_cuda, nvrtc_of}}};
  const Backend& backend = backend_of(target);
  for (const Road& road : roads) {
    if (&road.backend == &backend) return road;
  }
  fail(Status::internal, "the generator has no road for {} ({})", target.name, backend.name());
}

}  // namespace

Binary compile(const Task& task, const Schedule& schedule, const Target& target) {
  return road_of(target).compile(task, schedule, target);
}

std::string emit(const Task& task, const Schedule& schedule, const Target& target,
                 std::string_view stage) {
  return road_of(target).emit(task, schedule, target, stage);
}

std::string compiler_of(const Target& target) { return road_of(target).compiler(target); }

}  // namespace grkan
