// What a tuning found, as the fields of a result (docs/json.md) and as text.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cli/verb.h"
#include "core/range.h"
#include "tuner/tune.h"

namespace grkan::cli {

Json space_json(const SpaceOutcome& space);
// `how`: the options that it was tuned with.
Json result_json(const TuneResult& result, const TuneSite& site, const TuneOptions& how);

// Reasons and their counts, the most frequent first.
std::string reasons_text(const std::map<std::string, std::int64_t>& reasons);
std::string result_text(const TuneResult& result, const Range& asked);

}  // namespace grkan::cli
