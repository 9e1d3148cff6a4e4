#include "codegen/rational.h"

#include <fmt/format.h>
#include <mlir/Dialect/Arith/IR/Arith.h>
#include <mlir/Dialect/Func/IR/FuncOps.h>
#include <mlir/Dialect/Math/IR/Math.h>
#include <mlir/IR/BuiltinTypes.h>
#include <mlir/IR/TypeUtilities.h>

#include <algorithm>
#include <string>

namespace grkan {
namespace {

using mlir::Value;

// Operations on one element type, each result named as in the formula.
class Ops {
 public:
  Ops(mlir::OpBuilder& builder, mlir::Type type) : builder_(builder), type_(type) {}

  Value constant(double value, const std::string& name) {
    const auto element = mlir::cast<mlir::FloatType>(mlir::getElementTypeOrSelf(type_));
    return splat(type_, builder_.getFloatAttr(element, value), name);
  }
  Value add(Value a, Value b, const std::string& name) {
    return mlir::arith::AddFOp::create(builder_, location(name), a, b);
  }
  Value mul(Value a, Value b, const std::string& name) {
    return mlir::arith::MulFOp::create(builder_, location(name), a, b);
  }
  Value div(Value a, Value b, const std::string& name) {
    return mlir::arith::DivFOp::create(builder_, location(name), a, b);
  }
  Value neg(Value a, const std::string& name) {
    return mlir::arith::NegFOp::create(builder_, location(name), a);
  }
  Value abs(Value a, const std::string& name) {
    return mlir::math::AbsFOp::create(builder_, location(name), a);
  }
  Value fma(Value a, Value b, Value c, const std::string& name) {
    return mlir::math::FmaOp::create(builder_, location(name), a, b, c);
  }
  // The target's approximate reciprocal.
  Value approximate_reciprocal(Value a, const std::string& name) {
    return mlir::func::CallOp::create(builder_, location(name), kReciprocalFunction,
                                      mlir::TypeRange{type_}, mlir::ValueRange{a})
        .getResult(0);
  }
  // v with its sign flipped where s is negative (-0 included). A negation of v stays outside: GPUs
  // negate an operand of arithmetic for nothing, but not one of a bit operation.
  Value flip_sign(Value v, Value s, const std::string& v_name, const std::string& s_name) {
    if (auto negation = v.getDefiningOp<mlir::arith::NegFOp>()) {
      return neg(flip_sign(negation.getOperand(), s, "minus_" + v_name, s_name), v_name);
    }
    const mlir::Type bits = bits_type();
    const unsigned width = mlir::getElementTypeOrSelf(bits).getIntOrFloatBitWidth();
    const Value mask = splat(
        bits,
        mlir::IntegerAttr::get(mlir::getElementTypeOrSelf(bits), llvm::APInt::getSignMask(width)),
        "sign_mask");
    const Value sign = mlir::arith::AndIOp::create(builder_, location("sign_" + s_name),
                                                   bitcast(s, bits, s_name + "_bits"), mask);
    const Value flipped = mlir::arith::XOrIOp::create(builder_, location(v_name + "_bits"),
                                                      bitcast(v, bits, v_name + "_bits"), sign);
    return bitcast(flipped, type_, v_name);
  }

 private:
  [[nodiscard]] mlir::Location location(const std::string& name) const {
    return mlir::NameLoc::get(builder_.getStringAttr(name));
  }
  [[nodiscard]] mlir::Type bits_type() const {
    const unsigned width = mlir::getElementTypeOrSelf(type_).getIntOrFloatBitWidth();
    const mlir::Type integer = builder_.getIntegerType(width);
    if (auto vector = mlir::dyn_cast<mlir::VectorType>(type_)) return vector.clone(integer);
    return integer;
  }
  Value splat(mlir::Type type, mlir::TypedAttr element, const std::string& name) {
    if (const auto vector = mlir::dyn_cast<mlir::VectorType>(type)) {
      element = mlir::DenseElementsAttr::get(vector, mlir::ArrayRef<mlir::Attribute>{element});
    }
    return mlir::arith::ConstantOp::create(builder_, location(name), element);
  }
  Value bitcast(Value a, mlir::Type type, const std::string& name) {
    return mlir::arith::BitcastOp::create(builder_, location(name), type, a);
  }

