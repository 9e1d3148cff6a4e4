#include "tuner/transfer.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tuner/search/statistics.h"

namespace grkan {
namespace {

// How far one sample's miss may pull.
constexpr double kMostMiss = 0.7;
// So many samples are believed as much as that there is no term.
constexpr double kShrinkage = 10;
// Each takes up the terms one after another until none of them moves.
constexpr int kSweeps = 30;

// The samples that have a term in their sum.
struct Term {
  std::vector<std::size_t> samples;
  double shrinkage = 0;
  double value = 0;
};

}  // namespace

Transfer::Transfer(std::span<const TransferSample> samples) {
  // Beside its problem's median, since a constant of the problem is no miss.
  std::map<std::size_t, std::vector<double>> of_problem;
  for (const TransferSample& s : samples) of_problem[s.problem].push_back(s.miss);
  std::map<std::size_t, double> middle;
  for (const auto& [problem, misses] : of_problem) middle[problem] = median(misses);
  std::vector<double> left;  // of the misses, what no term explains
  std::map<std::size_t, Term> constants;
  std::array<std::map<int, Term>, kMostParameters> terms;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const TransferSample& s = samples[i];
    left.push_back(std::clamp(s.miss - middle[s.problem], -kMostMiss, kMostMiss));
    constants[s.problem].samples.push_back(i);
    for (std::size_t k = 0; k < kMostParameters; ++k) {
      Term& term = terms.at(k)[s.schedule.values.at(k)];
      term.samples.push_back(i);
      term.shrinkage = kShrinkage;
    }
  }
  const auto fit = [&](Term& term) {
    double sum = -term.shrinkage * term.value;
    for (const std::size_t i : term.samples) sum += left[i];
    const double step = sum / (double(term.samples.size()) + term.shrinkage);
    term.value += step;
    for (const std::size_t i : term.samples) left[i] -= step;
  };
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (auto& [problem, term] : constants) fit(term);
    for (auto& of_parameter : terms) {
      for (auto& [value, term] : of_parameter) fit(term);
    }
  }
  for (std::size_t k = 0; k < kMostParameters; ++k) {
    for (const auto& [value, term] : terms.at(k)) terms_.at(k)[value] = term.value;
  }
}

double Transfer::correction(const Schedule& schedule) const {
  double sum = 0;
  for (std::size_t k = 0; k < kMostParameters; ++k) {
    const auto term = terms_.at(k).find(schedule.values.at(k));
    if (term != terms_.at(k).end()) sum += term->second;
  }
  return sum;
}

}  // namespace grkan
