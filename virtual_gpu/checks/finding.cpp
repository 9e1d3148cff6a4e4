#include "virtual_gpu/checks/finding.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "core/error.h"

namespace grkan::vgpu {
namespace {

constexpr std::array<std::string_view, kChecks> kNames = {
    "out_of_bounds", "misaligned",        "uninitialised", "read_only", "shared_race",
    "global_race",   "divergent_barrier", "bad_shuffle",   "deadlock"};

}  // namespace

std::string_view to_string(Check check) { return kNames.at(std::size_t(check)); }

Check parse_check(std::string_view text) {
  const auto* const found = std::ranges::find(kNames, text);
  if (found == kNames.end()) {
    fail_argument("there is no check '{}'; there are {}", text, fmt::join(kNames, ", "));
  }
  return Check(found - kNames.begin());
}

}  // namespace grkan::vgpu
