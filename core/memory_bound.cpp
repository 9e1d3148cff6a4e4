#include "core/memory_bound.h"

#include <array>

namespace grkan {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"nt_copy", "copy", "nt_triad",
                                                    "triad",   "read", "device_copy"};

}  // namespace

std::string_view to_string(BoundKind kind) { return kNames.at(std::size_t(kind)); }

}  // namespace grkan
