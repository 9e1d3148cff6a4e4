// 16-bit floating point on the host, each result rounded once.
#pragma once

#include <cstdint>

namespace grkan::vgpu {

enum class Narrow : std::uint8_t { f16, bf16 };
enum class NarrowRounding : std::uint8_t { nearest, zero, minus, plus };

float f16_to_float(std::uint16_t bits);
float bf16_to_float(std::uint16_t bits);
// NaN gives 0x7FFF.
std::uint16_t narrowed(Narrow format, NarrowRounding rounding, double value);

// a * b + c as a double that rounds to f16 or bf16 as the exact value does: its last bit is odd
// where something was cut off.
double odd_fma(double a, double b, double c);
// A 64-bit integer likewise.
double odd_integer(std::uint64_t magnitude, bool negative);

}  // namespace grkan::vgpu