  mlir::OpBuilder& builder_;
  mlir::Type type_;
};

// x^i for i >= 1, by the shared products x^i = x^(i/2) x^(i - i/2).
std::vector<Value> build_powers(Ops& ops, Value x, int highest, const std::string& name) {
  std::vector<Value> powers = {Value(), x};
  for (int i = 2; i <= highest; ++i) {
    const auto low = std::size_t(i / 2);
    powers.push_back(ops.mul(powers[low], powers[std::size_t(i) - low], name + std::to_string(i)));
  }
  return powers;
}

// A polynomial and its derivative. A null value is a polynomial that is zero for every x.
struct Polynomial {
  Value value;
  Value derivative;
};

// Combined Horner of c[0] + c[1] x + ...; a null c[0] is zero. The derivative is formed only where
// it is wanted.
Polynomial horner(Ops& ops, const std::vector<Value>& c, Value x, bool derivative,
                  const std::string& name) {
  Polynomial p;
  if (c.empty()) return p;
  p.value = c.back();
  for (std::size_t i = c.size() - 1; i-- > 0;) {
    if (derivative) {
      p.derivative = p.derivative ? ops.fma(p.derivative, x, p.value, "d" + name) : p.value;
    }
    p.value = c[i] ? ops.fma(p.value, x, c[i], name) : ops.mul(p.value, x, name);
  }
  return p;
}

// c[0] + c[1] x + ..., term by term from the low end.
Value sum_of_powers(Ops& ops, const std::vector<Value>& c, const std::vector<Value>& powers,
                    const std::string& name) {
  Value sum = c[0];
  for (std::size_t i = 1; i < c.size(); ++i) {
    sum = sum ? ops.fma(c[i], powers[i], sum, name) : ops.mul(c[i], powers[i], name);
  }
  return sum;
}

// The same by pairs: (c0 + c1 x) + x2 (c2 + c3 x), and so on.
Value estrin(Ops& ops, const std::vector<Value>& coefficients, const std::vector<Value>& powers,
             const std::string& name) {
  std::vector<Value> c = coefficients;
  for (std::size_t power = 1; c.size() > 1; power *= 2) {
    std::vector<Value> pairs;
    for (std::size_t i = 0; i + 1 < c.size(); i += 2) {
      pairs.push_back(c[i] ? ops.fma(c[i + 1], powers[power], c[i], name)
                           : ops.mul(c[i + 1], powers[power], name));
    }
    if (c.size() % 2 == 1) pairs.push_back(c.back());
    c = std::move(pairs);
  }
  return c.front();
}

// The coefficients i c[i] of the derivative.
std::vector<Value> slopes(Ops& ops, const std::vector<Value>& c, const std::string& name) {
  std::vector<Value> result;
  for (std::size_t i = 1; i < c.size(); ++i) {
    const Value factor = ops.constant(double(i), fmt::format("c{}", i));
    result.push_back(i == 1 ? c[i] : ops.mul(c[i], factor, fmt::format("d{}{}", name, i)));
  }
  return result;
}

Polynomial evaluate(Ops& ops, PolynomialScheme scheme, const std::vector<Value>& c, Value x,
                    bool derivative, const std::string& name, const std::string& x_name) {
  if (scheme == PolynomialScheme::horner || c.size() < 2) {
    return horner(ops, c, x, derivative, name);
  }
  const std::vector<Value> powers = build_powers(ops, x, int(c.size()) - 1, x_name);
  const auto value = scheme == PolynomialScheme::powers ? sum_of_powers : estrin;
  Polynomial p{value(ops, c, powers, name), {}};
  if (derivative) p.derivative = value(ops, slopes(ops, c, name), powers, "d" + name);
  return p;
}

// Q and the polynomial B under it, with B' by |x| for absolute terms and by x else. Where Q is a
// polynomial too, they are one.
struct ValueOfQ {
  Value q;  // null: Q is 1 for every x
  Polynomial b;
};

ValueOfQ build_q(Ops& ops, const Denominator& row, PolynomialScheme scheme,
                 const std::vector<Value>& b, Value x, bool derivative) {
  if (b.empty()) return {};
  const auto offset = [&](const char* name) { return ops.constant(row.offset<double>(), name); };
  std::vector<Value> c = b;
  if (row.first_power == 1) c.insert(c.begin(), row.is_polynomial() ? offset("one") : Value());
  const bool absolute = row.absolute_terms();
  const Value t = absolute ? ops.abs(x, "abs_x") : x;
  const Polynomial p = evaluate(ops, scheme, c, t, derivative, row.is_polynomial() ? "Q" : "B",
                                absolute ? "abs_x" : "x");
  switch (row.form) {
    case Denominator::Form::terms:
    case Denominator::Form::plain:
      return {p.value, p};
    case Denominator::Form::magnitude: {
      const Value c0 = offset("offset");
      return {ops.add(ops.abs(p.value, "abs_B"), c0, "Q"), p};
    }
    case Denominator::Form::square:
      return {ops.fma(p.value, p.value, offset("offset"), "Q"), p};
  }
  return {};
}

// What v is to dx, whose other factor is B'.
Value build_v_of_slope(Ops& ops, Denominator::Form form, Value v, Value x, const ValueOfQ& q) {
  switch (form) {
    case Denominator::Form::terms:
      return ops.flip_sign(v, x, "v_signed", "x");
    case Denominator::Form::magnitude:
      return ops.flip_sign(v, q.b.value, "v_signed", "B");
    case Denominator::Form::square:
      return ops.mul(v, ops.add(q.b.value, q.b.value, "dQ_dB"), "v_dQ_dB");
    case Denominator::Form::plain:
      break;
  }
  return v;
}

// 1 / Q; with `minus` -1 / Q.
Value build_reciprocal(Ops& ops, const Scheme& scheme, Value q) {
  const Value one = ops.constant(1.0, "one");
  const std::string name = scheme.minus ? "minus_r" : "r";
  if (scheme.division == DivisionScheme::ieee) {
    return ops.div(scheme.minus ? ops.constant(-1.0, "minus_one") : one, q, name);
  }
  if (scheme.division == DivisionScheme::approximate) return ops.approximate_reciprocal(q, name);
  const Value r0 = ops.approximate_reciprocal(q, name + "0");
  const Value e = ops.fma(scheme.minus ? q : ops.neg(q, "minus_Q"), r0, one, "e");
  return ops.fma(r0, e, r0, name);
}

// dx = w P' + v B', with v as build_v_of_slope makes it.
Value build_dx(Ops& ops, Value w, Value dp, Value v, Value db) {
  if (dp && db) return ops.fma(w, dp, ops.mul(v, db, "v_dQ"), "dx");
  if (dp) return ops.mul(w, dp, "dx");
  if (db) return ops.mul(v, db, "dx");
  return ops.constant(0.0, "dx");
}

}  // namespace

Coefficients prepare_coefficients(mlir::OpBuilder& builder, const Problem& problem,
                                  const Scheme& scheme, const std::vector<Value>& a,
                                  const std::vector<Value>& b) {
  Ops ops(builder, a.front().getType());
  Coefficients result{a, b};
  if (scheme.minus) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      result.a[i] = ops.neg(a[i], "minus_a" + std::to_string(i));
    }
  }
  if (problem.denominator().absolute_terms()) {
    for (std::size_t i = 0; i < b.size(); ++i) {
      result.b[i] = ops.abs(b[i], "abs_b" + std::to_string(i + 1));
    }
  }
  return result;
}

