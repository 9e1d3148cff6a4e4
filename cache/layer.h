// Layer: winners that are installed with a program, for all who run it: a folder in the cache's
// form that caches read below their users' own (CacheOptions::prebuilt).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache/inventory.h"

namespace grkan {

struct LayerExport {
  std::int64_t winners = 0;          // written
  std::int64_t defaults = 0;         // left out: the default schedule's
  std::int64_t outranked = 0;        // left out: another answers in their place
  std::vector<CacheDefect> defects;  // of the cache, with the whole path: left out
};

// Writes the winners of a cache folder into `layer`, which is made where it is missing: those that
// a lookup takes, of schedules that are not the default, without the names of their binaries, which
// stay. The same winners give the same files. Throws io_error when `layer` can't be written, or
// holds anything.
LayerExport export_layer(const std::string& folder, const std::string& layer);

}  // namespace grkan
