// Which kernel serves a call, and its grid. Plain C++ without CUDA.
#include "launch.h"

#include <algorithm>
#include <numeric>

namespace grkan_extension {
namespace {

constexpr std::int64_t kMostSlabs = 2048;
constexpr std::int64_t kMaxGridX = 2147483647;
constexpr std::int64_t kMaxGridY = 65535;
constexpr std::int64_t kMaxRows = std::int64_t{1} << 31;
constexpr std::int64_t kMaxGroupStep = std::int64_t{1} << 30;
// A thread that gets fewer rows spends too much on loading coefficients, or on adding sums.
constexpr std::int64_t kRowsWorthAThread = 4;
constexpr std::int64_t kRowsWorthSums = 8;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t size_of(Type type) {
  if (type == f64) return 8;
  return type == f32 ? 4 : 2;
}

const char* name_of(Type type) {
  constexpr const char* kNames[] = {"f32", "f64", "f16", "bf16"};
  return kNames[type];
}

// Runs of channels that share both coefficients, and their width.
std::int64_t segments_of(const Problem& p) {
  return std::lcm(p.numerator_groups, p.denominator_groups);
}
std::int64_t segment_width(const Problem& p) { return p.channels / segments_of(p); }

// How many times one size is the other.
double ratio(std::int64_t a, std::int64_t b) {
  const auto [small, large] =
      std::minmax({std::max<std::int64_t>(a, 1), std::max<std::int64_t>(b, 1)});
  return double(large) / double(small);
}

// How far a call is from the sizes that a kernel was chosen for.
double distance(const Kernel& kernel, std::int64_t rows, std::int64_t inner) {
  return ratio(rows, std::clamp(rows, kernel.rows[0], kernel.rows[1])) * ratio(inner, kernel.inner);
}

int count(unsigned gradients) {
  return int(gradients & 1U) + int((gradients >> 1U) & 1U) + int((gradients >> 2U) & 1U);
}

bool serves(const Kernel& kernel, unsigned gradients) {
  if (gradients == 0) return kernel.gradients == 0;
  return (kernel.gradients & gradients) == gradients;
}

bool fits(const Kernel& kernel, std::int64_t inner) {
  return segment_width(kernel.problem) * inner % kernel.launch.columns == 0;
}

std::int64_t row_blocks(const Kernel& kernel, std::int64_t tiles, std::int64_t rows,
                        int multiprocessors) {
  const Launch& s = kernel.launch;
  const bool sums = (kernel.gradients & (kDa | kDb)) != 0;
  const std::int64_t worth = sums ? kRowsWorthSums : kRowsWorthAThread;
  const std::int64_t groups = std::max<std::int64_t>(1, rows / s.rows_in_flight);
  const std::int64_t most = std::min(ceil_div(groups, s.tile_rows), kMaxGridY);
  const std::int64_t slabs = std::max<std::int64_t>(1, kMostSlabs / tiles);
  std::int64_t blocks = s.slab > 0 ? std::min(slabs, ceil_div(rows, s.slab)) : 1;
  for (std::int64_t wave = s.slab > 0 ? 0 : s.blocks; wave >= 1; --wave) {
    blocks = std::max<std::int64_t>(1, wave * multiprocessors / tiles);
    if (rows >= blocks * s.tile_rows * worth) break;
  }
  const std::int64_t run = std::max(1, s.run / s.rows_in_flight);
  return std::max<std::int64_t>(1, std::min({blocks, most, kMaxGroupStep / run / s.tile_rows}));
}

}  // namespace

bool Problem::operator==(const Problem& other) const {
  return numerator_degree == other.numerator_degree &&
         denominator_degree == other.denominator_degree && variant == other.variant &&
         channels == other.channels && numerator_groups == other.numerator_groups &&
         denominator_groups == other.denominator_groups && x == other.x && y == other.y &&
         coefficients == other.coefficients && channels_first == other.channels_first;
}

std::string to_string(const Problem& p) {
  std::string text = "p" + std::to_string(p.numerator_degree) + "q" +
                     std::to_string(p.denominator_degree) + "-" + p.variant + "-c" +
                     std::to_string(p.channels) + "-g" + std::to_string(p.numerator_groups);
  if (p.denominator_groups != p.numerator_groups) {
    text += "x" + std::to_string(p.denominator_groups);
  }
  text += std::string("-") + name_of(p.x);
  const bool own = size_of(p.coefficients) == 2;
  if (p.y != p.x || own) text += std::string(":") + name_of(p.y);
  if (own) text += std::string(":") + name_of(p.coefficients);
  return text + (p.channels_first ? "-first" : "-last");
}

const Kernel* find(const Problem& problem, unsigned gradients, int capability, std::int64_t rows,
                   std::int64_t inner) {
  const Kernel* best = nullptr;
  const auto better = [&](const Kernel& a, const Kernel& b) {
    if (a.capability != b.capability) return a.capability > b.capability;
    if (a.gradients != b.gradients) return count(a.gradients) < count(b.gradients);
    return distance(a, rows, inner) < distance(b, rows, inner);
  };
  for (int i = 0; i < kKernelCount; ++i) {
    const Kernel& kernel = kKernels[i];
    if (kernel.task[0] == '\0' || kernel.capability > capability) continue;
    if (!(kernel.problem == problem) || !serves(kernel, gradients)) continue;
    if (best == nullptr || better(kernel, *best)) best = &kernel;
  }
  if (best != nullptr && !fits(*best, inner)) best = &kKernels[best->narrow];
  return best;
}

std::string why_none(const Problem& problem, unsigned gradients, int capability) {
  std::string others;
  std::string last;
  int least = 0;
  for (int i = 0; i < kKernelCount; ++i) {
    const Kernel& kernel = kKernels[i];
    if (kernel.problem == problem && serves(kernel, gradients)) {
      least = least == 0 ? kernel.capability : std::min(least, kernel.capability);
    }
    if (kernel.task[0] == '\0' || last == kernel.task) continue;
    last = kernel.task;
    if (others.find(last) == std::string::npos) others += (others.empty() ? "" : ", ") + last;
  }
  if (least > 0) {
    return "the kernels of " + to_string(problem) + " are for compute capability " +
           std::to_string(least / 10) + "." + std::to_string(least % 10) +
           " and later, but this device has " + std::to_string(capability / 10) + "." +
           std::to_string(capability % 10);
  }
  std::string wanted = gradients == 0 ? "forward" : "backward";
  if ((gradients & kDx) != 0) wanted += ".dx";
  if ((gradients & kDa) != 0) wanted += ".da";
  if ((gradients & kDb) != 0) wanted += ".db";
  return "no kernel was made for " + wanted + "/" + to_string(problem) + "; there are: " + others +
         "; list it too and make the folder again (README.md has the command)";
}

bool needs_alignment(const Kernel& kernel) { return kernel.launch.columns > 1; }

Grid grid_of(const Kernel& kernel, std::int64_t rows, std::int64_t inner, int multiprocessors) {
  const Launch& s = kernel.launch;
  const std::int64_t segments = segments_of(kernel.problem);
  const std::int64_t width = segment_width(kernel.problem) * inner;
  const std::int64_t tile = std::int64_t{s.tile_columns} * s.columns;
  const std::int64_t segment_tiles = s.tile_segments > 1 ? 1 : ceil_div(width, tile);
  const std::int64_t tiles = ceil_div(segments, s.tile_segments) * segment_tiles;
  Grid grid;
  if (rows >= kMaxRows || tiles > kMaxGridX) return grid;
  grid.x = unsigned(tiles);
  grid.y = unsigned(row_blocks(kernel, tiles, rows, multiprocessors));
  if (s.sum_terms == 0 || s.sums == blockatomics) return grid;
  const std::size_t sums = std::size_t(s.sum_terms * segments * segment_tiles) * sizeof(double);
  grid.workspace = sums * grid.y;
  if (s.sums == lastblock) {
    grid.tile_sums = grid.workspace;
    grid.counters = grid.tile_sums + sums;
    grid.counter_bytes = (std::size_t{grid.x} + 1) * sizeof(unsigned);
    grid.workspace = grid.counters + grid.counter_bytes;
  }
  return grid;
}

CudaCall argument_of(const Kernel& kernel, const Grid& grid, const Call& call, void* workspace) {
  const Problem& p = kernel.problem;
  const Launch& s = kernel.launch;
  const std::int64_t elements = p.channels * call.inner;
  CudaCall c{};
  c.x = call.x;
  c.dy = call.dy;
  c.out = call.out;
  c.a = call.a;
  c.b = call.b;
  c.partial = static_cast<double*>(workspace);
  c.da = call.da;
  c.db = call.db;
  if (s.sums == lastblock) {
    char* bytes = static_cast<char*>(workspace);
    c.tile_sums = reinterpret_cast<double*>(bytes + grid.tile_sums);
    c.counters = reinterpret_cast<unsigned*>(bytes + grid.counters);
  }
  c.rows = call.rows;
  c.width = segment_width(p) * call.inner;
  c.x_stride = elements * size_of(p.x);
  c.dy_stride = elements * size_of(p.y);
  c.out_stride = kernel.gradients == 0 ? c.dy_stride : c.x_stride;
  c.row_blocks = grid.y;
  c.group_step = grid.y * unsigned(s.tile_rows);
  c.groups = unsigned(call.rows / s.rows_in_flight);
  const std::int64_t step_rows = std::int64_t{c.group_step} * s.rows_in_flight;
  c.x_step = step_rows * c.x_stride;
  c.dy_step = step_rows * c.dy_stride;
  c.out_step = step_rows * c.out_stride;
  return c;
}

}  // namespace grkan_extension
