// What a virtual GPU counted and found (core/virtual_report.h), as the fields of a result and as
// lines for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/verb.h"

namespace grkan::cli {

// "out_of_bounds: line 12, st.global.f32 [%rd4], %f3: thread ... (3 times)"
std::string finding_text(const Json& finding);

// The launches of one call together, and each: `elements` and `bytes` of the tensors that the task
// must move.
Json counts_of(const Json& launches, std::int64_t elements, std::int64_t bytes);

// A column for each of the counts, under its name.
std::vector<std::vector<std::string>> counts_table(const std::vector<std::string>& names,
                                                   const std::vector<Json>& counts);

}  // namespace grkan::cli
