// The search on invented costs and an invented clock: noise, drift, two modes, failures, ties,
// budget, cancellation, resuming.
#include "tuner/search/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "core/error.h"

namespace grkan {
namespace {

// Candidates with true costs in milliseconds; a run moves the clock by what it took.
struct Machine {
  explicit Machine(std::vector<double> milliseconds, std::uint64_t seed = 1)
      : costs(std::move(milliseconds)), random(seed) {}

  std::vector<double> costs;
  std::mt19937_64 random;
  double clock = 0;
  double build_seconds = 0.01;
  // Turns a cost in seconds into a time, at the clock's time.
  std::function<double(double cost, Machine&)> noise = [](double cost, Machine&) { return cost; };
  std::function<StepResult(std::size_t)> on_build = [](std::size_t) { return StepResult{}; };
  std::function<StepResult(std::size_t)> on_check = [](std::size_t) {
    return StepResult{.status = CandidateStatus::ok, .why = {}, .value = 0.5};
  };
  std::function<bool()> cancelled;
  std::vector<std::size_t> built;
  std::vector<std::size_t> measured;
  std::vector<CandidateResult> records = std::vector<CandidateResult>(costs.size());

  SearchFunctions functions() {
    return {.build =
                [this](std::size_t i) {
                  clock += build_seconds;
                  built.push_back(i);
                  return on_build(i);
                },
            .check = [this](std::size_t i) { return on_check(i); },
            .measure =
                [this](std::size_t i) {
                  const double seconds = noise(costs[i] * 1e-3, *this);
                  clock += seconds;
                  measured.push_back(i);
                  return StepResult{.status = CandidateStatus::ok, .why = {}, .value = seconds};
                },
            .record =
                [this](std::size_t i, const CandidateResult& r) {
                  records[i].status = r.status;
                  records[i].why = r.why;
                  if (r.status != CandidateStatus::ok) return;
                  records[i].seconds.push_back(r.seconds.back());
                  records[i].reference_seconds.push_back(r.reference_seconds.back());
                },
            .progress = {},
            .cancelled = cancelled,
            .now = [this] { return clock; }};
  }

  SearchResult search_all(const SearchOptions& options = {},
                          const std::vector<CandidateResult>& known = {}) {
    const auto strategy = exhaustive_strategy();
    return search(costs.size(), *strategy, functions(), options, known);
  }
};

StepResult failing(CandidateStatus status, std::string why) {
  return {.status = status, .why = std::move(why), .value = 0};
}

double gaussian(double cost, Machine& m, double sigma) {
  std::normal_distribution<double> normal(1, sigma);
  return cost * std::max(0.5, normal(m.random));
}

TEST(Search, FindsTheFastest) {
  Machine m({10, 12, 8, 9, 11});
  const SearchResult r = m.search_all();
  EXPECT_EQ(r.winner, 2U);
  EXPECT_NEAR(r.against_default.ratio, 0.8, 1e-12);
  EXPECT_LT(r.against_default.high, 1);
  EXPECT_FALSE(r.disturbance.disturbed);
  EXPECT_FALSE(r.out_of_time);
  EXPECT_TRUE(r.candidates[0].finalist);
}

TEST(Search, KeepsTheDefaultWhenItIsBest) {
  Machine m({10, 12, 10.5, 11});
  EXPECT_EQ(m.search_all().winner, 0U);
}

TEST(Search, OnlyTheDefault) {
  Machine m({10});
  const SearchResult r = m.search_all();
  EXPECT_EQ(r.winner, 0U);
  EXPECT_GE(r.candidates[0].seconds.size(), 9U);
}

TEST(Search, AGainBelowTheHysteresisIsNone) {
  Machine m({10, 9.95, 9.96});
  EXPECT_EQ(m.search_all().winner, 0U);
}

TEST(Search, NoiseDoesNotMakeAWinner) {
  int wrong = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Machine m(std::vector<double>(20, 10.0), seed);
    m.noise = [](double cost, Machine& machine) { return gaussian(cost, machine, 0.1); };
    wrong += m.search_all().winner != 0 ? 1 : 0;
  }
  EXPECT_LE(wrong, 6);
}

TEST(Search, FindsAGainInsideTheNoise) {
  int right = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Machine m({10, 10, 10, 8.5, 10, 10}, seed);
    m.noise = [](double cost, Machine& machine) { return gaussian(cost, machine, 0.05); };
    right += m.search_all().winner == 3 ? 1 : 0;
  }
  EXPECT_GE(right, 48);
}

