// Records: what a tuning keeps of its candidates, a line of JSON for each candidate and round, so
// that a killed tuning goes on, a later one knows what was measured, and a replay has its times.
//
//   schema, task, target, compiler, generator, default (schedule), rows, inner, and gpu of a
//   prediction; then schedule, status, why, error_scaled, and
//   measured:   seconds [s], reference_seconds [s] (the default's in the same round; both empty
//               when it failed)
//   predicted:  counts (of the code) or launches (as executed)
// The cache adds device, date and version (cache/measurements.h).
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tuner/request.h"
#include "tuner/search/search.h"
#include "tuner/transfer.h"

namespace grkan {

inline constexpr int kRecordSchema = 1;

// A line up to `error_scaled`.
nlohmann::ordered_json record_line(const TuneRequest& request, std::string_view default_schedule,
                                   std::string_view schedule, CandidateStatus status,
                                   std::string_view why, double error_scaled);

// The lines of request.recorded that were recorded for such a request (of the same code, beside the
// same default, for the same device and size), in order, with the place that their schedule has in
// `schedules` (printed), the default first. What is no such line is passed over.
struct OwnLine {
  std::size_t schedule = 0;
  nlohmann::ordered_json line;
};
std::vector<OwnLine> own_lines(const TuneRequest& request,
                               const std::vector<std::string>& schedules);

// The seconds that a line has by this name; none where it has none, or what is no time.
std::vector<double> recorded_times(const nlohmann::ordered_json& line, const char* key);

// What the lines of request.recorded say beside the model (transfer.h): one sample for each
// schedule of each problem that was measured by the same code, in the same direction.
std::vector<TransferSample> transfer_samples(const TuneRequest& request);

// Null for infinities and NaN.
nlohmann::ordered_json finite_json(double value);

}  // namespace grkan
