// Prediction: a time that a cost model gives, the parts it is made of, and how wrong it may be.
// docs/prediction.md explains it.
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

// What a prediction rests on, the best first.
enum class Basis : std::uint8_t {
  learnt,  // the cost model, and what times of such calls on this device say it misses
  far,     // the cost model alone: this device was timed, calls like this one were not
  unseen,  // the cost model alone, or times of other devices: this one was never timed
};
inline constexpr std::size_t kBases = 3;
std::string_view to_string(Basis basis);
std::optional<Basis> find_basis(std::string_view name);

// How far a logarithm may be off: the truth lies within [value + low, value + high] as often as
// kCoverage says.
struct Band {
  double low = 0;
  double high = 0;
  bool operator==(const Band&) const = default;
};
inline constexpr double kCoverage = 0.9;

struct Prediction {
  double ns = 0;
  // What it rests on, and how wrong it may be: as wrong as predictions were of calls whose times
  // were known and not looked at.
  Basis basis = Basis::unseen;
  std::string basis_why = {};  // what was learnt from, or why nothing was
  double low_ns = 0;           // the truth lies between as often as kCoverage says
  double high_ns = 0;

  // For comparing schedules of one call (ratio_of); a stored winner does not have them.
  double physics_ns = 0;  // by the cost model alone
  double log_cost = 0;    // what orders them, up to a constant
  Band ratio = {};        // of the logarithm of a ratio of two times

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

// The time of a call with one schedule over that with another, and what it may be.
struct PredictedRatio {
  double ratio = 1;
  double low = 1;
  double high = 1;
};
// By the worse of both bases.
PredictedRatio ratio_of(const Prediction& schedule, const Prediction& standard);

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
