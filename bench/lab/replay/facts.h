// FactsTable: what is known of the launches of every candidate of a table (table.h) on a GPU, so
// that cost models are tried and trained without a compiler and without a GPU.
//
// A file of JSON lines. First the head:
//   schema 1, task, target, rows, inner, gpu (a model of core/gpu_models.h), compiler, date,
//   evidence "counted"
// Then a line a candidate, in the order of the table:
//   schedule
//   status, why    absent: ok; what tuning would rule out by the compiler's figures is `pruned`,
//   and
//                  has launches too
//   from_code, executed   launches, by either kind of counts (cuda/launch_facts.h); absent where
//                  there are none. Of each launch what is not as in an empty LaunchFacts.
// Figures have 7 digits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/lab/replay/table.h"
#include "core/gpu_models.h"
#include "cuda/launch_facts.h"

namespace grkan {

struct CandidateFacts {
  std::string schedule;  // printed
  CandidateStatus status = CandidateStatus::ok;
  std::string why;                     // when not ok
  std::vector<LaunchFacts> from_code;  // both may be empty
  std::vector<LaunchFacts> executed;
};

struct FactsTable {
  Task task;
  Target target;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  std::string gpu;
  std::string compiler;
  std::string date;
  std::vector<CandidateFacts> candidates;
};

// Whether a file is of facts: its head has this evidence.
bool holds_facts(std::string_view text);
// Throws invalid_argument with the line and what is wrong with it.
FactsTable parse_facts(std::string_view text);
std::string to_text(const FactsTable& facts);

// Files, as those of table.h.
void write_facts(const std::string& folder, const FactsTable& facts);
std::vector<FactsTable> read_all_facts(const std::string& folder);

// The table that the cost model makes of them, by the counts of one kind: nothing in it was timed.
enum class Counts : std::uint8_t { from_code, executed };
Table predicted_table(const FactsTable& facts, Counts counts);

}  // namespace grkan
