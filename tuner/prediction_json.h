// Predictions in answers (tuner/tune.h).
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "tuner/prediction.h"

namespace grkan {

std::string_view counts_name(const Prediction& prediction);  // "executed" or "static"
// A time that was not measured: a median alone.
nlohmann::ordered_json seconds_json(const Prediction& prediction);
nlohmann::ordered_json prediction_json(const Prediction& prediction);

}  // namespace grkan
