#include "core/denominator.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "core/text.h"

namespace grkan {
namespace {

using enum Denominator::Form;

constexpr auto kDenominators = std::to_array<Denominator>({
    {.variant = Variant::a,
     .letter = "A",
     .formula = "1 + sum |b_i| |x|^i",
     .form = terms,
     .first_power = 1,
     .offset_tenths = 10,
     .for_q = {.others = 1},
     .for_slope = {.others = 1}},
    {.variant = Variant::b,
     .letter = "B",
     .formula = "1 + |sum b_i x^i|",
     .form = magnitude,
     .first_power = 1,
     .offset_tenths = 10,
     .for_q = {.others = 2},
     .for_slope = {.others = 1}},
    {.variant = Variant::c,
     .letter = "C",
     .formula = "0.1 + |b_0 + sum b_i x^i|",
     .form = magnitude,
     .first_power = 0,
     .offset_tenths = 1,
     .for_q = {.others = 2},
     .for_slope = {.others = 1}},
    {.variant = Variant::n,
     .letter = "N",
     .formula = "1 + sum b_i x^i",
     .form = plain,
     .first_power = 1,
     .offset_tenths = 10,
     .for_q = {},
     .for_slope = {}},
    {.variant = Variant::s,
     .letter = "S",
     .formula = "1 + (sum b_i x^i)^2",
     .form = square,
     .first_power = 1,
     .offset_tenths = 10,
     .for_q = {.multiplies = 1},
     .for_slope = {.multiplies = 1, .others = 1}},
});

constexpr auto kLetters = [] {
  std::array<std::string_view, kDenominators.size()> letters;
  std::transform(kDenominators.begin(), kDenominators.end(), letters.begin(),
                 [](const Denominator& row) { return row.letter; });
  return letters;
}();

static_assert(std::all_of(kDenominators.begin(), kDenominators.end(), [](const Denominator& row) {
  const bool in_place = &row == &kDenominators[std::size_t(row.variant)];
  return in_place && (row.first_power == 1 || !row.is_polynomial());
}));

}  // namespace

std::span<const Denominator> denominators() { return kDenominators; }
const Denominator& denominator_of(Variant variant) {
  return kDenominators.at(std::size_t(variant));
}

std::string_view to_string(Variant variant) { return denominator_of(variant).letter; }
Variant parse_variant(std::string_view text) {
  return Variant(index_of_word(kLetters, text, "variant"));
}

}  // namespace grkan
