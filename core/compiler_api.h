// The one door between libgrkan and libgrkan_compiler: a small versioned table of C functions.
// libgrkan opens the compiler library on the first miss or the first tune, so that a process that
// finds its winners never loads LLVM. Texts are the printed forms of core/; no exception crosses.
#pragma once

#include <cstddef>
#include <cstdint>

namespace grkan {

inline constexpr std::uint32_t kCompilerApiVersion = 2;

// Bytes owned by the library that filled them, until release().
struct CompilerText {
  const char* data = nullptr;
  std::size_t size = 0;
};

// What the tuner asks of its caller. Each returns a Status as an int and, on failure, writes the
// reason into `why` (truncated to why_size, always terminated).
struct TuneCallbacks {
  void* self;
  // Compiles and loads a schedule (its printed form).
  std::int32_t (*build)(void* self, const char* schedule, char* why, std::size_t why_size);
  // What the compiler said of its main kernel: {registers, spill_bytes, shared_bytes} as a JSON
  // text that stays until the thread's next call of report, count or execute, null for what it did
  // not tell. May be null: then nothing is pruned by it.
  std::int32_t (*report)(void* self, const char* schedule, const char** json, char* why,
                         std::size_t why_size);
  // Compares the built schedule with the reference: `scaled` is the largest |error| over its bound.
  std::int32_t (*check)(void* self, const char* schedule, double* scaled, char* why,
                        std::size_t why_size);
  // Runs the built schedule once (its own choice of buffers) and gives the seconds it took.
  std::int32_t (*measure)(void* self, const char* schedule, double* seconds, char* why,
                          std::size_t why_size);
  // For tuning by prediction, else they may be null; there `build`, `report` and `count` are
  // called from several threads. Both leave a JSON text, as `report` does.
  // count: what CompilerApi::count gives for the built schedule at the request's rows.
  std::int32_t (*count)(void* self, const char* schedule, const char** json, char* why,
                        std::size_t why_size);
  // execute: runs the built schedule on a virtual GPU at so many rows, with the grid for so many
  // multiprocessors; the launches of its report.
  std::int32_t (*execute)(void* self, const char* schedule, std::int64_t rows,
                          std::int32_t multiprocessors, const char** json, char* why,
                          std::size_t why_size);
  // One finished measurement as one line of JSON, to be kept; may be null.
  void (*record)(void* self, const char* json_line);
  // Progress: done of total steps, seconds left by estimate, the schedule under way; may be null.
  void (*progress)(void* self, std::int64_t done, std::int64_t total, double seconds_left,
                   const char* schedule);
  // Non-zero: stop as soon as possible, keeping what was measured; may be null.
  std::int32_t (*cancelled)(void* self);
};

struct CompilerApi {
  std::uint32_t version;
  // What `compiler` and `generator` of the library are, as text: "llvm 22.1.8", and for CUDA
  // targets the NVRTC it would use ("nvrtc 13.0.88 /path"), or why none.
  std::int32_t (*describe)(const char* target, CompilerText* out);
  // A stage as text: mlir, llvm, asm (CPU); cuda, ptx, sass (CUDA); schedule.
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
  // Searches the task's space. `request` is JSON (tuner/tune.h), so is the answer.
  std::int32_t (*tune)(const char* request, const TuneCallbacks* callbacks, CompilerText* out);
  // Frees what the others filled. On a failed call `out` holds the message.
  void (*release)(CompilerText* text);
};

// The library's only exported symbol: the table, or null for a version it does not have.
using CompilerApiEntry = const CompilerApi* (*)(std::uint32_t version);
inline constexpr const char* kCompilerApiSymbol = "grkan_compiler_api";

}  // namespace grkan
