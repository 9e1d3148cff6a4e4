#include "bench/lab/replay/left_out.h"

#include <filesystem>
#include <fstream>
#include <limits>

#include "core/error.h"

namespace grkan {

LeftOut::LeftOut(const std::string& path, const std::string& folder) {
  const std::string wanted = std::filesystem::path(folder).filename().string();
  std::ifstream file(path);
  if (!file) fail_argument("{} can't be read", path);
  std::string of;
  std::string table;
  std::string schedule;
  double cost = 0;
  while (file >> of >> table >> schedule >> cost) {
    if (of == wanted) costs_[{table, schedule}] = cost;
  }
  if (costs_.empty()) fail_argument("{} says nothing of tables of {}", path, wanted);
}

std::vector<double> LeftOut::log_costs(const Table& table) const {
  std::vector<double> costs;
  if (empty()) return costs;
  const std::string name = table_name(table.task, table.rows, table.inner);
  for (const TableCandidate& c : table.candidates) {
    const auto known = costs_.find({name, c.schedule});
    costs.push_back(known == costs_.end() ? std::numeric_limits<double>::infinity()
                                          : known->second);
  }
  return costs;
}

}  // namespace grkan
