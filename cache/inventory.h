// What lies in a cache folder, for people: list, show, verify, report. These walk the whole folder;
// nothing in a run does.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/files.h"
#include "cache/winner.h"

namespace grkan {

struct CacheEntry {
  std::string kind;  // "binary", "winner", "measurements"
  std::string path;  // relative to the folder
  std::string name;  // the hash, or the log's name: what show takes
  std::int64_t bytes = 0;
  std::string task;      // printed; empty for measurements and for entries with a defect
  std::string schedule;  // a binary's compiled part, a winner's whole
  std::string target;
  std::string detail;  // winner: evidence and range of rows; measurements: lines
  std::string date;    // winner's
  std::string defect;  // empty: intact
};

// Calls `visit` with each winner's file, or each log, and what reading it gave, by path. The entry
// says where it is, and as its defect what can't be read or is foreign by its name; what lies in
// the file is not looked at. A folder that can't be read comes as an entry too.
using CacheVisit = std::function<void(const CacheEntry& entry, const FileBytes& file)>;
void visit_winners(const std::string& folder, const CacheVisit& visit);
void visit_logs(const std::string& folder, const CacheVisit& visit);

// By path. Entries with a defect are listed with it.
std::vector<CacheEntry> list_cache(const std::string& folder);

// One entry as JSON: a winner as stored; a binary's key with the sizes; a log's lines in an array.
// `name` is a name of list_cache or a beginning that only one has; throws invalid_argument else.
std::string show_cache_entry(const std::string& folder, std::string_view name);

struct CacheDefect {
  std::string path;  // relative to the folder
  std::string why;
};
struct CacheVerification {
  std::int64_t binaries = 0;
  std::int64_t winners = 0;
  std::int64_t measurements = 0;  // lines
  std::int64_t leftovers = 0;     // unfinished files in tmp/ of killed processes: harmless
  std::int64_t bytes = 0;
  std::vector<CacheDefect> defects;
};
CacheVerification verify_cache(const std::string& folder);

// Visits every intact winner, by path, then every whole line of the logs, by file and line: text
// that nothing was checked of. What could not be read is returned.
using VisitWinner = std::function<void(const Winner& winner, const std::string& path)>;
using VisitMeasurement = std::function<void(std::string_view line)>;
std::vector<CacheDefect> visit_tunings(const std::string& folder, const VisitWinner& winner,
                                       const VisitMeasurement& measurement);

}  // namespace grkan