// The machine slows down by half while tuning: what was timed late must not look worse.
TEST(Search, DriftIsCancelledAndTold) {
  std::vector<double> costs(40, 10.0);
  costs[39] = 9.0;  // looked at last
  Machine m(costs);
  m.noise = [](double cost, Machine& machine) { return cost * (1 + 0.1 * machine.clock); };
  const SearchResult r = m.search_all({.budget_seconds = 30});
  EXPECT_EQ(r.winner, 39U);
  EXPECT_TRUE(r.disturbance.disturbed);
  EXPECT_NE(r.disturbance.why.find("went from"), std::string::npos) << r.disturbance.why;
}

TEST(Search, TwoModesOfTheMachine) {
  int right = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Machine m({10, 10.5, 8, 11}, seed);
    m.noise = [](double cost, Machine& machine) {
      return machine.random() % 4 == 0 ? 1.8 * cost : gaussian(cost, machine, 0.01);
    };
    right += m.search_all().winner == 2 ? 1 : 0;
  }
  EXPECT_GE(right, 45);
}

TEST(Search, AWrongCandidateNeverWins) {
  Machine m({10, 1, 9, 2});
  m.on_check = [](std::size_t i) {
    if (i == 1) return StepResult{.status = CandidateStatus::ok, .why = {}, .value = 1.5};
    if (i == 3) {
      return StepResult{.status = CandidateStatus::ok,
                        .why = {},
                        .value = std::numeric_limits<double>::quiet_NaN()};
    }
    return StepResult{.status = CandidateStatus::ok, .why = {}, .value = 1};
  };
  const SearchResult r = m.search_all();
  EXPECT_EQ(r.winner, 2U);
  EXPECT_EQ(r.candidates[1].status, CandidateStatus::wrong_answer);
  EXPECT_EQ(r.candidates[1].why, "the error is 1.5 times its bound");
  EXPECT_EQ(r.candidates[3].status, CandidateStatus::wrong_answer);
  EXPECT_EQ(std::count(m.measured.begin(), m.measured.end(), 1U), 0);
  EXPECT_EQ(m.records[1].status, CandidateStatus::wrong_answer);
}

TEST(Search, FailuresAreRecordedWithTheirReasons) {
  Machine m({10, 1, 1, 9, 1});
  m.on_build = [](std::size_t i) {
    if (i == 1) return failing(CandidateStatus::compile_failed, "ptxas says no");
    if (i == 2) return failing(CandidateStatus::exceeds_device, "100 KB of shared memory");
    return StepResult{};
  };
  SearchFunctions functions = m.functions();
  const auto measure = functions.measure;
  functions.measure = [&](std::size_t i) {
    if (i == 4) return failing(CandidateStatus::launch_failed, "invalid configuration");
    return measure(i);
  };
  const auto strategy = exhaustive_strategy();
  const SearchResult r = search(5, *strategy, functions);
  EXPECT_EQ(r.winner, 3U);
  EXPECT_EQ(r.candidates[1].status, CandidateStatus::compile_failed);
  EXPECT_EQ(r.candidates[1].why, "ptxas says no");
  EXPECT_EQ(r.candidates[2].status, CandidateStatus::exceeds_device);
  EXPECT_EQ(r.candidates[4].status, CandidateStatus::launch_failed);
  EXPECT_EQ(r.candidates[4].why, "invalid configuration");
}

TEST(Search, AClockThatStandsStillIsNoTime) {
  Machine m({10, 0, 9});
  const SearchResult r = m.search_all();
  EXPECT_EQ(r.candidates[1].status, CandidateStatus::launch_failed);
  EXPECT_EQ(r.winner, 2U);
}

TEST(Search, ClearlySlowIsDroppedEarly) {
  Machine m({10, 100, 14, 10.1});
  const SearchResult r = m.search_all();
  EXPECT_EQ(r.candidates[1].status, CandidateStatus::too_slow);
  EXPECT_EQ(r.candidates[1].seconds.size(), 1U);
  EXPECT_EQ(r.candidates[1].why, "10 times the best one's time");
  EXPECT_EQ(r.candidates[2].status, CandidateStatus::too_slow);
  EXPECT_EQ(r.candidates[2].seconds.size(), 2U);
  EXPECT_EQ(r.candidates[3].status, CandidateStatus::ok);
}

