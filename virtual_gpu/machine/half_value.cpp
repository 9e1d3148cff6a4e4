#include "virtual_gpu/machine/half_value.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/half.h"

namespace grkan::vgpu {
namespace {

struct Format {
  int fraction_bits;
  int bias;
  std::uint16_t infinity;
};
constexpr Format kFormats[] = {{10, 15, 0x7C00}, {7, 127, 0x7F80}};

double to_odd(double sum, double error) {
  const auto bits = std::bit_cast<std::uint64_t>(sum);
  if (error == 0 || (bits & 1) != 0 || !std::isfinite(sum)) return sum;
  // An even last bit: the exact value lies on the side of the error.
  const bool outward = (error > 0) == (sum > 0);
  return std::bit_cast<double>(outward ? bits + 1 : bits - 1);
}

}  // namespace

float f16_to_float(std::uint16_t bits) { return f16_to_f32(bits); }
float bf16_to_float(std::uint16_t bits) { return bf16_to_f32(bits); }

std::uint16_t narrowed(Narrow narrow, NarrowRounding rounding, double value) {
  if (std::isnan(value)) return 0x7FFF;
  const std::uint16_t nearest = narrow == Narrow::f16 ? to_f16(value) : to_bf16(value);
  if (rounding == NarrowRounding::nearest || std::isinf(value)) return nearest;
  const Format& format = kFormats[int(narrow)];
  const std::uint16_t magnitude = nearest & 0x7FFF;
  const auto to_double = [&](std::uint16_t bits) {
    return double(narrow == Narrow::f16 ? f16_to_f32(bits) : bf16_to_f32(bits));
  };
  const double size = std::abs(value);
  const bool negative = std::signbit(value);
  const bool up = rounding == NarrowRounding::plus    ? !negative
                  : rounding == NarrowRounding::minus ? negative
                                                      : false;
  // The nearest is at most one step from the neighbour on the wanted side.
  const double found = magnitude == format.infinity ? HUGE_VAL : to_double(magnitude);
  std::uint16_t result = magnitude;
  if (found > size && !up) result = std::uint16_t(magnitude - 1);
  if (found < size && up) result = std::uint16_t(magnitude + 1);
  return std::uint16_t((nearest & 0x8000) | std::min(result, format.infinity));
}

double odd_fma(double a, double b, double c) {
  const double product = a * b;  // exact: 11 or 8 bits each
  const double sum = product + c;
  const double part = sum - product;
  const double error = (product - (sum - part)) + (c - part);
  return to_odd(sum, error);
}

double odd_integer(std::uint64_t magnitude, bool negative) {
  if (magnitude >> 53 != 0) {
    const bool cut = (magnitude & 0x7FF) != 0;
    magnitude = (magnitude & ~std::uint64_t{0x7FF}) | (cut ? 0x800 : 0);
  }
  const auto value = double(magnitude);
  return negative ? -value : value;
}

}  // namespace grkan::vgpu
