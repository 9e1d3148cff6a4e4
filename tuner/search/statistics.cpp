#include "tuner/search/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace grkan {
namespace {

std::vector<double> sorted(std::span<const double> sample) {
  std::vector<double> values(sample.begin(), sample.end());
  std::sort(values.begin(), values.end());
  return values;
}

double quantile_of_sorted(const std::vector<double>& values, double q) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double at = std::clamp(q, 0.0, 1.0) * double(values.size() - 1);
  const auto below = std::size_t(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - double(below)) * (values[above] - values[below]);
}

// The largest k for which the k-th smallest and the k-th largest of n hold the median with the
// confidence; 0: there is none. P(fewer than k of n fair coins) = tail.
std::size_t order_of_interval(std::size_t n, double confidence) {
  const double allowed = (1 - confidence) / 2;
  double term = std::exp2(-double(n));  // P(no head); 0 for n > 1074, where k = 0 is left below
  double tail = 0;
  std::size_t k = 0;
  while (k < n / 2 && tail + term <= allowed) {
    tail += term;
    term *= double(n - k) / double(k + 1);
    ++k;
  }
  return k;
}

// Places of values in order, equal ones sharing the mean of theirs.
std::vector<double> places(std::span<const double> values) {
  std::vector<double> all;
  for (const double value : values) {
    const auto less =
        std::count_if(values.begin(), values.end(), [&](double v) { return v < value; });
    const auto same = std::count(values.begin(), values.end(), value);
    all.push_back(double(less) + double(same - 1) / 2);
  }
  return all;
}

}  // namespace

double quantile(std::span<const double> sample, double q) {
  return quantile_of_sorted(sorted(sample), q);
}

double median(std::span<const double> sample) { return quantile(sample, 0.5); }

Summary summarize(std::span<const double> sample) {
  const std::vector<double> values = sorted(sample);
  return {.median = quantile_of_sorted(values, 0.5),
          .p10 = quantile_of_sorted(values, 0.1),
          .p90 = quantile_of_sorted(values, 0.9),
          .samples = values.size()};
}

std::vector<double> quotients(std::span<const double> a, std::span<const double> b) {
  std::vector<double> values(std::min(a.size(), b.size()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = a[i] / b[i];
  return values;
}

Comparison compare(std::span<const double> a, std::span<const double> b, double confidence) {
  // More rounds than this tell nothing more, and their binomial would underflow.
  constexpr std::size_t kMostRounds = 1000;
  const std::size_t rounds = std::min({a.size(), b.size(), kMostRounds});
  const std::vector<double> ratios = sorted(quotients(a.first(rounds), b.first(rounds)));
  Comparison c{.ratio = rounds > 0 ? quantile_of_sorted(ratios, 0.5) : 1,
               .low = 0,
               .high = std::numeric_limits<double>::infinity(),
               .rounds = rounds};
  if (const std::size_t k = order_of_interval(rounds, confidence); k > 0) {
    c.low = ratios[k - 1];
    c.high = ratios[rounds - k];
  }
  return c;
}

double rank_correlation(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> x = places(a);
  const std::vector<double> y = places(b);
  const double mean = double(x.size() - 1) / 2;
  double xy = 0;
  double xx = 0;
  double yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 1;
}

Disturbance find_disturbance(std::span<const double> times, const QuietLimits& limits) {
  if (times.size() < std::max<std::size_t>(limits.samples, 3)) return {};
  const std::size_t third = times.size() / 3;
  const double first = median(times.first(third));
  const double last = median(times.last(third));
  const double drift = last / first;
  if (drift > limits.drift || drift < 1 / limits.drift) {
    return {.disturbed = true,
            .why = fmt::format("the default's time went from {:.4g} to {:.4g} us while tuning",
                               first * 1e6, last * 1e6)};
  }
  const Summary summary = summarize(times);
  if (summary.spread() > limits.spread) {
    return {.disturbed = true,
            .why = fmt::format("the default's times spread from {:.4g} to {:.4g} us (p10, p90)",
                               summary.p10 * 1e6, summary.p90 * 1e6)};
  }
  return {};
}

}  // namespace grkan
