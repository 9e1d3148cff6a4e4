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
// reciprocal and one Newton step (f32 only). approximate: the reciprocal alone.
enum class DivisionScheme { ieee, newton, approximate };

// How a polynomial is evaluated. horner: value and slope together. powers: a sum of a_i x^i from
// the low end, with the powers that build_sums uses too. estrin: pairs of terms, then pairs of
// pairs.
enum class PolynomialScheme { horner, powers, estrin };

struct Scheme {
  DivisionScheme division = DivisionScheme::ieee;
  PolynomialScheme polynomial = PolynomialScheme::horner;
  // Works with -P and -1 / Q: the same bits, without a negation, which packed operations have no
  // operand modifier for. The sums of da come out negative; the one who finishes them knows.
  bool minus = false;
};

// The function that newton and approximate call for the approximate reciprocal (with `minus`: of
// -Q), (T) -> T: a func.call, which the user of these builders declares in its module or prints as
// its own (rcp.approx).
inline constexpr const char* kReciprocalFunction = "grkan_rcp";

// The coefficients of one group, as values of the element type; prepared once, outside all loops
// (where Q has absolute terms the denominator's are |b_i|; with `minus` the numerator's are -a_i).
struct Coefficients {
  std::vector<mlir::Value> a;  // numerator_terms()
  std::vector<mlir::Value> b;  // denominator_terms()
};
Coefficients prepare_coefficients(mlir::OpBuilder& builder, const Problem& problem,
                                  const Scheme& scheme, const std::vector<mlir::Value>& a,
                                  const std::vector<mlir::Value>& b);

// y = P(x) / Q(x): ieee: P / Q; else P r with r the reciprocal of Q.
mlir::Value build_forward(mlir::OpBuilder& builder, const Problem& problem, const Scheme& scheme,
                          const Coefficients& coefficients, mlir::Value x);

// The part of backward that is done for each element, with r = 1 / Q:
//   w = dy r,  v = -(w (P r)) dQ/dB,  dx = fma(w, P', v B')
// and da_i = sum w x^i, db_i = sum v x^i (absolute terms: v |x|^i; their v is without x's sign).
struct ElementGradient {
  mlir::Value dx;  // null unless asked for
  mlir::Value w;   // never null; -w with `minus`
  mlir::Value v;   // null where neither db nor dx needs it
};
ElementGradient build_backward(mlir::OpBuilder& builder, const Task& task, const Scheme& scheme,
                               const Coefficients& coefficients, mlir::Value x, mlir::Value dy);

// Adds one element's terms to the sums (numerator_terms() for da if asked for, then
// denominator_terms() for db): sums[i] = fma(w, x^i, sums[i]). Absolute
// terms of Q give db's v |x|^i; sign(b) is applied after summing. v may be null where db has no
// terms, w where da is not asked for.
std::vector<mlir::Value> build_sums(mlir::OpBuilder& builder, const Task& task, mlir::Value x,
                                    mlir::Value w, mlir::Value v,
                                    const std::vector<mlir::Value>& sums);

}  // namespace grkan
