// A compiler library that compiles nothing: answers with recognisable values.
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/binary.h"
#include "core/compiler_api.h"
#include "core/error.h"

namespace {

std::int32_t fill(grkan::CompilerText* out, const std::string& text, std::int32_t status = 0) {
  char* data = static_cast<char*>(std::malloc(text.size() + 1));
  std::memcpy(data, text.c_str(), text.size() + 1);
  *out = {data, text.size()};
  return status;
}

std::int32_t describe(const char*, grkan::CompilerText* out) { return fill(out, "fake 1"); }

std::int32_t emit(const char* task, const char*, const char*, const char* stage,
                  grkan::CompilerText* out) {
  return fill(out, std::string(stage) + " of " + task);
}

std::int32_t compile(const char* task, const char* schedule, const char* target,
                     grkan::CompilerText* out) {
  grkan::Binary binary;
  binary.task = grkan::parse_task(task);
  if (binary.task.problem.variant == grkan::Variant::n) {
    return fill(out, "refused", std::int32_t(grkan::Status::compile_failed));
  }
  binary.target = grkan::parse_target(target);
  binary.compiled_schedule = grkan::compiled_text(grkan::parse_schedule(schedule, binary.target));
  binary.compiler = "fake 1";
  binary.code = "code";
  return fill(out, grkan::serialize(binary));
}

std::int32_t count(const char*, std::size_t, const char*, std::int64_t rows, std::int64_t,
                   std::int32_t, grkan::CompilerText* out) {
  return fill(out, "{\"rows\":" + std::to_string(rows) + "}");
}

void release(grkan::CompilerText* text) {
  std::free(const_cast<char*>(text->data));
  *text = {};
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const grkan::CompilerApi* grkan_compiler_api(
    std::uint32_t version) {
  static const grkan::CompilerApi api = {
      grkan::kCompilerApiVersion, &describe, &emit, &compile, &count, &release};
  if (std::getenv("GRKAN_FAKE_VERSION") != nullptr) return nullptr;
  return version == api.version ? &api : nullptr;
}
