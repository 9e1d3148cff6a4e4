#include "cpu/workspace.h"

#include <algorithm>

#include "cpu/slices.h"

namespace grkan {
namespace {

// Memory of all areas of a call, unless 8 of them need more.
constexpr std::int64_t kAreaBytes = std::int64_t{4} << 20;
constexpr std::int64_t kMostAreas = 64;  // bits of the mask that hands them out

}  // namespace

std::size_t cpu_aligned(std::size_t bytes) {
  return (bytes + kCpuPartAlignment - 1) / kCpuPartAlignment * kCpuPartAlignment;
}

std::size_t cpu_plane_bytes(const Problem& problem, int terms) {
  return cpu_aligned(std::size_t(problem.channels) * std::size_t(terms) *
                     size_of(problem.math_type()));
}

std::size_t cpu_widened_bytes(std::int64_t groups, int terms) {
  return cpu_aligned(std::size_t(groups) * std::size_t(terms) * sizeof(float));
}

std::size_t cpu_partial_bytes(const Task& task, std::int64_t slices) {
  return cpu_aligned(std::size_t(slices * partial_doubles(task)) * sizeof(double));
}

std::int64_t cpu_units(const Problem& problem, bool expanded, int vector) {
  return expanded ? (problem.channels + vector - 1) / vector : problem.segments();
}

std::int64_t cpu_area_doubles(std::int64_t units, int sum_terms, int vector) {
  return units * sum_terms * 2 * vector;
}

std::size_t cpu_area_bytes(std::int64_t doubles) {
  return cpu_aligned(std::size_t(doubles) * sizeof(double));
}

std::int64_t cpu_most_areas(std::int64_t doubles, int threads) {
  const std::int64_t most = std::clamp<std::int64_t>(
      kAreaBytes / (doubles * std::int64_t{sizeof(double)}), 8, kMostAreas);
  return std::min<std::int64_t>(most, threads);
}

}  // namespace grkan
