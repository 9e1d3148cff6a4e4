// Figure: a number about hardware, where it comes from and how sure it is.
#pragma once

#include <cstdint>
#include <string_view>

namespace grkan {

// published: the maker's data sheet or programming guide. microbenchmark: measured on such a
// device, by others or by this project. assumed: derived from a sister model or rounded; good for
// estimates only.
enum class FigureKind : std::uint8_t { published, microbenchmark, assumed };
std::string_view to_string(FigureKind kind);

struct Figure {
  double value = 0;
  FigureKind kind = FigureKind::assumed;
  std::string_view source;
};

constexpr Figure published(double value, std::string_view source) {
  return {value, FigureKind::published, source};
}
constexpr Figure measured(double value, std::string_view source) {
  return {value, FigureKind::microbenchmark, source};
}
constexpr Figure assumed(double value, std::string_view source) {
  return {value, FigureKind::assumed, source};
}

// A figure of a model, by name.
template <class Model>
struct NamedFigure {
  std::string_view name;
  Figure Model::* figure;
};

}  // namespace grkan