// The race: what is clearly behind leaves after a few rounds, those near each other stay.
TEST(Search, FinalistsThatAreBehindLeaveTheRace) {
  int ties = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Machine m({10, 8.0, 8.9, 8.85, 8.01}, seed);
    m.noise = [](double cost, Machine& machine) { return gaussian(cost, machine, 0.005); };
    const SearchResult r = m.search_all();
    const auto final_rounds = [&](std::size_t i) { return r.candidates[i].seconds.size() - 3; };
    EXPECT_TRUE(r.candidates[2].finalist);
    EXPECT_LE(final_rounds(2), 8U) << "seed " << seed;
    EXPECT_LE(final_rounds(3), 8U) << "seed " << seed;
    EXPECT_GT(final_rounds(1), 8U) << "seed " << seed;
    EXPECT_TRUE(r.winner == 1 || r.winner == 4) << "seed " << seed;
    ties += r.near_ties == std::vector<std::size_t>{1, 4} && r.winner == 1 ? 1 : 0;
  }
  EXPECT_GE(ties, 17);
}

// Rounds go on while noise hides whether there is a gain, and end where there clearly is or isn't.
TEST(Search, TheRaceIsAsLongAsItMustBe) {
  const auto rounds = [](double cost, double sigma) {
    Machine m({10, cost}, 3);
    m.noise = [sigma](double c, Machine& machine) { return gaussian(c, machine, sigma); };
    return m.search_all().against_default.rounds;
  };
  EXPECT_LE(rounds(8, 0.001), 9U);
  EXPECT_LE(rounds(10.5, 0.001), 9U);
  EXPECT_GT(rounds(9.7, 0.05), 20U);
}

TEST(Search, TiesGoToTheFirstInOrder) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Machine m({10, 8.02, 8.0, 8.01, 9.5}, seed);
    m.noise = [](double cost, Machine& machine) { return gaussian(cost, machine, 0.004); };
    const SearchResult r = m.search_all();
    EXPECT_EQ(r.winner, 1U) << "seed " << seed;
    EXPECT_EQ(r.near_ties, (std::vector<std::size_t>{1, 2, 3})) << "seed " << seed;
  }
}

// Between two turns of a round: what there is of it is kept.
TEST(Search, CancelledWithinARoundKeepsItsTurns) {
  Machine m({0.1, 0.05});
  m.cancelled = [&] { return m.measured.size() >= 1 + 2 * 8 * 3 + 2 * 3; };
  const SearchResult r = m.search_all();
  EXPECT_TRUE(r.cancelled);
  EXPECT_EQ(r.candidates[1].seconds.size(), 4U);
  EXPECT_EQ(m.records[1].seconds.size(), 4U);
}

TEST(Search, SameSeedSameAnswer) {
  const auto run = [] {
    Machine m({10, 9, 8, 7, 8, 9, 10, 11});
    const auto strategy = random_strategy(42, 4);
    const SearchResult r = search(8, *strategy, m.functions());
    return std::make_pair(m.measured, r.winner);
  };
  EXPECT_EQ(run(), run());
}

TEST(Search, DefaultThatFailsIsAnError) {
  Machine m({10, 9});
  m.on_build = [](std::size_t) { return failing(CandidateStatus::compile_failed, "no"); };
  try {
    m.search_all();
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::compile_failed);
    EXPECT_STREQ(e.what(), "the default schedule can't be tuned against: compile_failed: no");
  }
  Machine wrong({10, 9});
  wrong.on_check = [](std::size_t) {
    return StepResult{.status = CandidateStatus::ok, .why = {}, .value = 3};
  };
  EXPECT_THROW(wrong.search_all(), Error);
}

TEST(Search, NoCandidatesIsAnError) {
  const auto strategy = exhaustive_strategy();
  EXPECT_THROW(search(0, *strategy, Machine({}).functions()), Error);
  Machine m({1, 2});
  EXPECT_THROW(m.search_all({}, std::vector<CandidateResult>(3)), Error);
}

TEST(Search, BudgetIsRespectedAndTheFinalsHappen) {
  Machine m(std::vector<double>(1000, 10.0));
  m.costs[5] = 5;
  const SearchResult r = m.search_all({.budget_seconds = 5});
  EXPECT_TRUE(r.out_of_time);
  EXPECT_LT(m.clock, 5.05);
  EXPECT_EQ(r.winner, 5U);
  EXPECT_GE(r.against_default.rounds, 9U);
  EXPECT_EQ(r.candidates[999].status, CandidateStatus::skipped);
}

