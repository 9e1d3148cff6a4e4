#include "core/prediction.h"

#include <cmath>

namespace grkan {
namespace {

constexpr std::array<std::string_view, kResources> kNames = {
    "dram",    "latency", "l2",     "issue",   "fp32",         "fp64",  "special",
    "convert", "integer", "shared", "atomics", "dependencies", "launch"};

constexpr std::array<std::string_view, kBases> kBasisNames = {"learnt", "far", "unseen"};

}  // namespace

std::string_view to_string(Basis basis) { return kBasisNames.at(std::size_t(basis)); }

std::optional<Basis> find_basis(std::string_view name) {
  const auto* found = std::find(kBasisNames.begin(), kBasisNames.end(), name);
  if (found == kBasisNames.end()) return {};
  return Basis(found - kBasisNames.begin());
}

std::string_view to_string(Resource resource) { return kNames.at(std::size_t(resource)); }

std::optional<Resource> find_resource(std::string_view name) {
  const auto* found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return {};
  return Resource(found - kNames.begin());
}

Resource largest(const Parts& parts) {
  return Resource(std::max_element(parts.begin(), parts.end()) - parts.begin());
}

double norm(std::span<const double> parts, double power) {
  const double most = *std::max_element(parts.begin(), parts.end());
  if (most <= 0) return 0;
  double sum = 0;
  for (const double part : parts) sum += std::pow(part / most, power);
  return most * std::pow(sum, 1 / power);
}

PredictedRatio ratio_of(const Prediction& schedule, const Prediction& standard) {
  const Prediction& worse = schedule.basis >= standard.basis ? schedule : standard;
  // What was learnt of one says nothing beside a time that nothing was learnt of.
  const double log_ratio = schedule.basis == standard.basis
                               ? schedule.log_cost - standard.log_cost
                               : std::log(schedule.physics_ns / standard.physics_ns);
  return {.ratio = std::exp(log_ratio),
          .low = std::exp(log_ratio + worse.ratio.low),
          .high = std::exp(log_ratio + worse.ratio.high)};
}

}  // namespace grkan
