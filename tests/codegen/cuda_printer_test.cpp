// The printer of scalar MLIR as CUDA C++: its forms, and that it refuses what it does not know.
#include <gtest/gtest.h>

#include "codegen/cuda/printer.h"
#include "core/error.h"

namespace grkan {
namespace {

std::string body(const std::string& lines, const std::string& type = "f32") {
  return print_cuda_body(
      "func.func private @grkan_rcp(f32) -> f32\n"
      "func.func @f(%a: " +
          type + ", %b: " + type + ") -> " + type + " {\n" + lines + "\nreturn %r : " + type +
          "\n}",
      {"x", "c.b[0]"}, {"return"});
}

TEST(CudaPrinter, PrintsEachOperation) {
  EXPECT_EQ(body("%r = arith.addf %a, %b : f32 loc(\"P\")"),
            "  const float P = x + c.b[0];\n  return P;\n");
  EXPECT_EQ(body("%r = arith.divf %a, %b : f64 loc(\"y\")", "f64"),
            "  const double y = x / c.b[0];\n  return y;\n");
  EXPECT_EQ(body("%r = math.fma %a, %b, %a : f32 loc(\"P\")"),
            "  const float P = fmaf(x, c.b[0], x);\n  return P;\n");
  EXPECT_EQ(body("%r = math.fma %a, %b, %a : f64 loc(\"P\")", "f64"),
            "  const double P = fma(x, c.b[0], x);\n  return P;\n");
  EXPECT_EQ(body("%r = math.absf %a : f32 loc(\"abs x\")"),
            "  const float abs_x = fabsf(x);\n  return abs_x;\n");
  EXPECT_EQ(body("%r = func.call @grkan_rcp(%a) : (f32) -> f32 loc(\"r0\")"),
            "  const float r0 = rcp(x);\n  return r0;\n");
}

TEST(CudaPrinter, WritesConstantsSignsAndCastsIntoTheirUses) {
  EXPECT_EQ(body("%c = arith.constant 0.1 : f32\n%n = arith.negf %a : f32\n"
                 "%r = math.fma %n, %b, %c : f32 loc(\"e\")"),
            "  const float e = fmaf(-x, c.b[0], 0.1f);\n  return e;\n");
  EXPECT_EQ(body("%c = arith.constant 1.0 : f32\n%r = arith.mulf %a, %c : f32 loc(\"e\")"),
            "  const float e = x * 1.0f;\n  return e;\n");
  EXPECT_EQ(body("%n = arith.negf %a : f32\n%m = arith.negf %n : f32\n"
                 "%r = arith.mulf %m, %b : f32 loc(\"e\")"),
            "  const float e = -(-x) * c.b[0];\n  return e;\n");
  EXPECT_EQ(body("%m = arith.constant 0x80000000 : i32\n%i = arith.bitcast %a : f32 to i32\n"
                 "%s = arith.andi %i, %m : i32 loc(\"s\")\n%j = arith.bitcast %b : f32 to i32\n"
                 "%k = arith.xori %j, %s : i32 loc(\"k\")\n%r = arith.bitcast %k : i32 to f32"),
            "  const unsigned s = __float_as_uint(x) & 0x80000000u;\n"
            "  const unsigned k = __float_as_uint(c.b[0]) ^ s;\n"
            "  return __uint_as_float(k);\n");
}

TEST(CudaPrinter, RepeatedNamesAreNumbered) {
  EXPECT_EQ(
      body("%p = arith.addf %a, %b : f32 loc(\"x\")\n%r = arith.mulf %p, %p : f32 loc(\"x\")"),
      "  const float x_2 = x + c.b[0];\n  const float x_3 = x_2 * x_2;\n  return x_3;\n");
}

std::string error_of(const std::string& lines, const std::string& type = "f32") {
  try {
    return "no error: " + body(lines, type);
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), Status::internal);
    return error.what();
  }
}

TEST(CudaPrinter, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(error_of("%r = math.exp %a : f32"), "the operation math.exp has no CUDA form");
  EXPECT_EQ(error_of("%r = arith.maximumf %a, %b : f32"),
            "the operation arith.maximumf has no CUDA form");
  EXPECT_EQ(error_of("%r = arith.addf %a, %b : f16", "f16"), "a type of f16 has no CUDA form");
  EXPECT_EQ(error_of("%r = arith.constant 0x7F800000 : f32"), "a constant inf has no CUDA form");
  EXPECT_NE(error_of("%r = nonsense").find("not a module of MLIR"), std::string::npos);
}

TEST(CudaPrinter, FunctionsOfATask) {
  const CudaSchedule newton{};
  CudaSchedule ieee;
  ieee.division = CudaSchedule::ieee;
  const std::string forward =
      print_cuda_functions(parse_task("forward/p1q1-A-c8-g1-f32-last"), newton);
  EXPECT_EQ(forward,
            "__device__ __forceinline__ void prepare(Coefficients& c) {\n"
            "  const float abs_b1 = fabsf(c.b[0]);\n"
            "  c.b[0] = abs_b1;\n"
            "}\n\n"
            "__device__ __forceinline__ float rational(const Coefficients& c, float x) {\n"
            "  const float P = fmaf(c.a[1], x, c.a[0]);\n"
            "  const float abs_x = fabsf(x);\n"
            "  const float Q = fmaf(c.b[0], abs_x, 1.0f);\n"
            "  const float r0 = rcp(Q);\n"
            "  const float e = fmaf(-Q, r0, 1.0f);\n"
            "  const float r = fmaf(r0, e, r0);\n"
            "  const float y = P * r;\n"
            "  return y;\n"
            "}\n\n");
  EXPECT_EQ(print_cuda_functions(parse_task("forward/p1q1-N-c8-g1-f64-last"), ieee),
            "__device__ __forceinline__ double rational(const Coefficients& c, double x) {\n"
            "  const double P = fma(c.a[1], x, c.a[0]);\n"
            "  const double Q = fma(c.b[0], x, 1.0);\n"
            "  const double y = P / Q;\n"
            "  return y;\n"
            "}\n\n");
}

}  // namespace
}  // namespace grkan
