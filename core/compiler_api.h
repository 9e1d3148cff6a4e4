// The one door between libgrkan and libgrkan_compiler: a small versioned table of C functions.
// libgrkan opens the compiler library on the first miss or the first tune, so that a process that
// finds its winners never loads LLVM, which costs 40 ms and 80 MB, and a host may bring its own.
// Texts are the printed forms of core/; no exception crosses.
#pragma once

#include <cstddef>
#include <cstdint>

namespace grkan {

inline constexpr std::uint32_t kCompilerApiVersion = 3;

// Bytes owned by the library that filled them, until release().
struct CompilerText {
  const char* data = nullptr;
  std::size_t size = 0;
};

struct CompilerApi {
  std::uint32_t version;
  // What `compiler` and `generator` of the library are, as text: "llvm 22.1.8", and for CUDA
  // targets the NVRTC it would use ("nvrtc 13.0.88 /path"), or why none.
  std::int32_t (*describe)(const char* target, CompilerText* out);
  // A stage as text: as codegen/compiler.h names them.
  std::int32_t (*emit)(const char* task, const char* schedule, const char* target,
                       const char* stage, CompilerText* out);
  // A serialized Binary.
  std::int32_t (*compile)(const char* task, const char* schedule, const char* target,
                          CompilerText* out);
  // Instruction counts of a CUDA schedule at a number of rows and multiprocessors, as JSON. The
  // binary is the schedule's, serialized.
  std::int32_t (*count)(const char* binary, std::size_t binary_size, const char* schedule,
                        std::int64_t rows, std::int64_t inner, std::int32_t multiprocessors,
                        CompilerText* out);
  // Frees what the others filled. On a failed call `out` holds the message.
  void (*release)(CompilerText* text);
};

// The library's only exported symbol: the table, or null for a version it does not have.
using CompilerApiEntry = const CompilerApi* (*)(std::uint32_t version);
inline constexpr const char* kCompilerApiSymbol = "grkan_compiler_api";

}  // namespace grkan
