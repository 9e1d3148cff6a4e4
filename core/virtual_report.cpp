#include "core/virtual_report.h"

#include <string>

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

Json take_launches(Device& device) {
  const std::string report = device.take_virtual_report();
  return report.empty() ? Json() : Json::parse(report).at("launches");
}

Json findings_of(const Json& launches) {
  Json findings = Json::array();
  for (const Json& launch : launches) {
    for (const Json& finding : launch.at("findings")) findings.push_back(finding);
    const std::string trap = launch.at("trap").get<std::string>();
    if (trap.empty()) continue;
    findings.push_back({{"check", "trap"},
                        {"kernel", launch.at("kernel")},
                        {"line", 0},
                        {"instruction", "trap"},
                        {"detail", trap},
                        {"times", 1}});
  }
  return findings;
}

}  // namespace grkan