// 0.3 s a run: the budget is enough for few candidates, but those must be decided upon.
TEST(Search, SlowKernelsStillReachADecision) {
  Machine m(std::vector<double>(100, 300.0));
  m.costs[1] = 200;
  const SearchResult r = m.search_all({.budget_seconds = 10});
  EXPECT_EQ(r.winner, 1U);
  EXPECT_LT(m.clock, 10.7);
}

TEST(Search, NoBudgetAtAllKeepsTheDefault) {
  Machine m({10, 5});
  const SearchResult r = m.search_all({.budget_seconds = 0});
  EXPECT_EQ(r.winner, 0U);
  EXPECT_FALSE(r.candidates[0].seconds.empty());
  EXPECT_TRUE(r.out_of_time);
}

TEST(Search, InfiniteBudgetLooksAtAll) {
  Machine m(std::vector<double>(300, 10.0));
  m.costs[299] = 5;
  const SearchResult r = m.search_all({.budget_seconds = std::numeric_limits<double>::infinity()});
  EXPECT_EQ(r.winner, 299U);
  EXPECT_TRUE(r.decided);
  EXPECT_FALSE(r.out_of_time);
}

TEST(Search, CancellationKeepsWhatWasMeasured) {
  Machine m(std::vector<double>(50, 10.0));
  m.cancelled = [&] { return m.measured.size() >= 20; };
  const SearchResult r = m.search_all();
  EXPECT_TRUE(r.cancelled);
  EXPECT_FALSE(r.out_of_time);
  EXPECT_EQ(r.winner, 0U);
  EXPECT_FALSE(r.decided);  // no finals: times of the default are no comparison
  // The default, two rounds of it and eight others, and the default of a third.
  EXPECT_EQ(m.measured.size(), 20U);
  std::size_t samples = 0;
  std::size_t recorded = 0;
  for (std::size_t i = 1; i < 50; ++i) {
    samples += r.candidates[i].seconds.size();
    recorded += m.records[i].seconds.size();
  }
  EXPECT_EQ(samples, 16U);
  EXPECT_EQ(recorded, 16U);
  EXPECT_EQ(r.candidates[0].seconds.size(), 4U);
}

TEST(Search, CancelledInTheFinalsDecidesByWhatThereIs) {
  Machine m({10, 5, 10});
  // Screened: 2 rounds of both, a third of the one; then 8 rounds, and the race takes 9.
  m.cancelled = [&] { return m.measured.size() >= 1 + 3 * 2 + 2 + 2 * 8; };
  const SearchResult r = m.search_all();
  EXPECT_TRUE(r.cancelled);
  EXPECT_TRUE(r.decided);
  EXPECT_EQ(r.winner, 1U);
  EXPECT_EQ(r.against_default.rounds, 8U);
}

TEST(Search, ABudgetThatComparesNothingDecidesNothing) {
  Machine m(std::vector<double>(50, 10.0));
  m.costs[7] = 5;
  const SearchResult r = m.search_all({.budget_seconds = 1e-9});
  EXPECT_TRUE(r.out_of_time);
  EXPECT_EQ(r.winner, 0U);
  EXPECT_FALSE(r.decided);
}

TEST(Search, ResumesWithoutMeasuringAgain) {
  std::vector<double> costs(40, 20.0);
  costs[0] = 10;
  costs[7] = 8;
  costs[30] = 7;
  Machine first(costs);
  first.on_build = [](std::size_t i) {
    return i == 3 ? failing(CandidateStatus::compile_failed, "no") : StepResult{};
  };
  first.cancelled = [&] { return first.built.size() >= 24; };
  EXPECT_TRUE(first.search_all().cancelled);

  Machine second(costs);
  const SearchResult r = second.search_all({}, first.records);
  EXPECT_EQ(r.winner, 30U);
  EXPECT_EQ(r.candidates[3].status, CandidateStatus::compile_failed);
  EXPECT_EQ(std::count(second.built.begin(), second.built.end(), 3U), 0);
  EXPECT_EQ(std::count(second.built.begin(), second.built.end(), 5U), 0);  // known and slow
  EXPECT_EQ(std::count(second.built.begin(), second.built.end(), 7U), 1);  // known, a finalist
  EXPECT_EQ(std::count(second.built.begin(), second.built.end(), 30U), 1);
}

