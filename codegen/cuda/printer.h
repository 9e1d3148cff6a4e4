// The mathematics of rational.h as straight-line CUDA C++: one `__device__ __forceinline__`
// function for each part, with the formula's names. What the printer does not know it refuses: a
// wrong operation is never printed as something close.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/task.h"
#include "cuda/schedule.h"

namespace grkan {

// The functions that the skeletons in templates/ call:
//   prepare(Coefficients& c)                              b = |b|, a = -a, as rational.h says
//   rational(const Coefficients& c, T x) -> y             forward
//   gradient(const Coefficients& c, T x, T dy, T& result, T (&sum)[kTerms])    backward; result is
//                                         dx; it and sum stand only where the task has them
// T is float or double, or float2 in a packed schedule.
std::string print_cuda_functions(const Task& task, const CudaSchedule& schedule);

// Whether prepare() has anything to do, and is printed.
bool cuda_prepares(const Problem& problem, const CudaSchedule& schedule);

// The body of one function, given as MLIR text with one func.func: a statement a line. Arguments
// are called `arguments[i]`; results are assigned to `results[i]`, or returned where there is one
// result called "return". Throws internal on an operation or type that has no CUDA form here, and
// on text that does not parse.
std::string print_cuda_body(std::string_view mlir, const std::vector<std::string>& arguments,
                            const std::vector<std::string>& results);

}  // namespace grkan
