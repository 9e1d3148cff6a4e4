// CompilerClient: libgrkan_compiler as C++ functions. The library is opened on the first use, so
// that a process that finds its kernels in the cache never loads LLVM.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "core/binary.h"
#include "core/compiler_api.h"
#include "core/schedule.h"

namespace grkan {

class CompilerClient {
 public:
  // `path`: the library to open (GRKAN_COMPILER); empty: libgrkan_compiler.so in the folder of this
  // library or program, then in that folder's sibling lib/.
  explicit CompilerClient(std::string path);

  // All throw no_compiler, naming the paths looked for, where the library can't be opened or is of
  // another version; else the compiler's own error.
  Binary compile(const Task& task, const Schedule& schedule, const Target& target);
  std::string emit(const Task& task, const Schedule& schedule, const Target& target,
                   std::string_view stage);
  // Instruction counts as JSON; CUDA targets only.
  std::string count(const Binary& binary, const Schedule& schedule, std::int64_t rows,
                    std::int64_t inner, int multiprocessors);
  std::string tune(std::string_view request, const TuneCallbacks& callbacks);
  // The compiler that would serve a target: "llvm 22.1.8", "nvrtc 13.0.88 /path".
  std::string describe(const Target& target);

 private:
  const CompilerApi& api();

  std::string path_;
  std::mutex mutex_;
  const CompilerApi* api_ = nullptr;  // the library stays open: its code may be on some stack
};

}  // namespace grkan
