// Range: sizes of a call from one to another: rows, or elements of a channel.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace grkan {

// Both ends included.
struct Range {
  std::int64_t low = 1;
  std::int64_t high = 1;

  bool operator==(const Range&) const = default;
  [[nodiscard]] bool holds(std::int64_t value) const { return low <= value && value <= high; }
};

// "1..4096", or "25216" where both ends are one. parse_range is the inverse; it throws
// invalid_argument, calling the range what it is of, "rows".
std::string to_string(const Range& range);
Range parse_range(std::string_view text, std::string_view what);

}  // namespace grkan
