// Prediction: a time that a cost model gives, and the parts it is made of. GPUs (cost_model.h) and
// CPUs (bench/lab/cpu_model) share the form; docs/prediction.md explains both.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/figure.h"

namespace grkan {

// What a call can be bound by. A CPU has no atomics here, and fp32 or fp64 are its multiply pipes.
enum class Resource : std::uint8_t {
  dram,
  latency,  // of memory: too few bytes requested ahead
  l2,
  issue,  // GPU: warp instructions of any kind; CPU: instructions
  fp32,
  fp64,
  special,  // reciprocals and the like; CPU: division
  convert,
  integer,  // CPU: all vector operations, over all pipes
  shared,   // shared memory and the first-level cache
  atomics,
  dependencies,  // of arithmetic: too few warps and chains
  launch,        // what a launch costs beside its work; CPU: what a call and its slices do
};
inline constexpr std::size_t kResources = 13;
std::string_view to_string(Resource resource);
std::optional<Resource> find_resource(std::string_view name);

using Parts = std::array<double, kResources>;
inline double& at(Parts& parts, Resource resource) { return parts.at(std::size_t(resource)); }
inline double at(const Parts& parts, Resource resource) { return parts.at(std::size_t(resource)); }
Resource largest(const Parts& parts);

// How parts that overlap add up: the root of the sum of their powers. 1: not at all; large: nearly
// the largest alone.
double norm(std::span<const double> parts, double power);
// Of what one core or multiprocessor computes side by side.
inline constexpr double kOverlapPower = 9;

struct Prediction {
  double ns = 0;
  // What each alone would take, the work spread evenly over the multiprocessors or threads. They
  // overlap: their sum is more than `ns`.
  Parts parts_ns{};
  double tail_ns = 0;     // of `ns`: multiprocessors or threads that had no work
  double floor_ns = 0;    // all bytes of the tensors as fast as DRAM can
  bool executed = false;  // all counts were executed
  // The figures it rests on that are assumed: "clock_mhz: commonly reported ...".
  std::vector<std::string> assumed;

  [[nodiscard]] double part_ns(Resource resource) const { return at(parts_ns, resource); }
  [[nodiscard]] Resource bound() const { return largest(parts_ns); }
  // 1: as fast as DRAM.
  [[nodiscard]] double fraction_of_floor() const { return ns > 0 ? floor_ns / ns : 0; }

  bool operator==(const Prediction&) const = default;
};

// A figure that a part is made of.
template <class Model>
struct FigureUse {
  Resource resource;
  Figure Model::* figure;
};

// The assumed ones of the figures that a prediction with these parts was made of.
template <class Model>
std::vector<std::string> assumed_figures(const Parts& parts, const Model& model,
                                         std::span<const NamedFigure<Model>> fields,
                                         std::span<const FigureUse<Model>> uses) {
  std::vector<std::string> names;
  for (const NamedFigure<Model>& field : fields) {
    const Figure& figure = model.*field.figure;
    const bool used = std::any_of(uses.begin(), uses.end(), [&](const FigureUse<Model>& use) {
      return use.figure == field.figure && at(parts, use.resource) > 0;
    });
    if (used && figure.kind == FigureKind::assumed) {
      names.push_back(fmt::format("{}: {}", field.name, figure.source));
    }
  }
  return names;
}

}  // namespace grkan
