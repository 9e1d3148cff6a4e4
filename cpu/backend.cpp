#include "cpu/backend.h"

#include <algorithm>
#include <array>

#include "cpu/slices.h"
#include "cpu/workspace.h"

namespace grkan {
namespace {

// By bench_starting_points from recorded tables of one machine with AVX-512.
constexpr std::array<std::string_view, 8> kStartsWithoutSums = {
    "v8_u1_r1_bcast_cached@slice64",       "v8_u1_r1_expand_cached@slice256",
    "v8_u2_r1_bcast_cached@slice256",      "v8_u4_r8_bcast_cached_pf2@slice256",
    "v8_u1_r4_expand_cached_pf1@slice256", "v8_u4_r1_bcast_cached_pf1@slice256",
    "v8_u2_r1_bcast_cached_pf4@slice256",  "v8_u4_r1_bcast_cached@slice256",
};
constexpr std::array<std::string_view, 8> kStartsWithSums = {
    "v8_u1_r8_bcast_run64_fused_cached_pf1@slice256",
    "v8_u4_r1_bcast_run64_fused_cached@slice256",
    "v8_u1_r16_expand_run64_fused_cached_pf1@slice256",
    "v8_u2_r16_bcast_run32_fused_cached_pf2@slice256",
    "v8_u1_r1_bcast_run64_fused_cached@slice64",
    "v8_u2_r8_bcast_run64_fused_cached_pf1@slice256",
    "v8_u4_r8_bcast_run64_fused_cached_pf1@slice256",
    "v8_u4_r16_bcast_run64_fused_cached@slice256",
};

}  // namespace

std::string_view CpuBackend::example() const { return "v8_u1_r4_bcast_run64_split_nt@slice256"; }

std::string CpuBackend::why_pointless(const Task& task, const Schedule& schedule,
                                      const Schedule& standard, const Target& target,
                                      std::int64_t rows, std::int64_t inner) const {
  const CpuSchedule s(schedule);
  const CpuSchedule usual(standard);
  const Problem& p = task.problem;
  const bool last = p.layout == Layout::channels_last;
  const std::int64_t width = p.segment_width() * (last ? 1 : inner);
  const int lanes = target.vector_bits() / 8 / int(size_of(p.math_type()));
  if (s.coefficients == CpuSchedule::broadcast) {
    if (s.vector > 1 && std::int64_t(s.vector) * s.unroll > width) {
      return "vectors of one step are wider than a segment";
    }
    if (s.vector < lanes && width % lanes == 0) return "vectors are under a register";
    if (s.vector > lanes) return "vectors are over a register: unrolling does the same";
  } else {
    if (s.vector > p.channels) return "vectors are wider than all channels";
    if (s.vector < lanes && p.channels >= lanes) return "expanded vectors are under a register";
  }
  if (s.rows > 1 && s.rows / 2 >= rows) return "blocks have more rows than there are";
  if (s.stores != usual.stores && s.stores == CpuSchedule::nontemporal &&
      output_stays_cached(task, rows, inner)) {
    return "stores past the caches: the next layer finds an output this small in them";
  }
  // All such slices are one; the default's stands for them.
  if (s.slice_rows != usual.slice_rows && s.slice_rows / 2 >= rows) {
    return "slices have more rows than there are";
  }
  return {};
}

std::vector<Schedule> CpuBackend::starting_points(const Task& task, const Target& target) const {
  std::vector<Schedule> points;
  for (const std::string_view text : task.sums() ? kStartsWithSums : kStartsWithoutSums) {
    points.push_back(parse_schedule(text, target));
  }
  return points;
}

// A vector is as long as a problem lets it be; the output's size decides about stores.
int CpuBackend::distance_from_start(const Schedule& candidate, const Schedule& start,
                                    const Schedule& standard) const {
  const CpuSchedule s(candidate);
  CpuSchedule from(start);
  from.vector = s.vector;
  from.stores = CpuSchedule(standard).stores;
  return distance(s, from);
}

Arithmetic CpuBackend::arithmetic(const Task& task, const Schedule& schedule) const {
  return {.run = task.sums() ? double(CpuSchedule(schedule).run) : 0};
}

WorkspaceBound CpuBackend::workspace_bound(const Task& task, const Target& /*target*/,
                                           int threads) const {
  const Problem& p = task.problem;
  const bool last = p.layout == Layout::channels_last;
  std::size_t planes = 0;
  if (last) {
    planes = cpu_plane_bytes(p, p.numerator_terms()) + cpu_plane_bytes(p, p.denominator_terms());
  } else if (p.half_coefficients) {
    planes = cpu_widened_bytes(p.numerator_groups, p.numerator_terms()) +
             cpu_widened_bytes(p.denominator_groups, p.denominator_terms());
  }
  if (partial_doubles(task) == 0) return {.fixed = planes};
  std::size_t area = 0;
  std::size_t areas = 0;
  for (int vector = 1; vector <= kCpuWidestVector; vector *= 2) {
    for (const bool expanded : {false, true}) {
      if (expanded && !last) continue;
      const std::int64_t doubles =
          cpu_area_doubles(cpu_units(p, expanded, vector), task.sum_terms(), vector);
      area = std::max(area, cpu_area_bytes(doubles));
      areas =
          std::max(areas, std::size_t(cpu_most_areas(doubles, threads)) * cpu_area_bytes(doubles));
    }
  }
  // A call has no more slices than rows and elements of inner, a slice one area.
  return {.fixed = planes + cpu_partial_bytes(task, SliceShape::make(task, {}).most_slices) + areas,
          .few = planes,
          .per_row = cpu_partial_bytes(task, 1) + area};
}

}  // namespace grkan
