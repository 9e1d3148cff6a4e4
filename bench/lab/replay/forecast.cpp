#include "bench/lab/replay/forecast.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/print.h"
#include "tuner/search/statistics.h"

namespace grkan {
namespace {

// That `few` of `all` hold one of `near`.
double chance_of(std::size_t few, std::size_t near, std::size_t all) {
  double none = 1;
  for (std::size_t i = 0; i < few; ++i) {
    none *= std::max(0.0, double(all - i) - double(near)) / double(all - i);
  }
  return 1 - none;
}

}  // namespace

Forecast forecast_of(const Table& measured, const Table& predicted,
                     std::vector<std::string>& schedules) {
  std::map<std::string, double> seconds;
  for (const TableCandidate& c : predicted.candidates) {
    if (c.status == CandidateStatus::ok) seconds[c.schedule] = median(c.us) * 1e-6;
  }
  schedules.clear();
  Forecast forecast;
  double best = 0;
  for (const TableCandidate& c : measured.candidates) {
    const auto found = seconds.find(c.schedule);
    if (c.status != CandidateStatus::ok || found == seconds.end()) continue;
    schedules.push_back(c.schedule);
    forecast.seconds.push_back(found->second);
    forecast.regrets.push_back(c.ratio());
    best = best == 0 ? c.ratio() : std::min(best, c.ratio());
  }
  if (schedules.empty() || schedules[0] != measured.candidates[0].schedule) {
    fail_argument("{} has no prediction of {}",
                  table_name(measured.task, measured.rows, measured.inner),
                  measured.candidates[0].schedule);
  }
  for (double& regret : forecast.regrets) regret = regret / best - 1;
  forecast.default_seconds = median(measured.candidates[0].us) * 1e-6;
  return forecast;
}

Forecast forecast_of(const Table& measured, const std::vector<double>& log_ns,
                     std::vector<std::string>& schedules) {
  Table said = measured;
  for (std::size_t i = 0; i < said.candidates.size(); ++i) {
    TableCandidate& c = said.candidates[i];
    if (std::isinf(log_ns[i])) c.status = CandidateStatus::skipped;
    c.us = {std::exp(log_ns[i]) * 1e-3};
  }
  return forecast_of(measured, said, schedules);
}

std::vector<std::size_t> order_of(const Forecast& forecast) {
  std::vector<std::size_t> order(forecast.seconds.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return forecast.seconds[a] < forecast.seconds[b];
  });
  return order;
}

Outcome outcome_of(const Forecast& forecast) {
  const std::vector<double>& regrets = forecast.regrets;
  const std::vector<std::size_t> order = order_of(forecast);
  const std::size_t few = std::min(Outcome::kTop, order.size());
  double top = regrets[order[0]];
  for (std::size_t k = 0; k < few; ++k) top = std::min(top, regrets[order[k]]);
  const auto near = std::count_if(regrets.begin(), regrets.end(),
                                  [](double regret) { return regret <= Outcome::kNear; });
  return {.correlation = rank_correlation(forecast.seconds, regrets),
          .first_regret = regrets[order[0]],
          .top_regret = std::max(0.0, top),
          .default_regret = regrets[0],
          .chance = chance_of(few, std::size_t(near), regrets.size()),
          .seconds_ratio = forecast.seconds[0] / forecast.default_seconds};
}

void print_heading() {
  print_to(stdout, "{:56} {:>6} {:>6} {:>6} {:>7} {:>7} {:>7} {:>8} {:>7}\n", "regret in %", "of",
           "rank", "top 8", "regret", "first", "default", "chance", "time");
}

void print_outcome(const std::string& name, std::size_t candidates, const Outcome& o) {
  print_to(stdout, "{:56} {:>6} {:6.2f} {:>6} {:7.1f} {:7.1f} {:7.1f} {:8.0f} {:7.2f}\n", name,
           candidates, o.correlation, o.holds() ? "yes" : "no", 100 * o.top_regret,
           100 * o.first_regret, 100 * o.default_regret, 100 * o.chance, o.seconds_ratio);
}

void print_summary(const std::vector<Outcome>& outcomes) {
  const auto values = [&](double Outcome::* field) {
    std::vector<double> all;
    for (const Outcome& o : outcomes) all.push_back(o.*field);
    return all;
  };
  const auto line = [&](const char* what, double Outcome::* field) {
    const std::vector<double> all = values(field);
    print_to(stdout, "{:36} median {:6.2f} %, 9 of 10 {:6.2f} %, worst {:6.2f} %\n", what,
             100 * median(all), 100 * quantile(all, 0.9), 100 * quantile(all, 1));
  };
  const auto held =
      std::count_if(outcomes.begin(), outcomes.end(), [](const Outcome& o) { return o.holds(); });
  const std::vector<double> chances = values(&Outcome::chance);
  const double chance =
      std::accumulate(chances.begin(), chances.end(), 0.0) / double(chances.size());
  print_to(
      stdout,
      "\nthe first {} by prediction hold a schedule within {:.0f} % of the best measured in {} "
      "of {} tables ({:.1f} %); {} random ones would in {:.1f} %\n",
      Outcome::kTop, 100 * Outcome::kNear, held, outcomes.size(),
      100 * double(held) / double(outcomes.size()), Outcome::kTop, 100 * chance);
  line("regret of the best of these", &Outcome::top_regret);
  line("regret of the predicted best", &Outcome::first_regret);
  line("regret of the default", &Outcome::default_regret);
  const std::vector<double> correlations = values(&Outcome::correlation);
  print_to(stdout, "{:36} median {:6.2f},   least {:6.2f}\n", "rank correlation",
           median(correlations), quantile(correlations, 0));
}

}  // namespace grkan
