// libgrkan_compiler's table (core/compiler_api.h): each entry catches everything and turns it into
// a status and a message.
#include "core/compiler_api.h"

#include <cstring>
#include <exception>
#include <new>
#include <nlohmann/json.hpp>
#include <string>

#include "codegen/compiler.h"
#include "codegen/cuda/sass.h"
#include "core/error.h"

namespace grkan {
namespace {

// Hands a copy of the text to the caller; an empty one when memory is gone.
void give(CompilerText* out, const std::string& text) noexcept {
  char* copy = new (std::nothrow) char[text.size() + 1];
  if (copy != nullptr) std::memcpy(copy, text.c_str(), text.size() + 1);
  *out = {copy, copy != nullptr ? text.size() : 0};
}

template <class F>
std::int32_t guarded(CompilerText* out, F&& work) noexcept {
  *out = {};
  Status status = Status::internal;
  std::string message;
  try {
    give(out, work());
    return static_cast<std::int32_t>(out->data != nullptr ? Status::ok : Status::out_of_memory);
  } catch (const Error& error) {
    status = error.status();
    message = error.what();
  } catch (const std::bad_alloc&) {
    status = Status::out_of_memory;
  } catch (const std::exception& error) {
    message = error.what();
  }
  give(out, message);
  return static_cast<std::int32_t>(status);
}

std::int32_t describe(const char* target, CompilerText* out) {
  return guarded(out, [&] { return compiler_of(parse_target(target)); });
}

std::int32_t emit_stage(const char* task, const char* schedule, const char* target,
                        const char* stage, CompilerText* out) {
  return guarded(out, [&] {
    const Target where = parse_target(target);
    return emit(parse_task(task), parse_schedule(schedule, where), where, stage);
  });
}

std::int32_t compile_binary(const char* task, const char* schedule, const char* target,
                            CompilerText* out) {
  return guarded(out, [&] {
    const Target where = parse_target(target);
    return serialize(compile(parse_task(task), parse_schedule(schedule, where), where));
  });
}

std::int32_t count(const char* binary, std::size_t binary_size, const char* schedule,
                   std::int64_t rows, std::int64_t inner, std::int32_t multiprocessors,
                   CompilerText* out) {
  return guarded(out, [&] {
    const Binary built = parse_binary({binary, binary_size});
    if (!built.target.cuda()) {
      fail_argument("instructions are counted for CUDA targets, not {}", built.target.name);
    }
    const Schedule parsed = parse_schedule(schedule, built.target);
    return count_instructions(built, parsed, rows, inner, multiprocessors).dump();
  });
}

void release(CompilerText* text) {
  delete[] text->data;
  *text = {};
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const CompilerApi* grkan_compiler_api(
    std::uint32_t version) {
  static constexpr CompilerApi kApi = {
      .version = kCompilerApiVersion,
      .describe = describe,
      .emit = emit_stage,
      .compile = compile_binary,
      .count = count,
      .release = release,
  };
  return version == kCompilerApiVersion ? &kApi : nullptr;
}

}  // namespace grkan
