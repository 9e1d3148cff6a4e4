#include "tuner/prediction_json.h"

#include <string>

namespace grkan {

using Json = nlohmann::ordered_json;

std::string_view counts_name(const Prediction& prediction) {
  return prediction.executed ? "executed" : "static";
}

Json seconds_json(const Prediction& prediction) {
  return {{"median", prediction.seconds}, {"p10", nullptr}, {"p90", nullptr}, {"samples", 0}};
}

Json prediction_json(const Prediction& p) {
  Json parts = Json::object();
  for (std::size_t i = 0; i < kResources; ++i) {
    parts[std::string(to_string(Resource(i)))] = p.part(Resource(i));
  }
  return {{"counts", counts_name(p)},
          {"bound", to_string(p.bound)},
          {"floor_seconds", p.floor_seconds},
          {"fraction_of_floor", p.fraction_of_floor()},
          {"tail_seconds", p.tail_seconds},
          {"parts_seconds", parts},
          {"assumed", p.assumed}};
}

}  // namespace grkan
