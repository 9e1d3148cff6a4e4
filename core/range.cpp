#include "core/range.h"

#include "core/error.h"
#include "core/text.h"

namespace grkan {

std::string to_string(const Range& range) {
  if (range.low == range.high) return fmt::format("{}", range.low);
  return fmt::format("{}..{}", range.low, range.high);
}

Range parse_range(std::string_view text, std::string_view what) {
  TextReader reader(text, what, "25216 or 1..4096");
  Range range;
  range.low = reader.number<std::int64_t>();
  range.high = reader.accept("..") ? reader.number<std::int64_t>() : range.low;
  if (!reader.done()) reader.expect("the end");
  if (range.high < range.low) fail_argument("{} {} is an empty range; give low..high", what, text);
  return range;
}

}  // namespace grkan
