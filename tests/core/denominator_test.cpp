// The table of denominators: what its rows say of each other and of Q.
#include "core/denominator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>

namespace grkan {
namespace {

TEST(Denominator, LettersParseBackAndDiffer) {
  std::set<std::string_view> letters;
  std::set<std::string_view> formulas;
  for (const Denominator& row : denominators()) {
    EXPECT_EQ(&denominator_of(row.variant), &row);
    EXPECT_EQ(to_string(row.variant), row.letter);
    EXPECT_EQ(parse_variant(row.letter), row.variant);
    letters.insert(row.letter);
    formulas.insert(row.formula);
  }
  EXPECT_EQ(letters.size(), denominators().size());
  EXPECT_EQ(formulas.size(), denominators().size());
}

TEST(Denominator, OffsetsAreRoundedByTheirType) {
  for (const Denominator& row : denominators()) {
    const bool one = row.formula.starts_with("1 + ");
    EXPECT_EQ(row.offset<float>(), one ? 1.0F : 0.1F) << row.letter;
    EXPECT_EQ(row.offset<double>(), one ? 1.0 : 0.1) << row.letter;
    EXPECT_EQ(row.offset<long double>(), one ? 1.0L : 0.1L) << row.letter;
    EXPECT_EQ(row.formula.find("b_0") != std::string_view::npos, row.first_power == 0);
  }
}

TEST(Denominator, SlopeIsTheDifferenceOfQ) {
  constexpr double kStep = 1e-6;
  for (const Denominator& row : denominators()) {
    for (const double b : {-3.0, -0.25, 0.5, 7.0}) {
      const double difference = (row.at(b + kStep).q - row.at(b - kStep).q) / (2 * kStep);
      EXPECT_NEAR(row.at(b).slope, difference, 1e-6) << row.letter << " " << b;
      if (!row.has_poles() && (b > 0 || !row.absolute_terms())) {
        EXPECT_GE(row.at(b).q, row.offset<double>()) << row.letter << " " << b;
      }
    }
    EXPECT_EQ(row.at(0.0).q, row.offset<double>()) << row.letter;
  }
}

// The jump of |B| belongs to B's sign bit.
TEST(Denominator, MinusZeroIsNegative) {
  for (const Denominator& row : denominators()) {
    if (row.form != Denominator::Form::magnitude) continue;
    EXPECT_EQ(row.at(0.0F).slope, 1.0F);
    EXPECT_EQ(row.at(-0.0F).slope, -1.0F);
  }
}

}  // namespace
}  // namespace grkan
