// LeftOut: what trees that never saw a table say of its candidates, as learn/train.py --left-out
// wrote it: searches begin with it, and it is held against the times as a cost model is.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/lab/replay/table.h"

namespace grkan {

class LeftOut {
 public:
  LeftOut() = default;  // says nothing
  // Of the tables of one folder, by its name. Lines "folder table schedule cost" with tabs. Throws
  // invalid_argument where the file can't be read or has none of them.
  LeftOut(const std::string& path, const std::string& folder);

  [[nodiscard]] bool empty() const { return costs_.empty(); }
  // Of each candidate of a table: the logarithm of its cost in nanoseconds, infinity where nothing
  // is said (what failed was never timed). Empty where nothing is said at all.
  [[nodiscard]] std::vector<double> log_costs(const Table& table) const;

 private:
  std::map<std::pair<std::string, std::string>, double> costs_;  // by table and schedule
};

}  // namespace grkan
