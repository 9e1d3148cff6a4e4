// Problem: WHAT is computed, without rows. y = P(x) / Q(x), a rational function for each group of
// channels (Kolmogorov-Arnold Transformer, arXiv 2409.10594; FlashKAT, arXiv 2505.13813).
//
//   P(x) = a0 + a1 x + ... + am x^m      Q(x): a variant of core/denominator.h
//
// x is [rows, channels] (channels-last) or [rows, channels, inner] (channels-first: rows is the
// batch). Rows and inner are run-time values. Channels are split into contiguous groups; the
// numerator's and the denominator's groups may differ.
//   a: [numerator_groups, m + 1]     b: [denominator_groups, n], n + 1 where Q has a b_0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/denominator.h"

namespace grkan {

enum class Type : std::uint8_t { f32, f64, f16, bf16 };
enum class Layout : std::uint8_t { channels_last, channels_first };

constexpr bool is_half(Type type) { return type == Type::f16 || type == Type::bf16; }

inline constexpr int kMaxDegree = 15;
inline constexpr std::int64_t kMaxChannels = std::int64_t{1} << 30;

struct Problem {
  int numerator_degree = 5;    // m, 0..15
  int denominator_degree = 4;  // n, 0..15
  Variant variant = Variant::a;
  std::int64_t channels = 0;
  std::int64_t numerator_groups = 1;    // divides channels
  std::int64_t denominator_groups = 1;  // divides channels
  Type x_type = Type::f32;              // of x and dx
  Type y_type = Type::f32;              // of y and dy: x_type, or f32 against f16 or bf16
  bool half_coefficients = false;       // a, b, da and db of the data's 16-bit type, not of f32
  Layout layout = Layout::channels_last;

  bool operator==(const Problem&) const = default;

  // m + 1: coefficients of one numerator group.
  [[nodiscard]] int numerator_terms() const { return numerator_degree + 1; }
  [[nodiscard]] const Denominator& denominator() const { return denominator_of(variant); }
  // Coefficients of one denominator group.
  [[nodiscard]] int denominator_terms() const {
    return denominator_degree + 1 - denominator().first_power;
  }
  // A segment is a run of channels over which neither group changes: the common refinement of the
  // two groupings. Their number divides channels, so all segments have one width.
  [[nodiscard]] std::int64_t segments() const;
  [[nodiscard]] std::int64_t segment_width() const { return channels / segments(); }
  [[nodiscard]] std::int64_t segments_per_numerator_group() const {
    return segments() / numerator_groups;
  }
  [[nodiscard]] std::int64_t segments_per_denominator_group() const {
    return segments() / denominator_groups;
  }
  // The type of the arithmetic: f64 with f64 data, else f32.
  [[nodiscard]] Type math_type() const { return x_type == Type::f64 ? Type::f64 : Type::f32; }
  // The type of the coefficients and of their gradients.
  [[nodiscard]] Type coefficient_type() const {
    if (!half_coefficients) return math_type();
    return is_half(x_type) ? x_type : y_type;
  }
};

// Throws invalid_argument, naming the field, unless the problem is one that can be generated.
void validate(const Problem& problem);

// Coefficients of the type said: the arithmetic's, or beside 16-bit data that type too. Throws
// invalid_argument for any other.
void set_coefficient_type(Problem& problem, Type said);

// The printed form, e.g. "p5q4-A-c768-g1x8-f32:bf16-last"; parse_problem is its inverse, throws
// invalid_argument on any other text, and returns a validated problem.
std::string to_string(const Problem& problem);
Problem parse_problem(std::string_view text);

// Its part with the types: "f32", of y where it differs "f32:bf16", of 16-bit coefficients
// "bf16:bf16:bf16".
std::string print_types(const Problem& problem);
void parse_types(std::string_view text, Problem& problem);

std::string_view to_string(Type type);      // "f32" "f64" "f16" "bf16"
std::string_view to_string(Layout layout);  // "last" "first"
Type parse_type(std::string_view text);
Layout parse_layout(std::string_view text);  // also "channels-last" and "channels-first"

std::size_t size_of(Type type);  // bytes

}  // namespace grkan
