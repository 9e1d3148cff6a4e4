// The kernels of this folder for a caller in C++: which one serves a call, and how it is launched.
// Nothing here needs PyTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace grkan_extension {

enum Type : unsigned char { f32, f64, f16, bf16 };

// y = P(x) / Q(x) with a P and a Q for each group of channels. x is [rows, channels] or, with
// channels first, [rows, channels, inner].
struct Problem {
  int numerator_degree;
  int denominator_degree;
  char variant;  // of Q: A, B, C, N or S
  std::int64_t channels;
  std::int64_t numerator_groups;  // both divide channels
  std::int64_t denominator_groups;
  Type x;             // of x and dx
  Type y;             // of y and dy
  Type coefficients;  // of a, b, da and db
  bool channels_first;

  bool operator==(const Problem& other) const;
};

// "p5q4-A-c768-g8-f32-last": how grkan prints a problem.
std::string to_string(const Problem& problem);

// What a call asks for: none is forward.
enum Gradient : unsigned { kDx = 1, kDa = 2, kDb = 4 };

// How the sums of da and db become whole.
enum Sums : unsigned char { none, twopass, programmatic, lastblock, blockatomics };

// The numbers of a schedule that a launch depends on.
struct Launch {
  int columns;  // adjacent elements of a thread
  int rows_in_flight;
  int tile_columns;  // threads of a block along the columns, and down the rows
  int tile_rows;
  int tile_segments;  // whole segments of a tile; 1 where a tile is a part of one
  int run;
  int sum_terms;  // sums of a segment
  int blocks;     // of a multiprocessor
  int slab;       // rows of a block instead; 0: no
  Sums sums;
  int second_pass_blocks;
  int second_pass_threads;
};

struct Kernel {
  const char* task;
  const char* schedule;
  Problem problem;
  unsigned gradients;
  int capability;        // least compute capability, 90 is 9.0
  std::int64_t rows[2];  // first and last that the schedule was chosen for
  std::int64_t inner;
  Launch launch;
  const void* main;
  const void* second_pass;  // null: none
  int narrow;               // place in kKernels of the one for sizes this one can't; -1: none
};

// Made by grkan: kernels.cpp.
extern const Kernel kKernels[];
extern const int kKernelCount;

// The kernel for a call on a device of this compute capability; null where there is none. Of those
// that fit: the highest capability, the fewest gradients that were not asked for, the sizes nearest
// to these.
const Kernel* find(const Problem& problem, unsigned gradients, int capability, std::int64_t rows,
                   std::int64_t inner);
// Why find() gives null.
std::string why_none(const Problem& problem, unsigned gradients, int capability);

// Data pointers of a kernel must be multiples of this.
inline constexpr std::size_t kAlignment = 32;
bool needs_alignment(const Kernel& kernel);

// Device pointers to dense tensors; what a kernel doesn't take is null.
struct Call {
  std::int64_t rows = 0;
  std::int64_t inner = 1;
  const void* x = nullptr;
  const void* dy = nullptr;
  void* out = nullptr;  // y or dx
  const void* a = nullptr;
  const void* b = nullptr;
  void* da = nullptr;
  void* db = nullptr;
};

// The argument of the kernels, as their sources declare it.
struct CudaCall {
  const void* x;
  const void* dy;
  void* out;
  const void* a;
  const void* b;
  double* partial;
  void* da;
  void* db;
  double* tile_sums;
  unsigned* counters;
  long long rows;
  long long width;
  long long x_stride;
  long long dy_stride;
  long long out_stride;
  long long x_step;
  long long dy_step;
  long long out_step;
  long long row_blocks;
  unsigned group_step;
  unsigned groups;
  int accumulate_da;
  int accumulate_db;
};

// A launch of a call on so many multiprocessors.
struct Grid {
  unsigned x = 0;  // 0: past what CUDA launches at once
  unsigned y = 0;
  std::size_t workspace = 0;  // bytes
  std::size_t tile_sums = 0;  // places in the workspace
  std::size_t counters = 0;
  std::size_t counter_bytes = 0;
};
Grid grid_of(const Kernel& kernel, std::int64_t rows, std::int64_t inner, int multiprocessors);
CudaCall argument_of(const Kernel& kernel, const Grid& grid, const Call& call, void* workspace);

// Queues the kernels of a call with at least one element in the stream (a cudaStream_t) of the
// current device. `workspace`: grid.workspace bytes of device memory. Returns a cudaError_t.
int queue(const Kernel& kernel, const Grid& grid, const Call& call, void* workspace, void* stream);

}  // namespace grkan_extension
