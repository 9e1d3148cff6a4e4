// Table: what every candidate of a task's space takes, as recorded on a machine or as predicted.
// Searches run on tables without hardware (replay.h).
//
// A file of JSON lines. First the head:
//   schema 1, task, target, rows, inner, threads (0: not a CPU), machine, compiler, date,
//   evidence       "measured", or "predicted": then there is one round, and nothing was timed
//   build_seconds  to compile, load and check one compiled part, on average
// Then a line a candidate, in the order of the space, the default first:
//   schedule
//   status, why    absent: ok
//   us             microseconds of a call, one number a round
//   reference_us   the default's in the same rounds
// Candidates far behind have fewer rounds. Figures have 4 digits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/target.h"
#include "core/task.h"
#include "tuner/search/search.h"

namespace grkan {

inline constexpr int kTableSchema = 1;

struct TableCandidate {
  std::string schedule;  // printed
  CandidateStatus status = CandidateStatus::ok;
  std::string why;                   // when not ok
  std::vector<double> us;            // at least one when ok
  std::vector<double> reference_us;  // as many

  bool operator==(const TableCandidate&) const = default;
  // us / reference_us, round by round, and their median: infinity when it failed.
  [[nodiscard]] std::vector<double> ratios() const;
  [[nodiscard]] double ratio() const;
};

struct Table {
  Task task;
  Target target;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  int threads = 0;
  std::string machine;
  std::string compiler;
  std::string date;
  bool predicted = false;
  double build_seconds = 0;
  std::vector<TableCandidate> candidates;

  bool operator==(const Table&) const = default;
  // The candidate with the lowest ratio, the first of equals, of those that were timed to the end:
  // in at least half as many rounds as any.
  [[nodiscard]] std::size_t best() const;
  // How far a candidate is behind another: 0.02 is 2 %. And each behind the best.
  [[nodiscard]] double regret(std::size_t candidate, std::size_t against) const;
  [[nodiscard]] std::vector<double> regrets() const;
};

// Throws invalid_argument with the line and what is wrong with it: what is missing, a candidate
// twice or without times, rounds that don't pair, a default that failed.
Table parse_table(std::string_view text);
std::string to_text(const Table& table);

// "backward.dx.da.db-p5q4-A-c768-g8-f32-last-1024.jsonl"; ":" becomes "_"; inner, where it is not
// 1, follows the rows.
std::string table_name(const Task& task, std::int64_t rows, std::int64_t inner);

// Files; throw io_error. Written whole or not at all.
Table read_table(const std::string& path);
void write_table(const std::string& folder, const Table& table);
// All tables of a folder, by name.
std::vector<Table> read_tables(const std::string& folder);

}  // namespace grkan
