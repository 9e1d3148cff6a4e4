// Features: what a learnt model (core/learned.h) is told of a call: numbers by name, from one table
// for each backend.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>
#include <vector>

namespace grkan {

// A feature of what a backend knows of a call. The feature's value is finite.
template <class Call>
struct Feature {
  std::string_view name;
  double (*of)(const Call& call);
};

template <class Call>
std::vector<std::string_view> names_of(std::span<const Feature<Call>> table) {
  std::vector<std::string_view> names;
  for (const Feature<Call>& feature : table) names.push_back(feature.name);
  return names;
}

template <class Call>
std::vector<double> values_of(std::span<const Feature<Call>> table, const Call& call) {
  std::vector<double> values;
  values.reserve(table.size());
  for (const Feature<Call>& feature : table) values.push_back(feature.of(call));
  return values;
}

// For sizes, which count by their factors: 0 for nothing, up to 1.
inline double log2_of(double value) { return std::log2(std::max(value, 1.0)); }
// Of a part of a whole, both of one unit: bounded below where there is no such part.
inline double log_share(double part, double whole) {
  constexpr double kNothing = -8;
  return part > 0 && whole > 0 ? std::max(std::log(part / whole), kNothing) : kNothing;
}

}  // namespace grkan
