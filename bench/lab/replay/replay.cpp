#include "bench/lab/replay/replay.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "bench/lab/replay/facts.h"
#include "bench/lab/replay/table_text.h"

namespace grkan {
namespace {

// A device that gives what the table has.
class Recorded {
 public:
  Recorded(const Table& table, std::uint64_t seed)
      : table_(table), next_(table.candidates.size(), seed) {}

  StepResult build(std::size_t i) {
    const TableCandidate& c = table_.candidates[i];
    if (built_.insert(c.schedule.substr(0, c.schedule.find('@'))).second) {
      seconds_ += table_.build_seconds;
    }
    if (c.status == CandidateStatus::wrong_answer) return {};
    return {.status = c.status, .why = c.why, .value = 0};
  }

  [[nodiscard]] StepResult check(std::size_t i) const {
    const TableCandidate& c = table_.candidates[i];
    return {.status = c.status, .why = c.why, .value = 0};
  }

  // A round's ratio belongs to the default's time in that round; so it is given beside the
  // default's time that the search has taken in its own.
  StepResult measure(std::size_t i) {
    const TableCandidate& c = table_.candidates[i];
    const std::size_t round = next_[i]++ % c.us.size();
    if (i == 0) reference_ = c.reference_us[round] * 1e-6;
    const double seconds = i == 0 ? reference_ : reference_ * c.us[round] / c.reference_us[round];
    seconds_ += std::max(seconds, table_.target.cuda() ? kShortestGpuTiming : kShortestTiming);
    ++measurements_;
    return {.status = CandidateStatus::ok, .why = {}, .value = seconds};
  }

  [[nodiscard]] std::size_t measurements() const { return measurements_; }
  [[nodiscard]] double seconds() const { return seconds_; }

 private:
  // Shorter calls are repeated (tuner/workbench.h).
  static constexpr double kShortestTiming = 100e-6;
  static constexpr double kShortestGpuTiming = 500e-6;

  const Table& table_;
  std::vector<std::size_t> next_;  // round of each candidate
  std::set<std::string> built_;    // compiled parts
  double reference_ = 0;           // the default's last time
  std::size_t measurements_ = 0;
  double seconds_ = 0;
};

}  // namespace

std::vector<Table> read_current_tables(const std::string& folder) {
  std::vector<Table> tables;
  for_each_file(folder, [&](const std::string& /*path*/, std::string_view text) {
    tables.push_back(holds_facts(text) ? predicted_table(parse_facts(text), Counts::executed)
                                       : parse_table(text));
  });
  for (Table& table : tables) {
    std::set<std::string> there = {table.candidates.front().schedule};
    for (const Schedule& schedule :
         enumerate_space(table.task, table.target, Determinism::run_to_run, table.rows, table.inner)
             .schedules) {
      there.insert(to_string(schedule));
    }
    std::erase_if(table.candidates,
                  [&](const TableCandidate& c) { return !there.contains(c.schedule); });
  }
  return tables;
}

Space space_of(const Table& table) {
  Space space;
  for (const TableCandidate& c : table.candidates) {
    space.schedules.push_back(parse_schedule(c.schedule, table.target));
  }
  return space;
}

ReplayResult replay(const Table& table, Strategy& strategy, SearchOptions options,
                    std::uint64_t seed) {
  Recorded device(table, seed);
  options.most_turns = 1;  // a recorded round is a median already
  const SearchFunctions functions{.build = [&](std::size_t i) { return device.build(i); },
                                  .check = [&](std::size_t i) { return device.check(i); },
                                  .measure = [&](std::size_t i) { return device.measure(i); },
                                  .record = {},
                                  .progress = {},
                                  .cancelled = {},
                                  .now = [&] { return device.seconds(); }};
  const SearchResult result = search(table.candidates.size(), strategy, functions, options);
  ReplayResult summary{.winner = result.winner,
                       .regret = table.regret(result.winner, table.best()),
                       .looked_at = 0,
                       .measurements = device.measurements(),
                       .seconds = device.seconds()};
  summary.looked_at = std::size_t(
      std::count_if(result.candidates.begin(), result.candidates.end(),
                    [](const CandidateResult& c) { return c.status != CandidateStatus::skipped; }));
  return summary;
}

}  // namespace grkan
