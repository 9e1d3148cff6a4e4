// The one mathematics as MLIR: operations in their fixed order, named as in the formula.
#include "codegen/rational.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <mlir/Dialect/Arith/IR/Arith.h>
#include <mlir/Dialect/Func/IR/FuncOps.h>
#include <mlir/Dialect/Math/IR/Math.h>
#include <mlir/IR/BuiltinOps.h>
#include <mlir/IR/Verifier.h>

#include <map>
#include <string>

namespace grkan {
namespace {

// A function with everything the builders need as arguments: x, dy, a, b, sums.
class Program {
 public:
  Program(const char* task, const Scheme& scheme, int width = 1) : builder_(&context_) {
    context_
        .loadDialect<mlir::arith::ArithDialect, mlir::func::FuncDialect, mlir::math::MathDialect>();
    task_ = parse_task(task);
    type_ = task_.problem.math_type() == Type::f64 ? mlir::Type(builder_.getF64Type())
                                                   : mlir::Type(builder_.getF32Type());
    if (width > 1) type_ = mlir::VectorType::get({width}, type_);
    const mlir::Location at = builder_.getUnknownLoc();
    module_ = mlir::ModuleOp::create(at);
    builder_.setInsertionPointToEnd(module_->getBody());
    const auto unary = builder_.getFunctionType({type_}, {type_});
    mlir::func::FuncOp::create(builder_, at, kReciprocalFunction, unary).setPrivate();
    const int terms = task_.problem.numerator_terms() + task_.problem.denominator_terms();
    const std::vector<mlir::Type> inputs(std::size_t(2 + terms + task_.sum_terms()), type_);
    auto function =
        mlir::func::FuncOp::create(builder_, at, "f", builder_.getFunctionType(inputs, {}));
    builder_.setInsertionPointToStart(function.addEntryBlock());
    build(function, scheme);
    mlir::func::ReturnOp::create(builder_, at);
    EXPECT_TRUE(mlir::succeeded(mlir::verify(*module_)));
  }

  // The operations with their values' names, a line each.
  [[nodiscard]] std::string text() {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module_->print(stream, mlir::OpPrintingFlags().printNameLocAsPrefix());
    return text;
  }
  [[nodiscard]] std::map<std::string, int> counts() {
    std::map<std::string, int> result;
    module_->walk([&](mlir::Operation* op) { ++result[op->getName().getStringRef().str()]; });
    return result;
  }
  ElementGradient gradient;

 private:
  void build(mlir::func::FuncOp function, const Scheme& scheme) {
    unsigned next = 0;
    const auto take = [&](int count) {
      std::vector<mlir::Value> values;
      for (int i = 0; i < count; ++i) values.push_back(function.getArgument(next++));
      return values;
    };
    const mlir::Value x = take(1)[0];
    const mlir::Value dy = take(1)[0];
    const auto a = take(task_.problem.numerator_terms());
    const auto b = take(task_.problem.denominator_terms());
    const auto sums = take(task_.sum_terms());
    const Coefficients c = prepare_coefficients(builder_, task_.problem, scheme, a, b);
    if (!task_.backward()) {
      build_forward(builder_, task_.problem, scheme, c, x);
      return;
    }
    gradient = build_backward(builder_, task_, scheme, c, x, dy);
    if (!task_.sums()) return;
    const auto added = build_sums(builder_, task_, x, gradient.w, gradient.v, sums);
    EXPECT_EQ(added.size(), sums.size());
  }

