#include "cpu/features.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "cpu/slices.h"

namespace grkan {
namespace {

using Call = CpuEstimate;

const CpuSchedule& schedule(const Call& c) { return c.work.schedule; }
const Problem& problem(const Call& c) { return c.work.task.problem; }

double x_bytes(const Call& c) { return double(size_of(problem(c).x_type)); }
double y_bytes(const Call& c) { return double(size_of(problem(c).y_type)); }
double math_bytes(const Call& c) { return double(size_of(problem(c).math_type())); }
bool last(const Call& c) { return problem(c).layout == Layout::channels_last; }
// Elements of a segment side by side in memory.
double width(const Call& c) {
  return double(problem(c).segment_width()) * (last(c) ? 1.0 : double(c.work.inner));
}
double row_elements(const Call& c) {
  return double(problem(c).channels) * (last(c) ? 1.0 : double(c.work.inner));
}
double elements(const Call& c) {
  return double(c.work.rows) * double(c.work.inner) * double(problem(c).channels);
}
bool writes(const Call& c) { return !c.work.task.backward() || c.work.task.gradients.dx; }
double read_bytes(const Call& c) {
  return c.work.task.backward() ? x_bytes(c) + y_bytes(c) : x_bytes(c);
}
double written_bytes(const Call& c) {
  return !writes(c) ? 0 : c.work.task.backward() ? x_bytes(c) : y_bytes(c);
}
double lanes(const Call& c) { return c.work.target.vector_bits() / 8.0 / math_bytes(c); }
bool expanded(const Call& c) { return schedule(c).coefficients == CpuSchedule::expanded; }
double step(const Call& c) { return double(schedule(c).vector) * schedule(c).unroll; }
// Steps of a segment's row (expanded: of a whole row), those for columns past the last vector
// included.
double steps(const Call& c) {
  const double columns = expanded(c) ? row_elements(c) : width(c);
  return std::floor(columns / step(c)) + std::fmod(columns, step(c));
}
double share(const Call& c, Resource resource) {
  return log_share(c.physics.part_ns(resource), c.physics.ns);
}
double terms(const Call& c) {
  return problem(c).numerator_terms() + problem(c).denominator_terms();
}

constexpr std::array kFeatures = {
    // the schedule
    Feature<Call>{"log2_vector", [](const Call& c) { return log2_of(schedule(c).vector); }},
    Feature<Call>{"log2_unroll", [](const Call& c) { return log2_of(schedule(c).unroll); }},
    Feature<Call>{"log2_rows", [](const Call& c) { return log2_of(schedule(c).rows); }},
    Feature<Call>{"expanded", [](const Call& c) { return expanded(c) ? 1.0 : 0.0; }},
    Feature<Call>{"run", [](const Call& c) { return double(schedule(c).run); }},
    Feature<Call>{"fused", [](const Call& c) { return double(schedule(c).backward); }},
    Feature<Call>{"stores", [](const Call& c) { return double(schedule(c).stores); }},
    Feature<Call>{"prefetch", [](const Call& c) { return double(schedule(c).prefetch); }},
    Feature<Call>{"slice_rows", [](const Call& c) { return double(schedule(c).slice_rows); }},
    // the task
    Feature<Call>{"backward", [](const Call& c) { return c.work.task.backward() ? 1.0 : 0.0; }},
    Feature<Call>{"sum_terms", [](const Call& c) { return double(c.work.task.sum_terms()); }},
    Feature<Call>{"writes", [](const Call& c) { return writes(c) ? 1.0 : 0.0; }},
    Feature<Call>{"numerator_terms", [](const Call& c) { return double(problem(c).numerator_terms()); }},
    Feature<Call>{"denominator_terms", [](const Call& c) { return double(problem(c).denominator_terms()); }},
    Feature<Call>{"denominator_operations", [](const Call& c) {
      const Denominator& d = problem(c).denominator();
      return double(d.for_q.multiplies + d.for_q.others + d.for_slope.multiplies + d.for_slope.others);
    }},
    Feature<Call>{"signs", [](const Call& c) { return problem(c).denominator().takes_signs() ? 1.0 : 0.0; }},
    Feature<Call>{"x_bytes", x_bytes},
    Feature<Call>{"y_bytes", y_bytes},
    Feature<Call>{"math_bytes", math_bytes},
    Feature<Call>{"bf16", [](const Call& c) {
      const Problem& p = problem(c);
      return p.x_type == Type::bf16 || p.y_type == Type::bf16 ? 1.0 : 0.0;
    }},
    Feature<Call>{"channels_last", [](const Call& c) { return last(c) ? 1.0 : 0.0; }},
    Feature<Call>{"lanes", lanes},
    Feature<Call>{"threads", [](const Call& c) { return double(c.work.threads); }},
    // sizes
    Feature<Call>{"log2_width", [](const Call& c) { return log2_of(width(c)); }},
    Feature<Call>{"log2_segments", [](const Call& c) { return log2_of(double(problem(c).segments())); }},
    Feature<Call>{"log2_row_elements", [](const Call& c) { return log2_of(row_elements(c)); }},
    Feature<Call>{"log2_rows_of_call", [](const Call& c) { return log2_of(double(c.work.rows)); }},
    Feature<Call>{"log2_read_bytes", [](const Call& c) { return log2_of(elements(c) * read_bytes(c)); }},
    Feature<Call>{"log2_written_bytes", [](const Call& c) { return log2_of(elements(c) * written_bytes(c)); }},
    Feature<Call>{"log2_row_bytes", [](const Call& c) { return log2_of(row_elements(c) * read_bytes(c)); }},
    // how both fit
    Feature<Call>{"log2_steps", [](const Call& c) { return log2_of(steps(c)); }},
    Feature<Call>{"idle_columns", [](const Call& c) {
      const double columns = expanded(c) ? row_elements(c) : width(c);
      return steps(c) * step(c) / columns - 1;
    }},
    Feature<Call>{"registers_of_step", [](const Call& c) { return step(c) / lanes(c); }},
    Feature<Call>{"log2_step_bytes", [](const Call& c) { return log2_of(step(c) * x_bytes(c)); }},
    Feature<Call>{"log2_block_elements", [](const Call& c) { return log2_of(schedule(c).rows * width(c)); }},
    Feature<Call>{"log2_block_step", [](const Call& c) { return log2_of(schedule(c).rows * step(c)); }},
    Feature<Call>{"log2_ahead_bytes", [](const Call& c) {
      return log2_of(schedule(c).rows * row_elements(c) * read_bytes(c) * schedule(c).prefetch);
    }},
    Feature<Call>{"log2_block_bytes", [](const Call& c) {
      return log2_of(schedule(c).rows * row_elements(c) * read_bytes(c));
    }},
    Feature<Call>{"coefficient_loads", [](const Call& c) {
      return terms(c) / (schedule(c).rows * (expanded(c) ? double(schedule(c).vector) : width(c)));
    }},
    Feature<Call>{"sum_registers", [](const Call& c) {
      return c.work.task.sum_terms() * (expanded(c) ? double(schedule(c).vector) : step(c)) / lanes(c);
    }},
    Feature<Call>{"slices_a_thread", [](const Call& c) {
      const Slices s = make_slices(SliceShape::make(c.work.task, schedule(c)), c.work.rows, c.work.inner);
      return double(s.count()) / c.work.threads;
    }},
    Feature<Call>{"uneven", [](const Call& c) {
      const Slices s = make_slices(SliceShape::make(c.work.task, schedule(c)), c.work.rows, c.work.inner);
      const double each = double(s.count()) / c.work.threads;
      return std::ceil(each) / each;
    }},
    // The physics.
    Feature<Call>{"beside_floor",
                  [](const Call& c) { return -log_share(c.physics.floor_ns, c.physics.ns); }},
    Feature<Call>{"dram", [](const Call& c) { return share(c, Resource::dram); }},
    Feature<Call>{"latency", [](const Call& c) { return share(c, Resource::latency); }},
    Feature<Call>{"l2", [](const Call& c) { return share(c, Resource::l2); }},
    Feature<Call>{"issue", [](const Call& c) { return share(c, Resource::issue); }},
    Feature<Call>{"multiplies", [](const Call& c) {
      return std::max(share(c, Resource::fp32), share(c, Resource::fp64));
    }},
    Feature<Call>{"division", [](const Call& c) { return share(c, Resource::special); }},
    Feature<Call>{"convert", [](const Call& c) { return share(c, Resource::convert); }},
    Feature<Call>{"vector_pipes", [](const Call& c) { return share(c, Resource::integer); }},
    Feature<Call>{"first_level", [](const Call& c) { return share(c, Resource::shared); }},
    Feature<Call>{"dependencies", [](const Call& c) { return share(c, Resource::dependencies); }},
    Feature<Call>{"launch", [](const Call& c) { return share(c, Resource::launch); }},
};

}  // namespace

std::span<const Feature<CpuEstimate>> cpu_features() { return kFeatures; }

}  // namespace grkan
