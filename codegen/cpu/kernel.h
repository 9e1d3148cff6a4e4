// A task and a schedule as an MLIR module with one function, kernel_symbol(task, compiled_text),
// that takes a pointer to a CpuCall (cpu/call.h has what the kernel reads and writes) and does
// one slice. docs/cpu-kernels.md shows the loop nests.
#pragma once

#include <mlir/IR/BuiltinOps.h>
#include <mlir/IR/OwningOpRef.h>

#include "core/target.h"
#include "core/task.h"
#include "cpu/schedule.h"

namespace grkan {

// Loads the dialects it needs into the context. The schedule must be legal for the task.
mlir::OwningOpRef<mlir::ModuleOp> build_cpu_kernel(mlir::MLIRContext& context, const Task& task,
                                                   const CpuSchedule& schedule,
                                                   const Target& target);

}  // namespace grkan
