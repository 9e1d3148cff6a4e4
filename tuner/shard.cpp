#include "tuner/shard.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/text.h"

namespace grkan {
namespace {

// A quick tuning on a CPU takes about as long for this many elements as for the rest of its work
// (1.9 s at 200 x 768 elements, 21.7 s at 25216 x 768: backward, f32, no budget, 2 cores).
constexpr double kFixedElements = 2e6;

constexpr std::int64_t kMostShards = 1'000'000;

}  // namespace

Shard parse_shard(const std::string& text) {
  TextReader reader(text, "shard", "2/4: the second of four");
  Shard shard;
  shard.index = reader.number<std::int64_t>();
  reader.expect("/");
  shard.count = reader.number<std::int64_t>();
  if (!reader.done()) reader.expect("the end");
  if (shard.count < 1 || shard.count > kMostShards) {
    fail_argument("shard {}: there can be 1 to {} shards, not {}", text, kMostShards, shard.count);
  }
  if (shard.index < 1 || shard.index > shard.count) {
    fail_argument("shard {}: use 1/{} to {}/{}", text, shard.count, shard.count, shard.count);
  }
  return shard;
}

double estimated_cost(const ListedTask& listed) {
  return kFixedElements +
         double(listed.rows.high) * double(listed.task.problem.channels) * double(listed.inner);
}

// The most costly task that is left goes to the shard that has the least so far.
std::vector<ListedTask> take_shard(const std::vector<ListedTask>& list, const Shard& shard) {
  std::map<std::string, std::vector<double>> costs;
  for (const ListedTask& listed : list) {
    costs[to_string(listed.task)].push_back(estimated_cost(listed));
  }
  std::vector<std::pair<double, std::string>> tasks;
  for (auto& [task, each] : costs) {
    std::sort(each.begin(), each.end());  // a sum depends on its order
    double sum = 0;
    for (const double cost : each) sum += cost;
    tasks.emplace_back(-sum, task);
  }
  std::sort(tasks.begin(), tasks.end());
  std::set<std::pair<double, std::int64_t>> loads;  // and the shard that has it
  for (std::int64_t k = 1; k <= shard.count; ++k) loads.emplace(0, k);
  std::set<std::string> own;
  for (const auto& [minus_cost, task] : tasks) {
    const auto [load, k] = loads.extract(loads.begin()).value();
    loads.emplace(load - minus_cost, k);
    if (k == shard.index) own.insert(task);
  }
  std::vector<ListedTask> part;
  for (const ListedTask& listed : list) {
    if (own.contains(to_string(listed.task))) part.push_back(listed);
  }
  return part;
}

}  // namespace grkan
