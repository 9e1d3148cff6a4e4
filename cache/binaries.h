// Binaries: those of schedules, from the cache, else compiled and stored there.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "cache/cache.h"
#include "core/binary.h"
#include "core/compiler.h"
#include "core/log.h"

namespace grkan {

// What marks a binary's key beside its task, schedule and target.
struct GeneratorMarks {
  std::string generator;     // the code that makes kernels: another one's binaries are misses
  std::string cpu_compiler;  // what compiles for CPU targets; known without asking
};

// Any thread may call. Nothing is compiled twice.
class Binaries {
 public:
  // All but the marks must outlive it.
  Binaries(Cache& cache, Compiler& compiler, const Log& log, GeneratorMarks marks);

  [[nodiscard]] Compiler& compiler() const { return compiler_; }
  [[nodiscard]] const std::string& generator() const { return marks_.generator; }

  // The binary of a task's schedule: from the cache, else compiled and stored. `hint`: the key hash
  // that a winner names, or "". Throws no_compiler where it must be compiled and can't be.
  Binary get(const Task& task, const Schedule& schedule, const Target& target,
             std::string_view hint = {});
  // The same without compiling: nothing where it is not in the cache.
  std::optional<Binary> cached(const Task& task, const Schedule& schedule, const Target& target,
                               std::string_view hint = {});
  // The hash of the key under which a schedule's binary lies in the cache. `compiler`: as its
  // describe() names it; "": the one here, which may load the compiler library to ask.
  std::string key_hash(const Task& task, const Schedule& schedule, const Target& target,
                       std::string_view compiler = {});

 private:
  [[nodiscard]] std::string key_text(const Task& task, const Schedule& schedule,
                                     const Target& target, std::string_view compiler) const;
  // The compiler's name and version as keys have it; "any" where none can be asked.
  std::string compiler_of(const Target& target);
  std::optional<Binary> parse(const std::string& payload, const Task& task,
                              const Schedule& schedule, const Target& target) const;

  Cache& cache_;
  Compiler& compiler_;
  const Log& log_;
  GeneratorMarks marks_;
  std::mutex mutex_;                                  // also held while compiling
  std::map<std::string, Binary, std::less<>> known_;  // by key text
};

}  // namespace grkan
