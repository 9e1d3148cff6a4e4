// Compiler: what turns a task's schedule into a binary, whoever does it. The product's is
// libgrkan_compiler, behind a door (runtime/compiler_client.h); tests invent others.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "core/binary.h"
#include "core/schedule.h"
#include "core/target.h"
#include "core/task.h"

namespace grkan {

// Any thread may call. All throw no_compiler where there is none, else the compiler's own error.
class Compiler {
 public:
  virtual ~Compiler() = default;

  // The compiler that would serve a target, with its version and place: "llvm 22.1.8",
  // "nvrtc 13.0.88 /path".
  virtual std::string describe(const Target& target) = 0;
  virtual Binary compile(const Task& task, const Schedule& schedule, const Target& target) = 0;
  // A stage as text: codegen/compiler.h has their names.
  virtual std::string emit(const Task& task, const Schedule& schedule, const Target& target,
                           std::string_view stage) = 0;
  // Instruction counts of a schedule's binary at a size (codegen/cuda/sass.h); CUDA targets only.
  virtual nlohmann::ordered_json count(const Binary& binary, const Schedule& schedule,
                                       std::int64_t rows, std::int64_t inner,
                                       int multiprocessors) = 0;
};

}  // namespace grkan
