// CompilerClient: libgrkan_compiler as a Compiler. The library is opened on the first use, so
// that a process that finds its kernels in the cache never loads LLVM.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "core/compiler.h"
#include "core/compiler_api.h"

namespace grkan {

class CompilerClient final : public Compiler {
 public:
  // `path`: the library to open (GRKAN_COMPILER); empty: libgrkan_compiler.so in the folder of this
  // library or program, then in that folder's sibling lib/.
  explicit CompilerClient(std::string path);

  // All throw no_compiler, naming the paths looked for, where the library can't be opened or is of
  // another version; else the compiler's own error.
  std::string describe(const Target& target) override;
  Binary compile(const Task& task, const Schedule& schedule, const Target& target) override;
  std::string emit(const Task& task, const Schedule& schedule, const Target& target,
                   std::string_view stage) override;
  nlohmann::ordered_json count(const Binary& binary, const Schedule& schedule, std::int64_t rows,
                               std::int64_t inner, int multiprocessors) override;

 private:
  const CompilerApi& api();

  std::string path_;
  std::mutex mutex_;
  const CompilerApi* api_ = nullptr;  // the library stays open: its code may be on some stack
};

}  // namespace grkan
