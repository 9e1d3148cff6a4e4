#include "core/prediction.h"

#include <cmath>

namespace grkan {
namespace {

constexpr std::array<std::string_view, kResources> kNames = {
    "dram",    "latency", "l2",     "issue",   "fp32",         "fp64",  "special",
    "convert", "integer", "shared", "atomics", "dependencies", "launch"};

}  // namespace

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

}  // namespace grkan
