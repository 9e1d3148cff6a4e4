// Shards: their union is the list, they don't overlap, and none has much more than its part.
#include "tuner/shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "core/error.h"

namespace grkan {
namespace {

std::vector<ListedTask> random_list(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t n) { return std::int64_t(random() % n); };
  std::vector<ListedTask> list;
  std::set<std::string> names;
  for (std::int64_t n = 1 + below(60); n > 0; --n) {
    Problem problem = parse_problem("p5q4-A-c768-g8-f32-first");
    problem.channels = 8 * (1 + below(40));
    ListedTask entry{.task = below(2) == 0 ? forward_task(problem) : backward_task(problem),
                     .rows = {1, 1 + below(below(2) == 0 ? 100 : 100'000)},
                     .inner = 1 + below(50)};
    if (names.insert(to_string(entry)).second) list.push_back(entry);
  }
  return list;
}

std::vector<std::string> names_of(const std::vector<ListedTask>& list) {
  std::vector<std::string> names;
  names.reserve(list.size());
  for (const ListedTask& entry : list) names.push_back(to_string(entry));
  return names;
}

TEST(Shard, UnionIsTheListWithoutOverlapAndBalanced) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    const std::vector<ListedTask> list = random_list(random);
    std::vector<ListedTask> shuffled = list;
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    const std::int64_t count = 1 + std::int64_t(random() % 12);
    std::vector<std::string> all;
    std::map<std::string, std::int64_t> shard_of_task;
    std::vector<double> loads;
    double most_of_a_task = 0;
    std::map<std::string, double> cost_of_task;
    for (std::int64_t k = 1; k <= count; ++k) {
      const std::vector<ListedTask> part = take_shard(list, {k, count});
      double load = 0;
      std::size_t place = 0;
      for (const ListedTask& entry : part) {
        // In the list's order.
        while (place < list.size() && !(list[place] == entry)) ++place;
        EXPECT_LT(place, list.size());
        load += estimated_cost(entry);
        const std::string task = to_string(entry.task);
        most_of_a_task = std::max(most_of_a_task, cost_of_task[task] += estimated_cost(entry));
        EXPECT_EQ(shard_of_task.emplace(task, k).first->second, k) << task << " is cut";
      }
      loads.push_back(load);
      const std::vector<std::string> names = names_of(part);
      all.insert(all.end(), names.begin(), names.end());
      // The order of the list does not matter.
      std::vector<std::string> again = names_of(take_shard(shuffled, {k, count}));
      std::vector<std::string> sorted = names;
      std::sort(again.begin(), again.end());
      std::sort(sorted.begin(), sorted.end());
      EXPECT_EQ(again, sorted);
    }
    std::vector<std::string> expected = names_of(list);
    std::sort(all.begin(), all.end());
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(all, expected);  // each once
    // Greedy: the fullest shard was the emptiest before its last task.
    const auto [least, most] = std::minmax_element(loads.begin(), loads.end());
    EXPECT_LE(*most - *least, most_of_a_task * (1 + 1e-9));
  }
}

TEST(Shard, LargeTasksAreApart) {
  std::vector<ListedTask> list;
  for (const char* task :
       {"forward/p5q4-A-c3072-g8-f32-last", "forward/p5q4-A-c8-g8-f32-last",
        "forward/p5q4-A-c16-g8-f32-last", "backward.dx/p5q4-A-c3072-g8-f32-last"}) {
    list.push_back({.task = parse_task(task), .rows = {25216, 25216}});
  }
  for (const std::int64_t k : {1, 2}) {
    const std::vector<ListedTask> part = take_shard(list, {k, 2});
    EXPECT_EQ(part.size(), 2U);
    EXPECT_EQ(
        std::count_if(part.begin(), part.end(),
                      [](const ListedTask& entry) { return entry.task.problem.channels == 3072; }),
        1);
  }
}

TEST(Shard, MoreShardsThanTasksLeavesSomeEmpty) {
  const std::vector<ListedTask> list = {
      {.task = parse_task("forward/p5q4-A-c8-g8-f32-last"), .rows = {1, 7}}};
  EXPECT_EQ(take_shard(list, {1, 3}), list);
  EXPECT_TRUE(take_shard(list, {2, 3}).empty());
  EXPECT_TRUE(take_shard(list, {3, 3}).empty());
}

TEST(Shard, WrongTexts) {
  EXPECT_EQ(parse_shard("3/12").index, 3);
  EXPECT_EQ(parse_shard("3/12").count, 12);
  for (const char* text : {"", "1", "/", "1/", "/2", "0/2", "3/2", "1/0", "0/0", "-1/2", "1/2/3",
                           "1/2 ", "one/two", "1.0/2", "1/99999999999999999999", "1/1000001"}) {
    try {
      parse_shard(text);
      ADD_FAILURE() << "taken: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), Status::invalid_argument);
      EXPECT_NE(std::string(error.what()).find("shard"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace grkan
