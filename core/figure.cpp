#include "core/figure.h"

#include <array>
#include <cstddef>

namespace grkan {

std::string_view to_string(FigureKind kind) {
  constexpr std::array<std::string_view, 3> kNames = {"published", "microbenchmark", "assumed"};
  return kNames.at(std::size_t(kind));
}

}  // namespace grkan
