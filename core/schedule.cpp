#include "core/schedule.h"

#include <algorithm>
#include <numeric>

#include "core/cpu_call.h"
#include "core/error.h"
#include "core/text.h"

namespace grkan {
namespace {

constexpr std::array<std::string_view, 3> kDeterminisms = {"not_guaranteed", "run_to_run",
                                                           "gpu_to_gpu"};

constexpr std::array<std::string_view, 2> kCoefficients = {"bcast", "expand"};
constexpr std::array<std::string_view, 2> kBackward = {"split", "fused"};
constexpr std::array<std::string_view, 2> kStores = {"cached", "nt"};
constexpr std::array<std::string_view, 2> kPolynomial = {"powers", "estrin"};  // or none: Horner
constexpr std::array<std::string_view, 1> kPacked = {"packed"};
constexpr std::array<std::string_view, 3> kDivision = {"div", "newton", "approx"};
constexpr std::array<std::string_view, 1> kAccumulator = {"f64acc"};  // or none: compensated
constexpr std::array<std::string_view, 4> kSums = {"twopass", "programmatic", "lastblock",
                                                   "blockatomics"};
constexpr std::array<std::string_view, 1> kLoads = {"ldcs"};
constexpr std::array<std::string_view, 1> kCudaStores = {"stcs"};

// Typical of desktops and servers; only the default schedule uses it.
constexpr double kLastLevelCache = 32.0 * 1024 * 1024;

constexpr std::array kZeroOne = {0, 1};
constexpr std::array kZeroOneTwo = {0, 1, 2};
constexpr std::array kOneTwo = {1, 2};
constexpr std::array kOneTwoThree = {1, 2, 3};
constexpr std::array kVector = {1, 4, 8, 16};
constexpr std::array kUnroll = {1, 2, 4};
constexpr std::array kBlockRows = {1, 2, 4, 8, 16};
constexpr std::array kCpuRun = {32, 64};
constexpr std::array kPrefetch = {0, 1, 2, 4};
constexpr std::array kSlice = {64, 256};
constexpr std::array kColumns = {1, 2, 4, 8};
constexpr std::array kInFlight = {1, 2, 4, 8};
constexpr std::array kTileColumns = {6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192};
constexpr std::array kTileRows = {1, 2, 4, 8, 10, 16, 20, 32, 40};
constexpr std::array kMinBlocks = {0, 2, 4, 5};
constexpr std::array kCudaRun = {8, 16, 32};
constexpr std::array kSumsValues = {1, 2, 3, 4};
constexpr std::array kBlocks = {1, 2, 4, 8, 16};
constexpr std::array kSlab = {0, 512};

using Cpu = CpuSchedule;
constexpr std::array<Parameter<Cpu>, 9> kCpuParameters = {{
    {"vector", "v", {}, kVector, true, true, &Cpu::vector},
    {"unroll", "u", {}, kUnroll, true, true, &Cpu::unroll},
    {"rows", "r", {}, kBlockRows, true, true, &Cpu::rows},
    {"coefficients", "", kCoefficients, kOneTwo, true, true, &Cpu::coefficients},
    {"run", "run", {}, kCpuRun, true, true, &Cpu::run},
    {"backward", "", kBackward, kOneTwo, true, true, &Cpu::backward},
    {"stores", "", kStores, kOneTwo, true, true, &Cpu::stores},
    {"prefetch", "pf", {}, kPrefetch, true, true, &Cpu::prefetch},
    {"slice_rows", "slice", {}, kSlice, false, true, &Cpu::slice_rows},
}};

using Cuda = CudaSchedule;
constexpr std::array<Parameter<Cuda>, 15> kCudaParameters = {{
    {"columns", "v", {}, kColumns, true, true, &Cuda::columns},
    {"rows_in_flight", "r", {}, kInFlight, true, true, &Cuda::rows_in_flight},
    {"tile_columns", "x", {}, kTileColumns, true, true, &Cuda::tile_columns},
    {"tile_rows", "y", {}, kTileRows, true, true, &Cuda::tile_rows},
    {"min_blocks", "mb", {}, kMinBlocks, true, true, &Cuda::min_blocks},
    {"polynomial", "", kPolynomial, kZeroOneTwo, true, false, &Cuda::polynomial},
    {"packed", "", kPacked, kZeroOne, true, false, &Cuda::packed},
    {"division", "", kDivision, kOneTwoThree, true, false, &Cuda::division},
    {"run", "run", {}, kCudaRun, true, false, &Cuda::run},
    {"accumulator", "", kAccumulator, kZeroOne, true, false, &Cuda::accumulator},
    {"sums", "", kSums, kSumsValues, true, false, &Cuda::sums},
    {"loads", "", kLoads, kZeroOne, true, false, &Cuda::loads},
    {"stores", "", kCudaStores, kZeroOne, true, false, &Cuda::stores},
    {"blocks", "blocks", {}, kBlocks, false, true, &Cuda::blocks},
    {"slab", "slab", {}, kSlab, false, false, &Cuda::slab},
}};

template <class S>
std::string print(const S& schedule, std::span<const Parameter<S>> parameters, bool compiled) {
  std::vector<std::string> tokens;
  for (const Parameter<S>& p : parameters) {
    const int value = schedule.*p.field;
    if (p.compiled != compiled || value == 0) continue;
    tokens.push_back(p.words.empty() ? fmt::format("{}{}", p.token, value)
                                     : std::string(p.words[std::size_t(value - 1)]));
  }
  return fmt::format("{}", fmt::join(tokens, "_"));
}

// Sets the parameter that `token` stands for; false when none does.
template <class S>
bool set_token(S& schedule, const Parameter<S>& p, std::string_view token) {
  for (std::size_t i = 0; i < p.words.size(); ++i) {
    if (p.words[i] != token) continue;
    schedule.*p.field = int(i) + 1;
    return true;
  }
  if (!p.words.empty() || !token.starts_with(p.token)) return false;
  token.remove_prefix(p.token.size());
  int value = 0;
  const auto [stop, error] = std::from_chars(token.data(), token.data() + token.size(), value);
  if (error != std::errc() || stop != token.data() + token.size() || value < 1) return false;
  if (token.front() == '0') return false;
  schedule.*p.field = value;
  return true;
}

// Tokens come in the table's order, each at most once; what is absent is 0 in the compiled part and
// keeps its default in the launch part.
template <class S>
S parse(std::string_view text, std::span<const Parameter<S>> parameters, std::string_view example) {
  S schedule;
  const std::size_t at = text.find('@');
  const auto part = [&](std::string_view tokens, bool compiled) {
    std::size_t next = 0;
    while (!tokens.empty()) {
      const std::string_view token = tokens.substr(0, tokens.find('_'));
      tokens.remove_prefix(std::min(tokens.size(), token.size() + 1));
      while (next < parameters.size() && (parameters[next].compiled != compiled ||
                                          !set_token(schedule, parameters[next], token))) {
        ++next;
      }
      if (next++ == parameters.size()) {
        fail_argument("schedule '{}' has an unknown or misplaced part '{}'; the form is {}",
                      shortened(text), shortened(token), example);
      }
    }
  };
  for (const Parameter<S>& p : parameters) {
    if (p.compiled) schedule.*p.field = 0;
  }
  part(text.substr(0, at), true);
  if (at != std::string_view::npos) part(text.substr(at + 1), false);
  return schedule;
}

// The first parameter that must be positive for a task but isn't, or must be 0 but isn't.
std::string mismatch(std::string_view name, int value, bool wanted, std::string_view where) {
  if (wanted && value == 0) return fmt::format("{} is needed for {}", name, where);
  if (!wanted && value != 0) return fmt::format("{} does not apply to {}", name, where);
  return {};
}

CpuSchedule gpu_to_gpu_schedule(const Task& task) {
  CpuSchedule s;
  s.run = task.sums() ? 64 : 0;
  s.backward = task.sums() ? CpuSchedule::split : 0;
  return s;
}

std::string why_illegal_cpu(const Task& task, const CpuSchedule& s, Determinism determinism) {
  const std::string where = std::string(to_string(task.direction)) +
                            (task.backward() ? " of " + to_string(task.gradients) : "");
  if (s.vector < 1 || s.vector > 16 || (s.vector & (s.vector - 1)) != 0) {
    return fmt::format("vector {} is not 1, 2, 4, 8 or 16", s.vector);
  }
  if (s.unroll < 1 || s.unroll > 8) return fmt::format("unroll {} is not in 1 to 8", s.unroll);
  if (s.rows < 1 || s.rows > 64) return fmt::format("rows {} is not in 1 to 64", s.rows);
  if (s.slice_rows < 1) return fmt::format("slice_rows {} is not positive", s.slice_rows);
  if (s.coefficients == 0) return "coefficients must be bcast or expand";
  const bool expanded = s.coefficients == CpuSchedule::expanded;
  if (expanded && task.problem.layout == Layout::channels_first) {
    return "expand needs channels-last: in channels-first a vector lies within a channel";
  }
  if (expanded && s.vector == 1) return "expand with vector 1 is bcast";
  if (expanded && s.unroll != 1) return "expand takes one vector of columns: unroll must be 1";
  if (std::string why = mismatch("run", s.run, task.sums(), where); !why.empty()) return why;
  if (std::string why = mismatch("split or fused", s.backward, task.sums(), where); !why.empty()) {
    return why;
  }
  const std::size_t scratch =
      std::size_t(s.run) * std::size_t(s.vector) * 2 * size_of(task.problem.math_type());
  if (scratch > kCpuScratchBytes) {
    return fmt::format("a block of run {} x vector {} needs {} bytes of scratch; {} are there",
                       s.run, s.vector, scratch, kCpuScratchBytes);
  }
  if (task.sums() && s.rows > s.run) {
    return fmt::format("rows {} of a block are more than a run of {}", s.rows, s.run);
  }
  if (s.stores == 0) return "stores must be cached or nt";
  const bool writes = !task.backward() || task.gradients.dx;
  if (s.stores == CpuSchedule::nontemporal && !writes) {
    return "nt stores do not apply where no tensor is written";
  }
  if (s.prefetch < 0 || s.prefetch > 64) {
    return fmt::format("prefetch {} is not in 0 to 64", s.prefetch);
  }
  if (determinism == Determinism::gpu_to_gpu) {
    CpuSchedule fixed = gpu_to_gpu_schedule(task);
    fixed.stores = s.stores;
    fixed.prefetch = s.prefetch;
    if (s != fixed) return "gpu_to_gpu fixes the schedule to " + to_string(Schedule(fixed));
  }
  return {};
}

CudaSchedule default_cuda(const Task& task, Determinism determinism);

constexpr std::int64_t kMostThreads = 1024;
constexpr int kPackedArchitecture = 100;
constexpr int kWideAccessArchitecture = 100;  // 32 bytes at once
constexpr int kProgrammaticArchitecture = 90;
// Rows of a block in class gpu_to_gpu.
constexpr int kSameBitsSlab = 512;
// Static shared memory of a block: a double for each thread and sum.
constexpr std::int64_t kSharedBytes = 49152;
std::int64_t shared_bytes(const Task& task, const CudaSchedule& s) {
  return std::int64_t{task.sum_terms()} * s.threads() * 8;
}

std::string why_illegal_sums(const Task& task, const CudaSchedule& s, const Target& target,
                             Determinism determinism) {
  if (!task.sums()) {
    if (s.accumulator != 0) return "f64acc does not apply where nothing is summed";
    return {};
  }
  if (s.sums > CudaSchedule::block_atomics) return fmt::format("sums {} is unknown", s.sums);
  if (s.accumulator == CudaSchedule::f64 && task.problem.math_type() == Type::f64) {
    return "f64acc is for f32 arithmetic; f64 compensates";
  }
  const int capability = target.compute_capability();
  if (s.sums == CudaSchedule::programmatic && capability < kProgrammaticArchitecture) {
    return fmt::format("programmatic needs sm_{} or later; the target is {}",
                       kProgrammaticArchitecture, target.name);
  }
  constexpr int kWarp = 32;
  if (s.sums == CudaSchedule::last_block && s.threads() < kWarp) {
    return fmt::format("lastblock adds by whole warps; the block has {} threads", s.threads());
  }
  if (s.sums != CudaSchedule::block_atomics) return {};
  if (determinism != Determinism::not_guaranteed) {
    return "blockatomics adds in any order; it needs determinism not_guaranteed";
  }
  // Its error grows with the blocks of a group, which must therefore be few.
  if (task.problem.layout == Layout::channels_first) return "blockatomics needs channels-last";
  if (s.slab != 0) return "blockatomics goes with blocks, not with slab";
  return {};
}

// gpu_to_gpu: what decides the order and the rounding of operations is fixed by the task.
std::string why_not_gpu_to_gpu(const Task& task, const CudaSchedule& s) {
  CudaSchedule fixed = default_cuda(task, Determinism::gpu_to_gpu);
  fixed.min_blocks = s.min_blocks;
  fixed.loads = s.loads;
  fixed.stores = s.stores;
  if (s.sums == CudaSchedule::programmatic) fixed.sums = s.sums;
  if (!task.sums()) {  // every element for itself
    fixed.columns = s.columns;
    fixed.rows_in_flight = s.rows_in_flight;
    fixed.tile_columns = s.tile_columns;
    fixed.tile_rows = s.tile_rows;
    fixed.slab = s.slab;
    fixed.blocks = s.blocks;
  }
  if (s == fixed) return {};
  return "gpu_to_gpu fixes the schedule to " + to_string(Schedule(fixed));
}

std::string why_illegal_cuda(const Task& task, const CudaSchedule& s, const Target& target,
                             Determinism determinism) {
  const Problem& p = task.problem;
  const std::string where = std::string(to_string(task.direction)) +
                            (task.backward() ? " of " + to_string(task.gradients) : "");
  if (s.columns != 1 && s.columns != 2 && s.columns != 4 && s.columns != 8) {
    return fmt::format("columns {} is not 1, 2, 4 or 8", s.columns);
  }
  const int widest = cuda_widest_access(s, target);
  const int bytes = s.columns * int(std::min(size_of(p.x_type), size_of(p.y_type)));
  if (bytes > widest) {
    return fmt::format("{} columns are {} bytes, more than one access of {}", s.columns, bytes,
                       widest);
  }
  if (s.rows_in_flight < 1 || s.rows_in_flight > 8) {
    return fmt::format("rows_in_flight {} is not in 1 to 8", s.rows_in_flight);
  }
  if (s.tile_columns < 1 || s.tile_rows < 1 ||
      std::int64_t{s.tile_columns} * s.tile_rows > kMostThreads) {
    return fmt::format("tile {} x {} is {} threads; 1 to {} can be launched", s.tile_columns,
                       s.tile_rows, std::int64_t{s.tile_columns} * s.tile_rows, kMostThreads);
  }
  if (s.min_blocks < 0 || std::int64_t{s.min_blocks} * s.threads() > 2048) {
    return fmt::format("min_blocks {} of {} threads are more than a multiprocessor's 2048",
                       s.min_blocks, s.threads());
  }
  if (s.blocks < 1) return fmt::format("blocks {} is not positive", s.blocks);
  if (s.division < CudaSchedule::ieee || s.division > CudaSchedule::approximate) {
    return "division must be div, newton or approx";
  }
  if (p.math_type() == Type::f64 && s.division != CudaSchedule::ieee) return "f64 divides by div";
  if (s.packed != 0) {
    if (target.compute_capability() < kPackedArchitecture) {
      return fmt::format("packed needs sm_{} or later; the target is {}", kPackedArchitecture,
                         target.name);
    }
    if (p.math_type() == Type::f64) return "packed is for f32 arithmetic";
    if (s.columns % 2 != 0) return fmt::format("packed needs pairs of columns, not {}", s.columns);
  }
  const bool writes = !task.backward() || task.gradients.dx;
  if (s.stores != 0 && !writes) return "stcs does not apply where no tensor is written";
  if (std::string why = mismatch("run", s.run, task.sums(), where); !why.empty()) return why;
  if (std::string why = mismatch("sums", s.sums, task.sums(), where); !why.empty()) return why;
  if (std::string why = why_illegal_sums(task, s, target, determinism); !why.empty()) return why;
  if (task.sums() && s.run % s.rows_in_flight != 0) {
    return fmt::format("run {} is not a multiple of rows_in_flight {}", s.run, s.rows_in_flight);
  }
  if (shared_bytes(task, s) > kSharedBytes) {
    return fmt::format("{} sums of {} threads need {} bytes of shared memory; {} are there",
                       task.sum_terms(), s.threads(), shared_bytes(task, s), kSharedBytes);
  }
  if (p.layout == Layout::channels_last) {
    const std::int64_t width = p.segment_width();
    if (width % s.columns != 0) {
      return fmt::format("{} columns do not divide the group width {}", s.columns, width);
    }
    const std::int64_t threads = width / s.columns;
    if (threads % s.tile_columns != 0 && s.tile_columns % threads != 0) {
      return fmt::format(
          "tile_columns {} neither divides nor is a multiple of a group's {} threads",
          s.tile_columns, threads);
    }
  }
  if (determinism == Determinism::gpu_to_gpu) return why_not_gpu_to_gpu(task, s);
  return {};
}

CpuSchedule default_cpu(const Task& task, const Target& target, std::int64_t rows,
                        std::int64_t inner, Determinism determinism) {
  const Problem& p = task.problem;
  CpuSchedule s = gpu_to_gpu_schedule(task);
  // Stores past the last-level cache save the read of the line that they overwrite.
  const bool writes = !task.backward() || task.gradients.dx;
  const Type out = task.backward() ? p.x_type : p.y_type;
  const double bytes = double(rows) * double(inner) * double(p.channels) * double(size_of(out));
  const bool large = bytes > kLastLevelCache;
  s.stores = writes && large ? CpuSchedule::nontemporal : CpuSchedule::cached;
  if (determinism == Determinism::gpu_to_gpu) return s;
  s.vector = target.vector_bits() / 8 / int(size_of(p.math_type()));
  // A row at a time reads memory in order; narrow segments need more rows to share coefficients,
  // and sums more terms in a run than a segment's width gives. Measured: bench/RESULTS.md.
  const std::int64_t width = p.segment_width() * inner;
  constexpr std::int64_t kWide = 64;
  constexpr std::int64_t kWideSums = 512;
  // AVX-512 has the registers for the ten sums beside the rest.
  const bool many_registers = target.vector_bits() == 512;
  if (task.sums() && many_registers) s.backward = CpuSchedule::fused;
  if (width >= kWide && task.sums() && many_registers) {
    s.rows = 4;
  } else if (width >= kWide && task.sums()) {
    s.slice_rows = 64;
    s.rows = width < kWideSums ? 8 : 1;
  } else if (width >= kWide) {
    s.rows = 1;
  }
  if (p.layout == Layout::channels_last && p.segment_width() % s.vector != 0 &&
      p.segment_width() / 4 < s.vector) {
    s.coefficients = CpuSchedule::expanded;
    s.rows = task.sums() ? 16 : 1;
    // Lines are finished in many visits: stores past the cache would send them in pieces.
    if (task.sums()) s.stores = CpuSchedule::cached;
  }
  if (large && p.layout == Layout::channels_last) {
    s.prefetch = task.sums() && many_registers ? 2 : 1;
  }
  return s;
}

// Blocks a multiprocessor such that the compiler keeps to 64 registers (1024 threads), 96 or 128,
// where the backward kernel is known to fit: coefficients, sums, rows requested ahead, the rest.
int blocks_for_registers(const Task& task, const CudaSchedule& s) {
  const Problem& p = task.problem;
  const bool doubles = p.math_type() == Type::f64;
  const int words = doubles || s.packed != 0 ? 2 : 1;  // of a coefficient or a sum
  const int bytes = s.columns * int(size_of(p.x_type) + size_of(p.y_type));
  const int ahead = s.rows_in_flight * ((bytes + 3) / 4);
  const int rest = 28 * (doubles ? 2 : 1);
  const int need =
      words * (p.numerator_terms() + p.denominator_terms() + task.sum_terms()) + rest + ahead;
  if (need <= 64) return std::max(1, 1024 / s.threads());
  // Packed: 80 registers, for 768 threads, spill where a segment is wide; of 16-bit tensors the
  // compiler takes 96 by itself, and spills a little when it is told any number.
  if (s.packed != 0 && bytes < 8 * s.columns) return 0;
  if (s.packed != 0 && need <= 88) return std::max(1, 640 / s.threads());
  return need <= 128 ? std::max(1, 512 / s.threads()) : 0;
}

// A tile of whole segments where they are narrow, of a part of one where they are wide; about 256
// threads, in whole warps where that costs few rows.
void set_tile(const Task& task, CudaSchedule& s) {
  const Problem& p = task.problem;
  constexpr std::int64_t kThreads = 256;
  constexpr std::int64_t kWarp = 32;
  const bool last = p.layout == Layout::channels_last;
  const std::int64_t segment = last ? p.segment_width() / s.columns : kWarp;
  // One row of threads has to find room for its sums.
  const std::int64_t room = kSharedBytes / 8 / std::max(1, task.sum_terms());
  std::int64_t across = segment;
  const auto divide = [&](std::int64_t widest) {
    across = std::min(segment, widest);
    while (segment % across != 0) --across;
  };
  if (segment > std::min(kThreads, room)) {
    divide(std::min(kThreads, room));
    // A width with a large prime factor: rather a wide block than one that reads memory in pieces.
    if (across < kWarp) divide(std::min(kMostThreads, room));
  } else if (last) {
    const std::int64_t segments = p.segments();
    for (std::int64_t k = 1; k <= segments && k * segment <= 64; ++k) {
      if (segments % k == 0) across = k * segment;
    }
  }
  s.tile_columns = int(across);
  s.tile_rows = int(std::max<std::int64_t>(1, kThreads / across));
  // Whole warps where that costs no more than half of the rows: lanes past the last thread idle.
  for (int rows = s.tile_rows; 2 * rows > s.tile_rows; --rows) {
    if (std::int64_t{s.tile_columns} * rows % kWarp != 0) continue;
    s.tile_rows = rows;
    break;
  }
  while (s.tile_rows > 1 && shared_bytes(task, s) > kSharedBytes) --s.tile_rows;
}

// The same for every target where gpu_to_gpu is asked for.
CudaSchedule default_cuda(const Task& task, Determinism determinism) {
  const Problem& p = task.problem;
  const bool same_bits = determinism == Determinism::gpu_to_gpu;
  CudaSchedule s;
  // Two units of 1/Q in f32 are nothing beside half a unit of a 16-bit tensor.
  const bool coarse = std::min(size_of(p.x_type), size_of(p.y_type)) == 2;
  if (coarse) s.division = CudaSchedule::approximate;
  if (p.math_type() == Type::f64 || same_bits) s.division = CudaSchedule::ieee;
  if (task.sums() && same_bits) s.slab = kSameBitsSlab;
  if (task.sums()) {
    s.run = 16;
    s.sums = CudaSchedule::two_pass;
  }
  // As wide as 16 bytes of the wider tensor and the group allow.
  const int size = int(std::max(size_of(p.x_type), size_of(p.y_type)));
  s.columns = std::max(1, 16 / size);
  const bool last = p.layout == Layout::channels_last;
  while (last && p.segment_width() % s.columns != 0) s.columns /= 2;
  set_tile(task, s);
  if (task.sum_terms() > 0) s.min_blocks = blocks_for_registers(task, s);
  return s;
}

// Half of the arithmetic where the device has f32x2: sm_100 and sm_103; later ones issue two
// instructions for it. A sum then takes every other column, so runs of twice the rows add as many
// terms.
void use_packed(const Task& task, const Target& target, CudaSchedule& s) {
  const bool possible = target.compute_capability() / 10 == kPackedArchitecture / 10 &&
                        s.columns % 2 == 0 && task.problem.math_type() == Type::f32;
  if (!possible) return;
  s.packed = 1;
  s.run *= 2;
  if (task.sum_terms() > 0) s.min_blocks = blocks_for_registers(task, s);
}

}  // namespace

int cuda_widest_access(const CudaSchedule& schedule, const Target& target) {
  const bool hints = schedule.loads != 0 || schedule.stores != 0;
  return target.compute_capability() >= kWideAccessArchitecture && !hints ? 32 : 16;
}

CudaSchedule narrow_schedule(const Task& task, const CudaSchedule& schedule) {
  CudaSchedule s = schedule;
  s.columns = 1;
  if (s.packed != 0) {
    s.packed = 0;
    if (s.run > 0) s.run = std::max(s.rows_in_flight, s.run / 2);
  }
  s.min_blocks = 0;
  set_tile(task, s);
  return s;
}

std::string_view to_string(Determinism determinism) {
  return kDeterminisms.at(std::size_t(determinism));
}
Determinism parse_determinism(std::string_view text) {
  return Determinism(index_of_word(kDeterminisms, text, "determinism"));
}

std::span<const Parameter<CpuSchedule>> cpu_parameters() { return kCpuParameters; }
std::span<const Parameter<CudaSchedule>> cuda_parameters() { return kCudaParameters; }

namespace {
std::string print(const Schedule& schedule, bool compiled) {
  if (const auto* cpu = std::get_if<CpuSchedule>(&schedule)) {
    return print(*cpu, cpu_parameters(), compiled);
  }
  return print(std::get<CudaSchedule>(schedule), cuda_parameters(), compiled);
}
}  // namespace

std::string compiled_text(const Schedule& schedule) { return print(schedule, true); }

std::string to_string(const Schedule& schedule) {
  return print(schedule, true) + "@" + print(schedule, false);
}

Schedule parse_schedule(std::string_view text, const Target& target) {
  if (target.cuda()) {
    return parse<CudaSchedule>(text, cuda_parameters(),
                               "v4_r2_x24_y10_newton_run16_twopass@blocks4");
  }
  return parse<CpuSchedule>(text, cpu_parameters(), "v8_u1_r4_bcast_run64_split_nt@slice256");
}

std::string why_illegal(const Task& task, const Schedule& schedule, const Target& target,
                        Determinism determinism) {
  const auto* cpu = std::get_if<CpuSchedule>(&schedule);
  if ((cpu == nullptr) != target.cuda()) return "the schedule is for another kind of device";
  return cpu != nullptr
             ? why_illegal_cpu(task, *cpu, determinism)
             : why_illegal_cuda(task, std::get<CudaSchedule>(schedule), target, determinism);
}

Schedule default_schedule(const Task& task, const Target& target, std::int64_t rows,
                          std::int64_t inner, Determinism determinism) {
  if (target.cuda()) {
    CudaSchedule s = default_cuda(task, determinism);
    if (determinism != Determinism::gpu_to_gpu) use_packed(task, target, s);
    return s;
  }
  return default_cpu(task, target, rows, inner, determinism);
}

}  // namespace grkan
