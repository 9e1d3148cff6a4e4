// Conversions of 16-bit types: every pattern, against the formats' definition.
#include "core/half.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace grkan {
namespace {

struct Format {
  int fraction_bits;
  int bias;
  float (*to_f32)(std::uint16_t);
  std::uint16_t (*from)(double);
};
constexpr std::array<Format, 2> kFormats = {
    {{10, 15, f16_to_f32, to_f16}, {7, 127, bf16_to_f32, to_bf16}}};

// The value of a pattern by the definition of binary interchange formats.
double value_of(const Format& f, int bits) {
  const int fraction = bits & ((1 << f.fraction_bits) - 1);
  const int exponent = (bits & 0x7FFF) >> f.fraction_bits;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 2 * f.bias + 1) {
    return fraction != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  }
  const int unit = std::max(exponent, 1) - f.bias - f.fraction_bits;
  return sign * std::ldexp(fraction + (exponent > 0 ? 1 << f.fraction_bits : 0), unit);
}

TEST(Half, EveryPatternHasItsValueAndComesBack) {
  for (const Format& f : kFormats) {
    for (int bits = 0; bits < 0x10000; ++bits) {
      const double value = f.to_f32(std::uint16_t(bits));
      const double expected = value_of(f, bits);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(value)) << bits;
        ASSERT_TRUE(std::isnan(f.to_f32(f.from(value)))) << bits;
        continue;
      }
      ASSERT_EQ(value, expected) << bits;
      ASSERT_EQ(f.from(value), bits);
    }
  }
}

TEST(Half, BetweenNeighboursTheNearestIsTakenAndTiesGoToEven) {
  for (const Format& f : kFormats) {
    const int infinity = (2 * f.bias + 1) << f.fraction_bits;
    for (int bits = 0; bits < infinity; ++bits) {
      const double low = value_of(f, bits);
      // Past the largest finite value rounding goes on as if there were one more.
      const double high =
          bits + 1 < infinity ? value_of(f, bits + 1) : 2 * low - value_of(f, bits - 1);
      const double middle = (low + high) / 2;
      const int even = bits % 2 == 0 ? bits : bits + 1;
      for (const int sign : {0, 0x8000}) {
        const double s = sign != 0 ? -1 : 1;
        ASSERT_EQ(f.from(s * middle), sign | even) << bits;
        ASSERT_EQ(f.from(s * std::nextafter(middle, 0)), sign | bits) << bits;
        ASSERT_EQ(f.from(s * std::nextafter(middle, 2 * high)), sign | (bits + 1)) << bits;
      }
    }
  }
}

TEST(Half, ExtremesOfDouble) {
  EXPECT_EQ(to_f16(1e300), 0x7C00);
  EXPECT_EQ(to_f16(-1e300), 0xFC00);
  EXPECT_EQ(to_f16(65519.999), 0x7BFF);
  EXPECT_EQ(to_f16(65520), 0x7C00);
  EXPECT_EQ(to_f16(-5e-324), 0x8000);
  EXPECT_EQ(to_bf16(5e-324), 0);
  EXPECT_EQ(to_bf16(std::numeric_limits<double>::infinity()), 0x7F80);
  // Rounded once: through f32 this tie-breaking bit would be lost.
  EXPECT_EQ(to_f16(1 + 0x1p-11 + 0x1p-40), 0x3C01);
}

TEST(Half, ElementsOfEveryType) {
  for (const Type type : {Type::f32, Type::f64, Type::f16, Type::bf16}) {
    std::array<unsigned char, 25> bytes{};
    void* const unaligned = bytes.data() + 1;
    store_element(type, unaligned, 1, -1.5);
    store_element(type, unaligned, 0, 0.25);
    EXPECT_EQ(load_element(type, unaligned, 1), -1.5);
    EXPECT_EQ(load_element(type, unaligned, 0), 0.25);
    EXPECT_EQ(bytes[1 + 2 * size_of(type)], 0);
    const double u = unit_roundoff(type);
    store_element(type, unaligned, 0, 1 + u);  // a tie: even
    EXPECT_EQ(load_element(type, unaligned, 0), 1);
    store_element(type, unaligned, 0, smallest_subnormal(type));
    EXPECT_EQ(load_element(type, unaligned, 0), smallest_subnormal(type));
    store_element(type, unaligned, 0, smallest_subnormal(type) / 2);
    EXPECT_EQ(load_element(type, unaligned, 0), 0);
    store_element(type, unaligned, 0, largest_finite(type));
    EXPECT_EQ(load_element(type, unaligned, 0), largest_finite(type));
    EXPECT_EQ(smallest_subnormal(type), smallest_normal(type) * 2 * u);
  }
}

}  // namespace
}  // namespace grkan