Value build_forward(mlir::OpBuilder& builder, const Problem& problem, const Scheme& scheme,
                    const Coefficients& coefficients, Value x) {
  Ops ops(builder, x.getType());
  const std::string name = scheme.minus ? "minus_P" : "P";
  const Value p = evaluate(ops, scheme.polynomial, coefficients.a, x, false, name, "x").value;
  const Value q =
      build_q(ops, problem.denominator(), scheme.polynomial, coefficients.b, x, false).q;
  if (!q) return scheme.minus ? ops.neg(p, "y") : p;
  if (scheme.division == DivisionScheme::ieee && !scheme.minus) return ops.div(p, q, "y");
  return ops.mul(p, build_reciprocal(ops, scheme, q), "y");
}

ElementGradient build_backward(mlir::OpBuilder& builder, const Task& task, const Scheme& scheme,
                               const Coefficients& coefficients, Value x, Value dy) {
  const Gradients wanted = task.gradients;
  Ops ops(builder, x.getType());
  const std::string minus = scheme.minus ? "minus_" : "";
  const Polynomial p =
      evaluate(ops, scheme.polynomial, coefficients.a, x, wanted.dx, minus + "P", "x");
  const Denominator& row = task.problem.denominator();
  const ValueOfQ q = build_q(ops, row, scheme.polynomial, coefficients.b, x, wanted.dx);

  const Value r = q.q ? build_reciprocal(ops, scheme, q.q) : Value();
  ElementGradient gradient;
  if (r) {
    gradient.w = ops.mul(dy, r, minus + "w");
  } else {  // Q is 1
    gradient.w = scheme.minus ? ops.neg(dy, "minus_w") : dy;
  }
  const bool db = wanted.db && task.problem.denominator_terms() > 0;
  Value v_of_slope;
  if (db || q.b.derivative) {
    const Value y = r ? ops.mul(p.value, r, "y") : p.value;
    const Value product = ops.mul(gradient.w, y, scheme.minus ? "v" : "wy");
    gradient.v = scheme.minus ? product : ops.neg(product, "v");
    v_of_slope = build_v_of_slope(ops, row.form, gradient.v, x, q);
    // Of v |x|^i only the odd powers take the sign of x, in build_sums.
    if (!row.absolute_terms()) gradient.v = v_of_slope;
  }
  if (wanted.dx) gradient.dx = build_dx(ops, gradient.w, p.derivative, v_of_slope, q.b.derivative);
  return gradient;
}

