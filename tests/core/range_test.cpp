// Ranges: printed, parsed back, and what else is refused.
#include "core/range.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace grkan {
namespace {

TEST(Range, PrintsAndParsesBack) {
  for (const char* text : {"1", "25216", "1..4096", "0..9223372036854775807"}) {
    EXPECT_EQ(to_string(parse_range(text, "rows")), text);
  }
  EXPECT_EQ(parse_range("7..7", "rows"), (Range{7, 7}));
  EXPECT_EQ(to_string(Range{7, 7}), "7");
}

TEST(Range, HoldsBothEnds) {
  const Range range{3, 5};
  EXPECT_TRUE(range.holds(3) && range.holds(4) && range.holds(5));
  EXPECT_FALSE(range.holds(2) || range.holds(6));
}

TEST(Range, ErrorsNameWhatTheRangeIsOf) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {{"", "rows '' is malformed"},
               {"-1", "rows '-1' is malformed"},
               {"1..", "rows '1..' is malformed"},
               {"1...3", "rows '1...3' is malformed"},
               {"1..3 ", "rows '1..3 ' is malformed"},
               {"1,3", "rows '1,3' is malformed"},
               {"99999999999999999999", "rows '99999999999999999999' is malformed"},
               {"9..3", "rows 9..3 is an empty range; give low..high"}};
  for (const auto& [text, message] : cases) {
    try {
      parse_range(text, "rows");
      ADD_FAILURE() << "taken: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), Status::invalid_argument);
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace grkan
