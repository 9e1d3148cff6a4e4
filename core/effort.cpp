#include "core/effort.h"

#include <array>

#include "core/text.h"

namespace grkan {
namespace {

constexpr std::array<std::string_view, 5> kEfforts = {"none", "instant", "quick", "thorough",
                                                      "exhaustive"};

}  // namespace

std::string_view to_string(Effort effort) { return kEfforts.at(std::size_t(effort)); }

Effort parse_effort(std::string_view text) {
  return Effort(index_of_word(kEfforts, text, "effort"));
}

}  // namespace grkan
