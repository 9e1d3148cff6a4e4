// Merging caches: what several machines found out, brought together in one folder.
//
// Entries are never changed and are named by their content, so that a merge is the union of the
// folders: the same in any order, and doing it again changes nothing. Which of two winners answers
// is a lookup's own rule (cache/lookup.h), told here for those that contradict each other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache/inventory.h"
#include "cache/lookup.h"

namespace grkan {

// Two winners with another schedule for the same task, device, determinism, rows and inner.
struct MergeConflict {
  StoredWinner won;
  StoredWinner lost;
  std::string why;  // "measured before predicted"
};

struct CacheMerge {
  std::int64_t winners = 0;              // that the folder did not have
  std::int64_t binaries = 0;             // the same; those that winners name
  std::int64_t measurements = 0;         // lines, the same
  std::int64_t present = 0;              // winners that it had
  std::vector<MergeConflict> conflicts;  // that the sources' winners take part in, by task
  std::vector<CacheDefect> defects;      // of sources, with the whole path: left out
};

// Brings the winners of the sources, the binaries they name, and the measurements into `folder`,
// which is made where it is missing. The sources are only read. Throws, before anything is written,
// io_error for a source that is missing or not trusted and invalid_argument for one that is
// `folder` itself; and io_error when `folder` can't be written, which loses nothing: the next merge
// goes on.
CacheMerge merge_caches(const std::string& folder, const std::vector<std::string>& sources);

}  // namespace grkan
