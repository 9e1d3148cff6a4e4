#include "tuner/crossovers.h"

#include <algorithm>
#include <cmath>

namespace grkan {
namespace {

constexpr double kFarthest = 16;   // from one tuned size to the next
constexpr double kEqual = 0.01;    // counts as equally fast
constexpr double kNearness = 1.1;  // between the sizes that enclose a crossover

// Both ends, and what lies between them in equal steps of the logarithm.
std::vector<std::int64_t> sizes_of(Range rows) {
  const double octaves = std::log(double(rows.high) / double(rows.low));
  const auto steps = std::int64_t(std::ceil(octaves / std::log(kFarthest) - 1e-9));
  std::vector<std::int64_t> sizes = {rows.low};
  for (std::int64_t i = 1; i < steps; ++i) {
    const double size = double(rows.low) * std::exp(octaves * double(i) / double(steps));
    sizes.push_back(std::max(sizes.back() + 1, std::int64_t(std::llround(size))));
  }
  if (sizes.back() < rows.high) sizes.push_back(rows.high);
  return sizes;
}

// The first size that is b's: a wins at `low`, b at `high`.
std::int64_t bisect(std::int64_t low, std::int64_t high, std::size_t a, std::size_t b,
                    const CrossoverFunctions& f) {
  while (high - low > 1 && double(high) > kNearness * double(low) && !f.stopped()) {
    const auto middle = std::clamp<std::int64_t>(
        std::llround(std::sqrt(double(low) * double(high))), low + 1, high - 1);
    const double ratio = f.compare(middle, a, b);
    if (std::isnan(ratio)) break;
    (ratio < 1 ? high : low) = middle;
  }
  return high;
}

}  // namespace

std::vector<Stretch> find_stretches(Range rows, const CrossoverFunctions& f) {
  std::vector<Stretch> found;
  std::size_t last = 0;  // the winner of the last stretch
  for (const std::int64_t size : sizes_of(rows)) {
    const std::size_t next = f.tune(size);
    if (f.stopped()) break;
    if (found.empty()) {
      found.push_back({.rows = {size, size}, .tuned = size});
      last = next;
      continue;
    }
    Stretch& stretch = found.back();
    if (next == last) {
      stretch = {.rows = {stretch.rows.low, size}, .tuned = size};
      continue;
    }
    if (f.compare(size, last, next) >= 1 - kEqual) {
      stretch.rows.high = size;
      continue;
    }
    const std::int64_t before = stretch.rows.high;
    if (!(f.compare(before, last, next) <= 1 + kEqual)) {  // or is not known
      const std::int64_t first = bisect(before, size, last, next, f);
      stretch.rows.high = first - 1;
      found.push_back({.rows = {first, size}, .tuned = size});
    } else if (stretch.rows.low == before) {
      stretch = {.rows = {before, size}, .tuned = size};
    } else {
      found.push_back({.rows = {before + 1, size}, .tuned = size});
    }
    last = next;
  }
  return found;
}

}  // namespace grkan
