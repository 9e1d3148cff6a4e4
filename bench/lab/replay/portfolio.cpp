#include "bench/lab/replay/portfolio.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "bench/lab/replay/replay.h"
#include "cpu/schedule.h"
#include "tuner/starting_points.h"

namespace grkan {
namespace {

constexpr double kWorst = 1;  // regrets above are all the same

}  // namespace

Portfolio::Portfolio(std::span<const Table* const> tables) {
  std::vector<Space> spaces;
  std::set<std::string> seen;
  for (const Table* table : tables) {
    spaces.push_back(space_of(*table));
    for (const Schedule& schedule : spaces.back().schedules) {
      CpuSchedule point(schedule);
      point.vector = CpuSchedule{}.vector;
      if (seen.insert(to_string(point)).second) points_.push_back(point);
    }
  }
  regrets_.resize(points_.size());
  for (std::size_t t = 0; t < tables.size(); ++t) {
    const std::vector<double> regrets = tables[t]->regrets();
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const auto candidates = starting_candidates(spaces[t], std::span(&points_[i], 1));
      const double regret = regrets[candidates.empty() ? 0 : candidates.front()];
      regrets_[i].push_back(std::clamp(regret, 0.0, kWorst));
    }
  }
}

std::vector<Schedule> Portfolio::choose(std::size_t count, std::size_t left_out) const {
  std::vector<Schedule> chosen;
  std::vector<double> served(points_.empty() ? 0 : regrets_.front().size(), kWorst);
  while (chosen.size() < std::min(count, points_.size())) {
    std::size_t best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < points_.size(); ++i) {
      double sum = 0;
      for (std::size_t t = 0; t < served.size(); ++t) {
        if (t != left_out) sum += std::sqrt(std::min(served[t], regrets_[i][t]));
      }
      if (sum >= least) continue;
      least = sum;
      best = i;
    }
    chosen.push_back(points_[best]);
    for (std::size_t t = 0; t < served.size(); ++t) {
      served[t] = std::min(served[t], regrets_[best][t]);
    }
  }
  return chosen;
}

double Portfolio::regret(std::span<const Schedule> points, std::size_t table) const {
  double least = kWorst;
  for (const Schedule& point : points) {
    const auto place = std::find(points_.begin(), points_.end(), point);
    if (place != points_.end()) {
      least = std::min(least, regrets_[std::size_t(place - points_.begin())][table]);
    }
  }
  return least;
}

}  // namespace grkan
