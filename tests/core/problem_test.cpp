// Problem, its printed form and its errors.
#include "core/problem.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace grkan {
namespace {

std::string message_of(std::string_view text) {
  try {
    parse_problem(text);
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::invalid_argument);
    return e.what();
  }
  return "no error";
}

TEST(Problem, PrintsAndParsesBack) {
  for (const char* text :
       {"p5q4-A-c768-g8-f32-last", "p5q4-A-c768-g1x8-f32:bf16-last", "p0q0-C-c1-g1-f64-first",
        "p15q15-N-c24-g24x3-bf16-last", "p3q3-B-c255-g5-f16:f32-first",
        "p5q4-A-c768-g1x8-bf16:bf16:bf16-last", "p5q4-A-c768-g8-f32:f16:f16-first"}) {
    EXPECT_EQ(to_string(parse_problem(text)), text);
  }
}

TEST(Problem, EqualGroupsPrintOnce) {
  EXPECT_EQ(to_string(parse_problem("p5q4-A-c768-g8x8-f32:f32-last")), "p5q4-A-c768-g8-f32-last");
}

TEST(Problem, CoefficientsOfTheArithmeticsTypePrintNothing) {
  EXPECT_EQ(to_string(parse_problem("p5q4-A-c8-g8-bf16:bf16:f32-last")), "p5q4-A-c8-g8-bf16-last");
  EXPECT_EQ(to_string(parse_problem("p5q4-A-c8-g8-f64:f64:f64-last")), "p5q4-A-c8-g8-f64-last");
}

TEST(Problem, TypeOfCoefficients) {
  EXPECT_EQ(parse_problem("p5q4-A-c8-g8-bf16-last").coefficient_type(), Type::f32);
  EXPECT_EQ(parse_problem("p5q4-A-c8-g8-f64-last").coefficient_type(), Type::f64);
  EXPECT_EQ(parse_problem("p5q4-A-c8-g8-f32:bf16:bf16-last").coefficient_type(), Type::bf16);
  EXPECT_EQ(parse_problem("p5q4-A-c8-g8-f16:f32:f16-last").coefficient_type(), Type::f16);
}

TEST(Problem, SegmentsAreTheCommonRefinement) {
  const Problem p = parse_problem("p5q4-A-c12-g2x3-f32-last");
  EXPECT_EQ(p.segments(), 6);
  EXPECT_EQ(p.segment_width(), 2);
  EXPECT_EQ(p.segments_per_numerator_group(), 3);
  EXPECT_EQ(p.segments_per_denominator_group(), 2);
}

TEST(Problem, ErrorsNameFieldValuesAndWayOut) {
  EXPECT_EQ(
      message_of("p5q4-A-c255-g8-f32-last"),
      "channels 255 is not a multiple of numerator groups 8; use 248 or 256 channels, or 5 groups");
  EXPECT_EQ(message_of("p16q4-A-c8-g8-f32-last"),
            "numerator degree 16 is out of range; use 0 to 15");
  EXPECT_EQ(message_of("p5q4-A-c768-g8-f8-last"),
            "unknown type 'f8'; use one of f32, f64, f16, bf16");
  EXPECT_EQ(message_of("p5q4-A-c768-g8-f64:f32-last"),
            "types f64:f32 do not go together; use equal types, or f32 with f16 or bf16");
  EXPECT_EQ(message_of("p5q4-A-c768-g8-bf16:bf16:f16-last"),
            "coefficients of f16 do not go with bf16 data; use f32 or bf16");
  EXPECT_EQ(message_of("p5q4-A-c768-g8-f32:f32:bf16-last"),
            "coefficients of bf16 do not go with f32 data; use f32");
  EXPECT_EQ(message_of("p5q4-A-c0-g1-f32-last"), "channels 0 is out of range; use 1 to 1073741824");
  EXPECT_EQ(message_of("p5q4-A-c8-g0-f32-last"), "numerator groups 0 is not positive; use 1 to 8");
  EXPECT_NE(message_of("p5q4").find("malformed at position 4"), std::string::npos);
  EXPECT_NE(message_of("p99999999999999999999q4-A-c8-g8-f32-last").find("malformed"),
            std::string::npos);
}

}  // namespace
}  // namespace grkan
