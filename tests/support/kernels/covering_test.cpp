// Covering sets against brute force over the whole product.
#include "tests/support/kernels/covering.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

#include "core/backend.h"

namespace grkan {
namespace {

using Values = std::vector<std::vector<int>>;
using WhyIllegal = std::function<std::string(const Row&)>;

void each_row(const Values& values, const std::function<void(const Row&)>& visit, Row& row) {
  if (row.size() == values.size()) return visit(row);
  for (const int value : values[row.size()]) {
    row.push_back(value);
    each_row(values, visit, row);
    row.pop_back();
  }
}

struct Space {
  std::size_t legal = 0;
  std::set<ValuePair> pairs;  // of the legal rows
};
Space brute_force(const Values& values, const WhyIllegal& why) {
  Space space;
  Row row;
  each_row(
      values,
      [&](const Row& one) {
        if (!why(one).empty()) return;
        ++space.legal;
        for (const ValuePair& pair : value_pairs(one)) space.pairs.insert(pair);
      },
      row);
  return space;
}

std::set<ValuePair> covered_by(const std::vector<Row>& rows) {
  std::set<ValuePair> pairs;
  for (const Row& row : rows) {
    for (const ValuePair& pair : value_pairs(row)) pairs.insert(pair);
  }
  return pairs;
}

std::string text(const ValuePair& pair) {
  return std::to_string(pair.first) + "=" + std::to_string(pair.first_value) + " with " +
         std::to_string(pair.second) + "=" + std::to_string(pair.second_value);
}

void expect_same(const std::set<ValuePair>& found, const std::set<ValuePair>& wanted,
                 const std::string& what) {
  for (const ValuePair& pair : wanted) {
    EXPECT_TRUE(found.contains(pair)) << what << ": no row has " << text(pair);
  }
  for (const ValuePair& pair : found) {
    EXPECT_TRUE(wanted.contains(pair)) << what << ": " << text(pair) << " is not legal";
  }
}

TEST(Covering, PairsOfARow) {
  const std::vector<ValuePair> pairs = value_pairs(Row{7, 8, 9});
  const std::vector<ValuePair> wanted = {{0, 7, 1, 8}, {0, 7, 2, 9}, {1, 8, 2, 9}};
  EXPECT_EQ(pairs, wanted);
}

// Without rules the fewest rows are the product of the two largest; greedy takes not many more.
TEST(Covering, FreeProductNeedsFewRows) {
  const Values values(8, {1, 2, 3, 4});
  const WhyIllegal why = [](const Row&) { return ""; };
  const std::vector<Row> rows = covering_rows(values, Row(8, 1), why, 1);
  EXPECT_EQ(rows.front(), Row(8, 1));
  EXPECT_EQ(covered_by(rows).size(), 28U * 16);
  EXPECT_GE(rows.size(), 16U);
  EXPECT_LE(rows.size(), 40U);  // of 65536
}

TEST(Covering, SameSeedSameRows) {
  const Values values(6, {1, 2, 3});
  const WhyIllegal why = [](const Row& row) {
    return row[0] != row[5] || row[0] == 1 ? "" : "both are " + std::to_string(row[0]);
  };
  const Row start(6, 1);
  EXPECT_EQ(covering_rows(values, start, why, 5), covering_rows(values, start, why, 5));
  EXPECT_NE(covering_rows(values, start, why, 5), covering_rows(values, start, why, 6));
}

// Random values, and rules such as schedules have: products below a bound, divisibility, values
// that need another.
TEST(Covering, RandomRulesAgainstBruteForce) {
  const char* given = std::getenv("GRKAN_SEED");
  const unsigned long seed = given != nullptr ? std::strtoul(given, nullptr, 10) : 1;
  std::printf("GRKAN_SEED=%lu\n", seed);
  std::mt19937_64 random(seed);
  for (int space = 0; space < 60; ++space) {
    Values values;
    const std::size_t parameters = 3 + random() % 4;
    for (std::size_t p = 0; p < parameters; ++p) {
      std::set<int> some;
      const std::size_t count = 1 + random() % 5;
      while (some.size() < count) some.insert(1 + int(random() % 12));
      values.emplace_back(some.begin(), some.end());
    }
    const std::size_t a = random() % parameters;
    const std::size_t b = (a + 1) % parameters;
    const std::size_t c = (a + 2) % parameters;
    const int most = 8 + int(random() % 60);
    const int special = values[c][random() % values[c].size()];
    const WhyIllegal why = [=](const Row& row) -> std::string {
      const auto values_of = [&](std::size_t p, std::size_t q) {
        return std::to_string(row[p]) + " and " + std::to_string(row[q]);
      };
      if (row[a] * row[b] > most) return values_of(a, b) + " are too many";
      if (row[c] == special && row[a] % 2 != 0) return "special but " + values_of(c, a);
      if (row[b] % row[c] == 0 || row[c] % row[b] == 0) return {};
      return values_of(b, c) + " don't divide";
    };
    const Space wanted = brute_force(values, why);
    if (wanted.legal == 0) continue;
    Row start;
    Row row;
    each_row(
        values,
        [&](const Row& one) {
          if (start.empty() && why(one).empty()) start = one;
        },
        row);
    const std::vector<Row> rows = covering_rows(values, start, why, random());
    for (const Row& one : rows) EXPECT_EQ(why(one), "");
    EXPECT_LE(rows.size(), wanted.legal);
    expect_same(covered_by(rows), wanted.pairs, "space " + std::to_string(space));
  }
}

// The rows of real tasks with the parameters that rule each other at all their values, the others
// as the default has them: small enough to be enumerated.
TEST(Covering, TilesOfTasksAgainstBruteForce) {
  for (const char* name :
       {"forward/p5q4-A-c192-g8-f32-last", "backward.dx.da.db/p5q4-A-c768-g8-bf16-last",
        "backward.da/p5q4-C-c255-g5-f64-last", "backward.db/p9q15-N-c7-g1-f32-first",
        "backward.dx.da.db/p15q15-C-c3072-g1x8-f32:bf16-last"}) {
    const Task task = parse_task(name);
    for (const char* architecture : {"sm_80", "sm_100"}) {
      const Target target{architecture};
      const Schedule standard = default_schedule(task, target, 1000);
      Values values;
      Row start;
      for (const Parameter& p : standard.backend->parameters()) {
        const int usual = standard.values[start.size()];
        const bool rules = p.name == "columns" || p.name == "rows_in_flight" || p.name == "run" ||
                           p.name == "tile_columns" || p.name == "tile_rows" ||
                           p.name == "min_blocks";
        std::set<int> some = {usual};
        if (rules) some.insert(p.values.begin(), p.values.end());
        values.emplace_back(some.begin(), some.end());
        start.push_back(usual);
      }
      const WhyIllegal why = [&](const Row& row) {
        Schedule s{.backend = standard.backend};
        std::copy(row.begin(), row.end(), s.values.begin());
        return why_illegal(task, s, target);
      };
      const Space wanted = brute_force(values, why);
      const std::vector<Row> rows = covering_rows(values, start, why, 3);
      expect_same(covered_by(rows), wanted.pairs, std::string(name) + " " + architecture);
      EXPECT_LT(rows.size(), wanted.legal / 4) << name;
    }
  }
}

TEST(Covering, SchedulesAreLegalFewAndBeginWithTheDefault) {
  for (const char* name :
       {"forward/p5q4-A-c768-g8-f32-last", "backward.dx.da.db/p5q4-A-c768-g1x8-f32-last",
        "backward.da.db/p3q2-B-c24-g24-f16:f32-last", "backward.dx/p5q4-A-c6-g2-f32-first"}) {
    const Task task = parse_task(name);
    for (const char* target : {"sm_75", "sm_90", "sm_100", "x86-64-v3", "x86-64-v4"}) {
      for (const Determinism determinism : {Determinism::not_guaranteed, Determinism::run_to_run}) {
        const Target machine = parse_target(target);
        const std::vector<Schedule> schedules =
            covering_schedules(task, machine, determinism, 600, 1, 1);
        EXPECT_EQ(schedules.front(), default_schedule(task, machine, 600, 1, determinism));
        EXPECT_GT(schedules.size(), 10U) << name << " " << target;
        EXPECT_LT(schedules.size(), 400U) << name << " " << target;
        std::set<std::string> seen;
        for (const Schedule& schedule : schedules) {
          EXPECT_EQ(why_illegal(task, schedule, machine, determinism), "") << to_string(schedule);
          EXPECT_TRUE(seen.insert(to_string(schedule)).second) << to_string(schedule);
        }
      }
    }
  }
}

}  // namespace
}  // namespace grkan
