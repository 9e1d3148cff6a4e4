#include "cache/binaries.h"

#include <utility>

#include "cache/files.h"
#include "core/error.h"

namespace grkan {
namespace {

// Stands in a key for the compiler where none can be asked: a machine with a cache of cubins and
// nothing to compile with. Whatever is compiled for a GPU is stored under it too.
constexpr std::string_view kAnyCompiler = "any";

// Of "nvrtc 13.0.88 /path": the place is no part of a key.
std::string name_and_version(const std::string& compiler) {
  const std::size_t name = compiler.find(' ');
  return name == std::string::npos ? compiler : compiler.substr(0, compiler.find(' ', name + 1));
}

}  // namespace

Binaries::Binaries(Cache& cache, Compiler& compiler, const Log& log, GeneratorMarks marks)
    : cache_(cache), compiler_(compiler), log_(log), marks_(std::move(marks)) {}

std::string Binaries::key_text(const Task& task, const Schedule& schedule, const Target& target,
                               std::string_view compiler) const {
  return to_text(BinaryKey{.task = task,
                           .compiled_schedule = compiled_text(schedule),
                           .target = target,
                           .compiler = std::string(compiler),
                           .generator = marks_.generator,
                           .source_hash = {}});
}

std::string Binaries::compiler_of(const Target& target) {
  if (!target.cuda()) return marks_.cpu_compiler;
  try {
    return name_and_version(compiler_.describe(target));
  } catch (const Error& error) {
    log_(LogLevel::debug, "no compiler for {}: {}", target.name, error.what());
    return std::string(kAnyCompiler);
  }
}

// A payload as the binary it should be, or nothing.
std::optional<Binary> Binaries::parse(const std::string& payload, const Task& task,
                                      const Schedule& schedule, const Target& target) const {
  try {
    Binary binary = parse_binary(payload);
    if (binary.task == task && binary.compiled_schedule == compiled_text(schedule) &&
        binary.target == target) {
      return binary;
    }
    log_(LogLevel::warn, "a cached binary is of another task than its key; it is not used");
  } catch (const Error& error) {
    log_(LogLevel::warn, "a cached binary is damaged: {}; it is not used", error.what());
  }
  return std::nullopt;
}

std::optional<Binary> Binaries::cached(const Task& task, const Schedule& schedule,
                                       const Target& target, std::string_view hint) {
  // A GPU's winner names its binary, so that the compiler need not be asked for its version.
  if (target.cuda() && !hint.empty()) {
    const auto file = cache_.load_binary_by_hash(hint);
    const std::string generator = fmt::format("\"{}\"", marks_.generator);
    if (file && file->key.find(generator) != std::string::npos) {
      if (auto binary = parse(file->payload, task, schedule, target)) return binary;
    }
  }
  const std::string key = key_text(task, schedule, target, compiler_of(target));
  const auto payload = cache_.load_binary(key);
  return payload ? parse(*payload, task, schedule, target) : std::nullopt;
}

std::string Binaries::key_hash(const Task& task, const Schedule& schedule, const Target& target,
                               std::string_view compiler) {
  const std::string name =
      compiler.empty() ? compiler_of(target) : name_and_version(std::string(compiler));
  return content_hash(key_text(task, schedule, target, name));
}

Binary Binaries::get(const Task& task, const Schedule& schedule, const Target& target,
                     std::string_view hint) {
  const std::lock_guard lock(mutex_);
  const std::string name = key_text(task, schedule, target, "");
  if (const auto known = known_.find(name); known != known_.end()) return known->second;
  std::optional<Binary> binary = cached(task, schedule, target, hint);
  if (!binary) {
    log_(LogLevel::info, "compiling {} {} for {}", to_string(task), to_string(schedule),
         target.name);
    binary = compiler_.compile(task, schedule, target);
    const std::string payload = serialize(*binary);
    cache_.store_binary(key_text(task, schedule, target, compiler_of(target)), payload);
    if (target.cuda()) {
      cache_.store_binary(key_text(task, schedule, target, kAnyCompiler), payload);
    }
  }
  return known_.emplace(name, std::move(*binary)).first->second;
}

}  // namespace grkan
