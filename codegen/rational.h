// The one mathematics: the rational function and its gradient as MLIR arith/math operations over a
// type parameter. The CPU kernels call it with vectors, the CUDA printer with scalars; both
// therefore compute the same operations in the same order.
//
// Every value carries a name location (as in the formula: "P", "dP", "Q", "x2" ...), which the CUDA
// printer uses.
#pragma once

#include <mlir/IR/Builders.h>
#include <mlir/IR/Value.h>

#include <vector>

#include "core/task.h"

namespace grkan {

// How a quotient is formed. ieee: the target's correctly rounded division. newton: an approximate
// reciprocal (the printer's rcp.approx) and one Newton step.
enum class DivisionScheme { ieee, newton };

// The coefficients of one group, as values of the element type; prepared once, outside all loops
// (for variant A the denominator's are |b_i|).
struct Coefficients {
  std::vector<mlir::Value> a;  // numerator_terms()
  std::vector<mlir::Value> b;  // denominator_terms()
};
Coefficients prepare_coefficients(mlir::OpBuilder& builder, const Problem& problem,
                                  const std::vector<mlir::Value>& a,
                                  const std::vector<mlir::Value>& b);

// y = P(x) / Q(x).
mlir::Value build_forward(mlir::OpBuilder& builder, const Problem& problem, DivisionScheme division,
                          const Coefficients& coefficients, mlir::Value x);

// The part of backward that is done for each element: dx, and what the sums are made of:
//   w = dy / Q, v = -w y;  da_i = sum w x^i,  db_i = sum u x^i with u the value below.
struct ElementGradient {
  mlir::Value dx;  // null unless asked for
  mlir::Value w;   // null unless dx or da is asked for
  mlir::Value v;   // null unless dx or db is asked for. A, N: v. B, C: v with B's sign
};
ElementGradient build_backward(mlir::OpBuilder& builder, const Task& task, DivisionScheme division,
                               const Coefficients& coefficients, mlir::Value x, mlir::Value dy);

// Adds one element's terms to the sums (numerator_terms() for da if asked for, then
// denominator_terms() for db): sums[i] = fma(w, x^i, sums[i]). Variant A's db terms are v |x|^i;
// sign(b) is applied after summing.
std::vector<mlir::Value> build_sums(mlir::OpBuilder& builder, const Task& task, mlir::Value x,
                                    mlir::Value w, mlir::Value v,
                                    const std::vector<mlir::Value>& sums);

}  // namespace grkan
