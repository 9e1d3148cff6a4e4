// Effort: what a tuning, or a plan made on a miss, may spend, by a name that the user knows.
#pragma once

#include <cstdint>
#include <string_view>

namespace grkan {

// none: a plan takes the default schedule, and nothing is tuned. instant measures nothing; quick
// and thorough look at a part of the space, exhaustive at all of it.
enum class Effort : std::uint8_t { none, instant, quick, thorough, exhaustive };
std::string_view to_string(Effort effort);
Effort parse_effort(std::string_view text);

}  // namespace grkan