std::vector<Value> build_sums(mlir::OpBuilder& builder, const Task& task, Value x, Value w, Value v,
                              const std::vector<Value>& sums) {
  const Problem& problem = task.problem;
  Ops ops(builder, x.getType());
  const bool db = task.gradients.db && problem.denominator_terms() > 0;
  const int highest = std::max(task.gradients.da ? problem.numerator_degree : 0,
                               db ? problem.denominator_degree : 0);
  const std::vector<Value> powers = build_powers(ops, x, highest, "x");
  std::vector<Value> result;
  const auto add_term = [&](Value factor, int power, const std::string& name) {
    const Value sum = sums[result.size()];
    result.push_back(power == 0 ? ops.add(sum, factor, name)
                                : ops.fma(factor, powers[std::size_t(power)], sum, name));
  };
  if (task.gradients.da) {
    for (int i = 0; i < problem.numerator_terms(); ++i) add_term(w, i, "da" + std::to_string(i));
  }
  if (db) {
    // v |x|^i = (v with x's sign) x^i for odd i.
    const Denominator& row = problem.denominator();
    const Value odd = row.absolute_terms() ? ops.flip_sign(v, x, "v_signed", "x") : v;
    for (int i = row.first_power; i <= problem.denominator_degree; ++i) {
      add_term(i % 2 == 1 ? odd : v, i, "db" + std::to_string(i));
    }
  }
  return result;
}

}  // namespace grkan