  mlir::MLIRContext context_;
  mlir::OpBuilder builder_;
  Task task_;
  mlir::Type type_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
};

TEST(Rational, ForwardIsTwoHornersAndOneDivision) {
  Program program("forward/p5q4-A-c8-g1-f32-last", Scheme{});
  auto counts = program.counts();
  EXPECT_EQ(counts["math.fma"], 9);
  EXPECT_EQ(counts["arith.divf"], 1);
  EXPECT_EQ(counts["math.absf"], 5);  // |x| and four |b|
  EXPECT_EQ(counts["arith.mulf"], 0);
}

TEST(Rational, BackwardSharesEverything) {
  Program program("backward.dx.da.db/p5q4-A-c8-g1-f32-last", Scheme{DivisionScheme::newton});
  auto counts = program.counts();
  // Horner 5 + 4 and 4 + 3, Newton 2, dx 1, sums 9.
  EXPECT_EQ(counts["math.fma"], 28);
  // w, y, wy, v dQ, x^2 to x^5.
  EXPECT_EQ(counts["arith.mulf"], 8);
  EXPECT_EQ(counts["arith.addf"], 1);
  EXPECT_EQ(counts["func.call"], 1);
  EXPECT_EQ(counts["arith.divf"], 0);
}

// With -P and -1 / Q nothing is negated for each element: only the six coefficients a.
TEST(Rational, MinusLeavesNothingToNegate) {
  Program program("backward.dx.da.db/p5q4-A-c8-g1-f32-last",
                  Scheme{DivisionScheme::newton, PolynomialScheme::horner, true});
  auto counts = program.counts();
  EXPECT_EQ(counts["arith.negf"], 6);
  EXPECT_EQ(counts["math.fma"], 28);
  EXPECT_EQ(counts["arith.mulf"], 8);
}

// Powers and Estrin: as many fused operations as Horner, and the products i a_i of the slopes.
TEST(Rational, SchemesOfPolynomials) {
  for (const PolynomialScheme scheme : {PolynomialScheme::powers, PolynomialScheme::estrin}) {
    Program program("backward.dx.da.db/p5q4-A-c8-g1-f32-last",
                    Scheme{DivisionScheme::newton, scheme});
    auto counts = program.counts();
    EXPECT_EQ(counts["math.fma"], 28);
    // As Horner's 8, x^i (twice before CSE) and |x|^i, and 4 + 3 slopes.
    EXPECT_EQ(counts["arith.mulf"], 8 + 4 + 3 + 7);
  }
}

TEST(Rational, ValuesAreNamedAsInTheFormula) {
  Program program("backward.dx.da.db/p2q2-B-c8-g1-f32-last", Scheme{});
  const std::string text = program.text();
  for (const char* words :
       {"%P = math.fma", "%dP = math.fma", "%B_", "%Q = arith.addf", "%r = arith.divf",
        "%w = arith.mulf", "%y = arith.mulf", "%v = arith.negf", "%sign_B = arith.andi",
        "%dx = math.fma", "%x2 = arith.mulf", "%da2 = math.fma", "%db1 = math.fma"}) {
    EXPECT_NE(text.find(words), std::string::npos) << words << " is not in\n" << text;
  }
}

// Squaring Q overflows in f32 where nothing else does.
TEST(Rational, NoQSquared) {
  Program program("backward.dx.da.db/p5q4-A-c8-g1-f32-last", Scheme{});
  const std::string text = program.text();
  EXPECT_EQ(text.find("mulf %Q"), std::string::npos) << text;
}

TEST(Rational, EveryDegreeVariantAndSubsetIsWellFormed) {
  for (const char* degrees : {"p0q0", "p0q1", "p1q0", "p5q4", "p15q15"}) {
    for (const Denominator& row : denominators()) {
      const std::string problem = fmt::format("/{}-{}-c8-g1-f32-last", degrees, row.letter);
      for (const Scheme& scheme :
           {Scheme{}, Scheme{DivisionScheme::newton, PolynomialScheme::powers},
            Scheme{DivisionScheme::approximate, PolynomialScheme::estrin},
            Scheme{DivisionScheme::newton, PolynomialScheme::horner, true}}) {
        Program(("forward" + problem).c_str(), scheme);
        for (const char* gradients :
             {".dx", ".da", ".db", ".dx.da", ".dx.db", ".da.db", ".dx.da.db"}) {
          const Program program(("backward" + std::string(gradients) + problem).c_str(), scheme);
          const bool dx = std::string_view(gradients).find("dx") != std::string_view::npos;
          EXPECT_EQ(bool(program.gradient.dx), dx);
          EXPECT_TRUE(bool(program.gradient.w));
        }
      }
    }
  }
}

TEST(Rational, WorksOnVectorsAndDoubles) {
  Program wide("backward.dx.da.db/p5q4-A-c8-g1-f32-last", Scheme{}, 8);
  EXPECT_NE(wide.text().find("vector<8xf32>"), std::string::npos);
  Program doubles("backward.dx.da.db/p5q4-C-c8-g1-f64-last", Scheme{});
  EXPECT_NE(doubles.text().find("0x8000000000000000") == std::string::npos
                ? doubles.text().find("-9223372036854775808")
                : 0,
            std::string::npos);
}

// A constant denominator needs no division.
TEST(Rational, DegreeZeroDenominatorIsOne) {
  Program program("backward.dx.da.db/p3q0-A-c8-g1-f32-last", Scheme{});
  auto counts = program.counts();
  EXPECT_EQ(counts["arith.divf"], 0);
  EXPECT_FALSE(bool(program.gradient.v));
}

}  // namespace
}  // namespace grkan