// What an earlier run found fast is checked again before it may win: this build may be wrong.
TEST(Search, ResumedCandidatesAreCheckedAgain) {
  Machine first({10, 5, 9});
  first.search_all();
  Machine second({10, 5, 9});
  second.on_check = [](std::size_t i) {
    return StepResult{.status = CandidateStatus::ok, .why = {}, .value = i == 1 ? 9.0 : 0.1};
  };
  const SearchResult r = second.search_all({}, first.records);
  EXPECT_EQ(r.winner, 2U);
  EXPECT_EQ(r.candidates[1].status, CandidateStatus::wrong_answer);
}

TEST(Search, ProgressReachesTheRaceAndEstimatesTheRest) {
  Machine m(std::vector<double>(64, 10.0));
  SearchFunctions functions = m.functions();
  std::vector<std::pair<std::size_t, double>> steps;
  std::size_t total = 0;
  functions.progress = [&](std::size_t done, std::size_t all, double left, std::size_t at) {
    EXPECT_LT(done, all);
    EXPECT_TRUE(total == 0 || all == total);
    EXPECT_LT(at, 64U);
    EXPECT_GE(left, 0);
    EXPECT_LE(left, 10);
    steps.emplace_back(done, left);
    total = all;
  };
  const auto strategy = exhaustive_strategy();
  search(64, *strategy, functions);
  EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end(),
                             [](auto& a, auto& b) { return a.first < b.first; }));
  EXPECT_GE(steps.back().first, 64U + 8);  // a race may end before its total
  EXPECT_GT(steps[8].second, steps.back().second);
}

// A cube of 10 values in three dimensions.
constexpr std::size_t kCube = 1000;
Coordinates cube() {
  Coordinates places;
  for (std::size_t i = 0; i < kCube; ++i) {
    places.push_back({int(i % 10), int(i / 10 % 10), int(i / 100)});
  }
  return places;
}

// Costs without noise, as a strategy meets them in batches of 8; the lowest it has seen.
double best_seen(Strategy& strategy, const std::function<double(std::size_t)>& cost,
                 std::size_t* proposed = nullptr) {
  std::vector<CandidateCost> costs(kCube);
  costs[0] = {.state = CandidateCost::known, .cost = cost(0)};
  double best = cost(0);
  for (auto batch = strategy.propose(costs, 8); !batch.empty();
       batch = strategy.propose(costs, 8)) {
    EXPECT_LE(batch.size(), 8U);
    for (const std::size_t i : batch) {
      EXPECT_EQ(costs[i].state, CandidateCost::unknown);
      costs[i] = {.state = CandidateCost::known, .cost = cost(i)};
      if (i % 17 == 5) costs[i].state = CandidateCost::failed;
      if (costs[i].state == CandidateCost::known) best = std::min(best, cost(i));
      if (proposed != nullptr) ++*proposed;
    }
  }
  return best;
}

TEST(Strategy, ProposesNothingTwiceAndNothingKnown) {
  const auto cost = [](std::size_t i) { return 1 + double(i % 7); };
  for (const bool guided : {false, true}) {
    const auto strategy =
        guided ? guided_strategy({.seed = 7, .starts = {}, .random = 10, .limit = 60}, cube())
               : random_strategy(7, 60);
    std::size_t proposed = 0;
    best_seen(*strategy, cost, &proposed);
    EXPECT_EQ(proposed, 60U);
    EXPECT_EQ(strategy->expected(1000), guided ? 60U : 0U);
  }
  const auto all = guided_strategy({.seed = 7, .starts = {}, .random = 10, .limit = 5000}, cube());
  std::size_t proposed = 0;
  best_seen(*all, cost, &proposed);
  EXPECT_EQ(proposed, kCube - 1);
}

// Each parameter by itself: what is learnt of one candidate holds for those that share its values.
TEST(Strategy, GuidedFindsTheBottomOfAValleyInATenthOfIt) {
  const auto cost = [](std::size_t i) {
    const double x = double(i % 10) - 7;
    const double y = double(i / 10 % 10) - 3;
    const std::size_t third = i / 100;
    const double z = double(third) - 5;
    return 1 + 0.1 * x * x + 0.2 * y * y + 0.1 * z * z;
  };
  int guided = 0;
  int random = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    guided += best_seen(*guided_strategy({.seed = seed, .starts = {}, .random = 16, .limit = 100},
                                         cube()),
                        cost) <= 1.1
                  ? 1
                  : 0;
    random += best_seen(*random_strategy(seed, 100), cost) <= 1.1 ? 1 : 0;
  }
  EXPECT_GE(guided, 18);
  EXPECT_LE(random, guided - 5);
}

