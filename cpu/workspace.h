// The parts of a CPU call's workspace and their sizes; cpu/executor.h says what they hold.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/problem.h"
#include "core/task.h"

namespace grkan {

// Of every part, in bytes.
inline constexpr std::size_t kCpuPartAlignment = 64;
std::size_t cpu_aligned(std::size_t bytes);

// expand: a plane of coefficients, one of so many terms for each channel.
std::size_t cpu_plane_bytes(const Problem& problem, int terms);

// bcast: 16-bit coefficients in f32.
std::size_t cpu_widened_bytes(std::int64_t groups, int terms);

// The sums of so many slices.
std::size_t cpu_partial_bytes(const Task& task, std::int64_t slices);

// What a kernel adds sums for: segments, or (expand) vectors of columns.
std::int64_t cpu_units(const Problem& problem, bool expanded, int vector);
// Doubles of the area that the kernel of one slice adds into.
std::int64_t cpu_area_doubles(std::int64_t units, int sum_terms, int vector);
std::size_t cpu_area_bytes(std::int64_t doubles);
// Slices of a call under way at once have one each: no more than there are threads.
std::int64_t cpu_most_areas(std::int64_t doubles, int threads);

}  // namespace grkan
