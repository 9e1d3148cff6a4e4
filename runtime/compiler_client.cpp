#include "runtime/compiler_client.h"

#include <dlfcn.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/error.h"
#include "runtime/beside.h"

namespace grkan {
namespace {

constexpr const char* kLibrary = "libgrkan_compiler.so";

// A filled CompilerText, released when it leaves scope.
class Answer {
 public:
  explicit Answer(const CompilerApi& api) : api_(api) {}
  ~Answer() { api_.release(&text_); }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  CompilerText* out() { return &text_; }
  [[nodiscard]] std::string text() const {
    return text_.data == nullptr ? std::string() : std::string(text_.data, text_.size);
  }
  // The text, or the compiler's error.
  [[nodiscard]] std::string value(std::int32_t status) const {
    if (status != 0) throw Error(Status(status), text());
    return text();
  }

 private:
  const CompilerApi& api_;
  CompilerText text_;
};

}  // namespace

CompilerClient::CompilerClient(std::string path) : path_(std::move(path)) {}

const CompilerApi& CompilerClient::api() {
  const std::lock_guard lock(mutex_);
  if (api_ != nullptr) return *api_;
  const std::vector<std::string> paths =
      path_.empty() ? places_beside(kLibrary) : std::vector<std::string>{path_};
  std::vector<std::string> reasons;
  void* library = nullptr;
  for (const std::string& path : paths) {
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    reasons.emplace_back(dlerror());
  }
  if (library == nullptr) {
    fail(Status::no_compiler,
         "a kernel must be compiled, but the compiler library can't be opened: {}; install it "
         "there, or set GRKAN_COMPILER to its path",
         fmt::join(reasons, "; "));
  }
  const auto entry = reinterpret_cast<CompilerApiEntry>(dlsym(library, kCompilerApiSymbol));
  const CompilerApi* api = entry == nullptr ? nullptr : entry(kCompilerApiVersion);
  if (api == nullptr || api->version != kCompilerApiVersion) {
    const std::string path = paths.size() == 1 ? paths[0] : std::string(kLibrary);
    dlclose(library);
    fail(Status::no_compiler,
         "the compiler library {} {}; expected one with version {} of the interface: install the "
         "one that came with this library",
         path, entry == nullptr ? "is not a compiler library of grkan" : "has another version",
         kCompilerApiVersion);
  }
  api_ = api;
  return *api_;
}

Binary CompilerClient::compile(const Task& task, const Schedule& schedule, const Target& target) {
  const CompilerApi& table = api();
  Answer answer(table);
  const std::int32_t status = table.compile(to_string(task).c_str(), to_string(schedule).c_str(),
                                            target.name.c_str(), answer.out());
  return parse_binary(answer.value(status));
}

std::string CompilerClient::emit(const Task& task, const Schedule& schedule, const Target& target,
                                 std::string_view stage) {
  const CompilerApi& table = api();
  Answer answer(table);
  const std::int32_t status =
      table.emit(to_string(task).c_str(), to_string(schedule).c_str(), target.name.c_str(),
                 std::string(stage).c_str(), answer.out());
  return answer.value(status);
}

nlohmann::ordered_json CompilerClient::count(const Binary& binary, const Schedule& schedule,
                                             std::int64_t rows, std::int64_t inner,
                                             int multiprocessors) {
  const CompilerApi& table = api();
  Answer answer(table);
  const std::string bytes = serialize(binary);
  const std::int32_t status = table.count(bytes.data(), bytes.size(), to_string(schedule).c_str(),
                                          rows, inner, multiprocessors, answer.out());
  return nlohmann::ordered_json::parse(answer.value(status));
}

std::string CompilerClient::describe(const Target& target) {
  const CompilerApi& table = api();
  Answer answer(table);
  return answer.value(table.describe(target.name.c_str(), answer.out()));
}

}  // namespace grkan
