// Replay: the tuner's own search on a table instead of a device. Building succeeds or fails as it
// was recorded; each measurement is the next of the recorded rounds; a clock goes on by what
// building and running took.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bench/lab/replay/table.h"
#include "tuner/search/search.h"
#include "tuner/search/strategy.h"
#include "tuner/space.h"

namespace grkan {

struct ReplayResult {
  std::size_t winner = 0;
  double regret = 0;             // the winner's time over the best one's, by all rounds, less 1
  std::size_t looked_at = 0;     // candidates
  std::size_t measurements = 0;  // runs, those of the default counted
  double seconds = 0;            // by the replay's clock
};

// Tables of a folder (of facts, what is predicted from executed counts), less the candidates that
// the space of their size no longer has; the default with which they were recorded stays.
std::vector<Table> read_current_tables(const std::string& folder);

// The table's candidates as a space, for strategies.
Space space_of(const Table& table);

// Searches the table. The seed says with which round each candidate begins.
ReplayResult replay(const Table& table, Strategy& strategy, SearchOptions options,
                    std::uint64_t seed);

}  // namespace grkan
