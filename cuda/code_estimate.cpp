#include "cuda/code_estimate.h"

#include <algorithm>
#include <cmath>

#include "core/operations.h"

namespace grkan {
namespace {

constexpr double kWarp = 32;
constexpr double kSector = 32;
constexpr double kLine = 128;
constexpr double kRegisterFile = 65536;  // of a multiprocessor
constexpr double kMostRegisters = 255;

double words(Type type, double values) { return values * double(size_of(type)) / 4; }

bool half(Type type) { return size_of(type) == 2; }

// What a thread holds beside the rows in flight: addresses and counts, and for an element its
// powers and slopes.
double registers_asked(const GpuCall& call) {
  const Problem& p = call.task.problem;
  const CudaSchedule& s = call.schedule;
  const bool backward = call.task.backward();
  const double elements = double(s.columns) * s.rows_in_flight;
  const double in_flight = words(p.x_type, elements) + (backward ? words(p.y_type, elements) : 0);
  const double coefficients = p.numerator_terms() + p.denominator_terms();
  const double values = coefficients + (call.task.sums() ? call.task.sum_terms() : 0);
  const double others = (backward ? 27 : 22) + (s.polynomial == CudaSchedule::estrin ? 8 : 0);
  return others + words(p.math_type(), values) + 1.1 * in_flight;
}

// The arithmetic of an element, in instructions of the math type.
double arithmetic(const GpuCall& call) {
  const Operations element = element_operations(call.task);
  const Problem& p = call.task.problem;
  const CudaSchedule& s = call.schedule;
  double all = element.multiplies;
  if (call.task.sums()) {
    const Operations sums = sum_operations(call.task);
    all += sums.multiplies + sums.others;
  }
  if (element.divisions > 0) {
    all += 1;  // the product with the reciprocal
    const bool f64 = p.math_type() == Type::f64;
    if (s.division == CudaSchedule::newton) all += f64 ? 4 : 2;
    if (s.division == CudaSchedule::ieee) all += f64 ? 8 : 4;
  }
  // Backward with sums has the powers anyway.
  const double powers = std::max(0.0, double(p.numerator_degree) + p.denominator_degree - 2) /
                        (call.task.sums() ? 2 : 1);
  if (s.polynomial == CudaSchedule::powers) all += powers;
  if (s.polynomial == CudaSchedule::estrin) all += call.task.backward() ? 6 : 4;
  return all;
}

// Instructions of an element, with what a vector and a row cost spread over their elements.
WarpInstructions of_element(const GpuCall& call) {
  const Problem& p = call.task.problem;
  const CudaSchedule& s = call.schedule;
  const bool backward = call.task.backward();
  const bool writes = !backward || call.task.gradients.dx;
  const double columns = s.columns;
  const bool halves = half(p.x_type) || half(p.y_type);
  const bool f64 = p.math_type() == Type::f64;
  WarpInstructions n;
  const double all = arithmetic(call);
  if (f64) {
    n.fp64 = all;
  } else if (s.packed != 0) {
    n.packed = all / 2;
  } else {
    n.fp32 = all;
  }
  const bool divides = p.denominator_terms() > 0;
  n.special = divides ? 1 : 0;
  n.other = (backward ? 6 : 4) / columns;
  if (divides && s.division == CudaSchedule::ieee) n.other += 8;
  n.integer = backward ? 1.5 + 10 / columns : 0.4 + 7 / columns;
  if (halves) n.integer += backward ? 2.5 : 1;
  if (halves && writes) n.convert = columns > 1 ? 0.5 : 1;
  const double accesses = (backward ? 2 : 1) + (writes ? 1 : 0);
  n.memory = accesses / columns;
  if (call.task.sums()) n.memory += 3.4 * call.task.sum_terms() / (s.run * columns);
  return n;
}

WarpInstructions plus(WarpInstructions a, const WarpInstructions& b, double times) {
  for (double WarpInstructions::* pipe :
       {&WarpInstructions::fp32, &WarpInstructions::packed, &WarpInstructions::fp64,
        &WarpInstructions::special, &WarpInstructions::convert, &WarpInstructions::integer,
        &WarpInstructions::memory, &WarpInstructions::other}) {
    a.*pipe += times * b.*pipe;
  }
  return a;
}

}  // namespace

CodeEstimate estimate_main(const GpuCall& call, const CudaLaunch& launch) {
  const Problem& p = call.task.problem;
  const CudaSchedule& s = call.schedule;
  const bool sums = call.task.sums();
  const double terms = call.task.sum_terms();
  const double blocks = double(launch.grid_x) * launch.grid_y;
  const double threads = launch.threads;
  const double warps = blocks * std::ceil(threads / kWarp);
  const double elements = double(call.rows) * double(call.inner) * double(p.channels);
  // Idle lanes are issued too.
  const double of_warps = elements / kWarp * std::ceil(threads / kWarp) * kWarp / threads;

  CodeEstimate code;
  const double asked = registers_asked(call);
  double given = std::min(asked, kMostRegisters);
  if (s.min_blocks > 0) given = std::min(given, kRegisterFile / (s.min_blocks * threads));
  code.registers = std::clamp(int(std::ceil(given / 8)) * 8, 16, int(kMostRegisters));
  if (sums) code.shared_bytes = std::size_t(threads * terms) * 2 * size_of(p.math_type());
  if (sums && s.accumulator == CudaSchedule::f64)
    code.shared_bytes = std::size_t(threads * terms) * 8;

  WarpInstructions one = of_element(call);
  // What does not fit goes out and comes back, once a row of a thread.
  one.memory += 1.5 * std::max(0.0, asked - 4 - given) / s.columns;
  code.facts.instructions = plus({}, one, of_warps);
  // A warp begins with coefficients and addresses, and ends with its block's sums.
  WarpInstructions ends{
      .integer = 60, .memory = double(p.numerator_terms() + p.denominator_terms()), .other = 20};
  if (sums) {
    ends.integer += 6 * terms;
    ends.memory += 8 * terms;
    ends.fp64 += 6 * terms;
    ends.other += 4 * terms;
  }
  code.facts.instructions = plus(code.facts.instructions, ends, warps);

  const double accesses = (call.task.backward() ? 2.0 : 1.0) +
                          (!call.task.backward() || call.task.gradients.dx ? 1.0 : 0.0);
  code.facts.requests =
      accesses / s.columns * of_warps + warps * (p.numerator_terms() + p.denominator_terms());
  if (sums) {
    code.facts.shared_passes = 2.5 * terms / (s.run * s.columns) * of_warps + 12 * terms * warps;
    if (s.sums == CudaSchedule::last_block)
      code.facts.atomic_passes = code.facts.most_line_passes = blocks;
    if (s.sums == CudaSchedule::block_atomics) {
      const double added = double(cuda_tile(call.task, s).segments) * terms * blocks;
      const double gradients = double(p.numerator_groups * p.numerator_terms() +
                                      p.denominator_groups * p.denominator_terms());
      code.facts.atomic_passes = added * 4 / kSector;
      code.facts.most_line_passes = code.facts.atomic_passes * std::min(1.0, kLine / 4 / gradients);
    }
  }
  return code;
}

CodeEstimate estimate_second_pass(const CudaLaunch& launch, double steps) {
  const double warps =
      double(launch.second_pass_blocks) * std::ceil(launch.second_pass_threads / kWarp);
  CodeEstimate code;
  code.facts.instructions = {.fp64 = warps * (6 + 4 * steps),
                             .integer = warps * (50 + 10 * steps),
                             .memory = warps * (15 + 4 * steps),
                             .other = warps * (30 + 6 * steps)};
  code.facts.requests = warps * (4 + 4 * steps);
  code.facts.shared_passes = warps * 12;
  return code;
}

}  // namespace grkan
