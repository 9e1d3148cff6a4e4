#include "core/half.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"

namespace grkan {
namespace {

// A binary format narrower than f32, sign in the top bit of 16.
struct Format {
  int fraction_bits;
  int bias;
};
constexpr Format kF16 = {10, 15};
constexpr Format kBf16 = {7, 127};

std::uint16_t round_to(Format format, double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto sign = std::uint16_t(bits >> 63 << 15);
  const int exponent_bits = 15 - format.fraction_bits;
  const auto infinity = std::uint16_t(((1U << exponent_bits) - 1) << format.fraction_bits);
  if (std::isnan(value)) return sign | infinity | std::uint16_t(1U << (format.fraction_bits - 1));
  if (std::isinf(value)) return sign | infinity;

  constexpr int kFraction = 52;
  const int exponent = int(bits >> kFraction & 0x7FF) - 1023;
  // Unbiased exponent of the result's unit: subnormals share the one of the smallest normal.
  const int scale = exponent < 1 - format.bias ? 1 - format.bias : exponent;
  const int shift = kFraction - format.fraction_bits + (scale - exponent);
  if (exponent > format.bias) return sign | infinity;
  if (shift > kFraction + 1) return sign;  // below half of the smallest subnormal

  const std::uint64_t significand = (bits & ((1ULL << kFraction) - 1)) | 1ULL << kFraction;
  std::uint64_t kept = significand >> shift;
  const std::uint64_t rest = significand & ((1ULL << shift) - 1);
  const std::uint64_t half = 1ULL << (shift - 1);
  if (rest > half || (rest == half && (kept & 1) != 0)) ++kept;
  // `kept` holds the leading 1 of a normal number: adding it to the exponent field less one carries
  // a rounded-up significand into the exponent, up to infinity.
  const auto field = std::uint64_t(scale + format.bias - 1) << format.fraction_bits;
  return sign | std::uint16_t(field + kept);
}

template <class T>
T load(const void* tensor, std::int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(tensor) + index * std::int64_t(sizeof(T)),
              sizeof(T));
  return value;
}

template <class T>
void store(void* tensor, std::int64_t index, T value) {
  std::memcpy(static_cast<char*>(tensor) + index * std::int64_t(sizeof(T)), &value, sizeof(T));
}

}  // namespace

float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t(bits & 0x8000U) << 16;
  const std::uint32_t exponent = bits >> 10 & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | fraction << 13);
  if (exponent == 0) {
    const float magnitude = float(fraction) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

float bf16_to_f32(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t(bits) << 16); }

std::uint16_t to_f16(double value) { return round_to(kF16, value); }
std::uint16_t to_bf16(double value) { return round_to(kBf16, value); }

double load_element(Type type, const void* tensor, std::int64_t index) {
  switch (type) {
    case Type::f32:
      return load<float>(tensor, index);
    case Type::f64:
      return load<double>(tensor, index);
    case Type::f16:
      return f16_to_f32(load<std::uint16_t>(tensor, index));
    case Type::bf16:
      return bf16_to_f32(load<std::uint16_t>(tensor, index));
  }
  fail(Status::internal, "unknown type {}", int(type));
}

void store_element(Type type, void* tensor, std::int64_t index, double value) {
  switch (type) {
    case Type::f32:
      return store(tensor, index, float(value));
    case Type::f64:
      return store(tensor, index, value);
    case Type::f16:
      return store(tensor, index, to_f16(value));
    case Type::bf16:
      return store(tensor, index, to_bf16(value));
  }
  fail(Status::internal, "unknown type {}", int(type));
}

double unit_roundoff(Type type) {
  switch (type) {
    case Type::f32:
      return 0x1p-24;
    case Type::f64:
      return 0x1p-53;
    case Type::f16:
      return 0x1p-11;
    case Type::bf16:
      return 0x1p-8;
  }
  fail(Status::internal, "unknown type {}", int(type));
}

double smallest_subnormal(Type type) {
  if (type == Type::f64) return std::numeric_limits<double>::denorm_min();
  return smallest_normal(type) * unit_roundoff(type) * 2;
}

double smallest_normal(Type type) {
  if (type == Type::f64) return std::numeric_limits<double>::min();
  return type == Type::f16 ? 0x1p-14 : 0x1p-126;
}

double largest_finite(Type type) {
  switch (type) {
    case Type::f32:
      return std::numeric_limits<float>::max();
    case Type::f64:
      return std::numeric_limits<double>::max();
    case Type::f16:
      return 65504;
    case Type::bf16:
      return 0x1.FEp127;
  }
  fail(Status::internal, "unknown type {}", int(type));
}

}  // namespace grkan
