// Denominator: what a variant of Q is, as one row of a table. Whoever computes Q switches over the
// row's form; everybody else, from the printed form to the bounds, reads the row. With c for the
// offset and sums from first_power up to the degree:
//
//   form       B                  Q          dQ/dx         dQ/db_i
//   terms      sum |b_i| |x|^i    c + B      sign(x) B'    sign(b_i) |x|^i
//   magnitude  sum b_i x^i        c + |B|    sign(B) B'    sign(B) x^i
//   plain      sum b_i x^i        c + B      B'            x^i
//   square     sum b_i x^i        c + B^2    2 B B'        2 B x^i
//
// B' is B's slope in its own variable: |x| for terms, else x. The sign of x and of B is the sign
// bit's; that of b_i is +1 at 0, so that a zero can learn, and is applied after summing.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>

namespace grkan {

enum class Variant : std::uint8_t { a, b, c, n, s };

struct Denominator {
  enum class Form : std::uint8_t { terms, magnitude, plain, square };
  // Operations of an element besides those of polynomials, quotient and products with v.
  struct Operations {
    int multiplies = 0;
    int others = 0;
  };
  template <class T>
  struct Value {
    T q{};
    T slope{};  // dQ/dB
  };

  Variant variant;
  std::string_view letter;   // as a problem prints it
  std::string_view formula;  // Q, for people
  Form form;
  int first_power;       // of B: 0 or 1
  int offset_tenths;     // 10 c: an integer, so that each arithmetic rounds c itself
  Operations for_q;      // Q from B; terms: and |x|
  Operations for_slope;  // v dQ/dB from v; terms: v with x's sign

  template <class T>
  [[nodiscard]] T offset() const {
    return T(offset_tenths) / T(10);
  }
  // |b_i| |x|^i stand in B, and db takes the signs of b.
  [[nodiscard]] constexpr bool absolute_terms() const { return form == Form::terms; }
  // Whether Q is a polynomial, whose constant term is the offset.
  [[nodiscard]] constexpr bool is_polynomial() const {
    return form == Form::terms || form == Form::plain;
  }
  // Whether a sign bit is taken off (|x|, |B|), and given back to the derivatives.
  [[nodiscard]] constexpr bool takes_signs() const {
    return form == Form::terms || form == Form::magnitude;
  }
  // Whether Q may be zero; else it is at least the offset.
  [[nodiscard]] constexpr bool has_poles() const { return form == Form::plain; }

  // Q and dQ/dB of B, in float, double or long double. Neither falls as B grows from 0.
  template <class T>
  [[nodiscard]] Value<T> at(T b) const {
    switch (form) {
      case Form::terms:
      case Form::plain:
        return {offset<T>() + b, T(1)};
      case Form::magnitude:
        return {offset<T>() + std::abs(b), std::copysign(T(1), b)};
      case Form::square:
        return {std::fma(b, b, offset<T>()), b + b};
    }
    return {};
  }
};

// All of them, in the order of Variant.
std::span<const Denominator> denominators();
const Denominator& denominator_of(Variant variant);

std::string_view to_string(Variant variant);   // its letter
Variant parse_variant(std::string_view text);  // throws invalid_argument on any other text

}  // namespace grkan
