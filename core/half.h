// Conversions between the element types and double, each rounded once, to nearest even.
// f16 is IEEE binary16; bf16 is the upper half of binary32.
#pragma once

#include <cstdint>

#include "core/problem.h"

namespace grkan {

// Exact. NaN stays NaN (with its sign).
float f16_to_f32(std::uint16_t bits);
float bf16_to_f32(std::uint16_t bits);

// Rounded to nearest even, with subnormals and overflow to infinity; NaN becomes a quiet NaN.
std::uint16_t to_f16(double value);
std::uint16_t to_bf16(double value);

// Element `index` of a tensor of `type`, which need only be aligned to its bytes.
double load_element(Type type, const void* tensor, std::int64_t index);
void store_element(Type type, void* tensor, std::int64_t index, double value);

// Half a unit in the last place of 1: 2^-24, 2^-53, 2^-11, 2^-8.
double unit_roundoff(Type type);
double smallest_subnormal(Type type);
double smallest_normal(Type type);
double largest_finite(Type type);

}  // namespace grkan
