// The generator's front: from a task, a schedule and a target to any stage, or to a Binary.
// One straight road for each kind of target:
//   CPU:   rational.h -> cpu_kernel (MLIR) -> cpu_object (LLVM) -> relocatable object
//   CUDA:  rational.h -> cuda_printer -> cuda_source (templates/) -> nvrtc -> cubin and PTX
#pragma once

#include <string>
#include <string_view>

#include "core/binary.h"
#include "core/schedule.h"

namespace grkan {

// Throws invalid_argument when the schedule is illegal (with why_illegal's reason), unsupported
// when the target has no compiler here, compile_failed when the compiler refuses.
Binary compile(const Task& task, const Schedule& schedule, const Target& target);

// A stage as text. CPU: "mlir", "llvm", "asm", "schedule". CUDA: "cuda", "ptx", "sass", "schedule",
// "launch": what a launch must know beside the source, as JSON; and "example": the source with a
// host program that launches it.
std::string emit(const Task& task, const Schedule& schedule, const Target& target,
                 std::string_view stage);

// Both throw invalid_argument where the schedule is another backend's. cpu_object.cpp
Binary compile_cpu(const Task& task, const Schedule& schedule, const Target& target);
std::string emit_cpu(const Task& task, const Schedule& schedule, const Target& target,
                     std::string_view stage);
// cuda_binary.cpp
Binary compile_cuda(const Task& task, const Schedule& schedule, const Target& target);
std::string emit_cuda(const Task& task, const Schedule& schedule, const Target& target,
                      std::string_view stage);

// The name and version of the compiler that a target would use: "llvm 22.1.8", "nvrtc 13.0.88".
std::string compiler_of(const Target& target);

}  // namespace grkan