TEST(Strategy, StartsComeFirstInTheirOrderLessWhatIsKnown) {
  const GuidedOptions options{.seed = 1, .starts = {444, 17, 900, 3}, .random = 8, .limit = 5};
  const auto strategy = guided_strategy(options, cube());
  std::vector<CandidateCost> costs(kCube);
  costs[0] = {.state = CandidateCost::known, .cost = 1};
  costs[17] = {.state = CandidateCost::failed, .cost = 0};
  EXPECT_EQ(strategy->propose(costs, 2), (std::vector<std::size_t>{444, 900}));
  EXPECT_EQ(strategy->propose(costs, 8), std::vector<std::size_t>{3});  // then it learns
  for (const std::size_t i : {444U, 900U, 3U}) costs[i] = {CandidateCost::known, 1};
  EXPECT_EQ(strategy->propose(costs, 8).size(), 2U);  // up to the limit
  EXPECT_TRUE(strategy->propose(costs, 8).empty());
}

// The first value is slow and the last one fast: those in between are the more alike to the nearer.
TEST(Strategy, GuidedKnowsTheOrderOfValues) {
  Coordinates line;
  for (int value = 1; value <= 512; value *= 2) line.push_back({value});
  const auto strategy = guided_strategy({.seed = 1, .starts = {9}, .random = 0, .limit = 9}, line);
  std::vector<CandidateCost> costs(line.size());
  costs[0] = {.state = CandidateCost::known, .cost = 2};
  EXPECT_EQ(strategy->propose(costs, 8), std::vector<std::size_t>{9});
  costs[9] = {.state = CandidateCost::known, .cost = 1};
  const auto next = strategy->propose(costs, 1);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_GE(next[0], 5U);
}

// What is thought before anything is known decides who is looked at first; what is then found out
// decides against it.
TEST(Strategy, GuidedBeginsWithWhatIsThoughtBest) {
  GuidedOptions options{.seed = 1, .starts = {}, .random = 0, .limit = 200};
  for (std::size_t i = 0; i < kCube; ++i) options.prior.push_back(0.1 * double(i % 10));
  options.prior[321] = -0.5;
  const auto strategy = guided_strategy(options, cube());
  std::vector<CandidateCost> costs(kCube);
  costs[0] = {.state = CandidateCost::known, .cost = 1};
  EXPECT_EQ(strategy->propose(costs, 1), std::vector<std::size_t>{321});
  // Slow where it was thought fast, and so are those like it.
  costs[321] = {.state = CandidateCost::known, .cost = 3};
  for (int i = 0; i < 8; ++i) {
    const auto next = strategy->propose(costs, 1);
    ASSERT_EQ(next.size(), 1U);
    EXPECT_NE(next[0] / 10, 32U);
    costs[next[0]] = {.state = CandidateCost::known, .cost = std::exp(options.prior[next[0]])};
  }
}

// A wrong guess of everything costs looks, not the answer.
TEST(Strategy, GuidedFindsTheBestWhereItsPriorIsWrong) {
  const auto cost = [](std::size_t i) {
    const double x = double(i % 10) - 7;
    const double y = double(i / 10 % 10) - 3;
    return 1 + 0.1 * x * x + 0.2 * y * y;
  };
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    GuidedOptions options{.seed = seed, .starts = {}, .random = 16, .limit = 100};
    for (std::size_t i = 0; i < kCube; ++i) options.prior.push_back(-0.1 * double(i % 10 < 4));
    found += best_seen(*guided_strategy(options, cube()), cost) <= 1.1 ? 1 : 0;
  }
  EXPECT_GE(found, 18);
}

TEST(Search, StatusWordsParseBack) {
  for (int i = 0; i < 8; ++i) {
    const auto status = CandidateStatus(i);
    EXPECT_EQ(parse_candidate_status(to_string(status)), status);
  }
  EXPECT_THROW(parse_candidate_status("fine"), Error);
}

}  // namespace
}  // namespace grkan
