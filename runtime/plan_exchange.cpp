// A plan's choices as bytes, out and in: how the ranks of a parallel job agree.
#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "cache/files.h"
#include "core/error.h"
#include "runtime/plan.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;
constexpr std::string_view kExportKind = "grkan choices";

}  // namespace

std::string Plan::export_choices() {
  Json choices = Json::array();
  for (const auto& t : tables_) {
    if (t == nullptr) continue;
    for (const Choice& choice : t->prepared_choices()) {
      choices.push_back({{"task", to_string(t->task())},
                         {"schedule", to_string(choice.schedule)},
                         {"rows", {choice.rows.low, choice.rows.high}},
                         {"inner", {choice.inner.low, choice.inner.high}}});
    }
  }
  const std::string body = choices.dump();
  return Json{{"kind", kExportKind},
              {"schema", kSchema},
              {"problem", to_string(problem_)},
              {"target", device_.target().name},
              {"hash", content_hash(body)},
              {"choices", choices}}
      .dump();
}

void Plan::import_choices(std::string_view bytes) {
  std::array<std::vector<Choice>, 2> imported;
  try {
    const Json j = Json::parse(bytes);
    if (j.at("kind") != kExportKind || j.at("schema") != kSchema ||
        j.at("hash") != content_hash(j.at("choices").dump())) {
      fail_argument("the bytes are no undamaged export of this version; export them again");
    }
    if (j.at("problem") != to_string(problem_) || j.at("target") != device_.target().name) {
      fail_argument("the bytes are of {} on {}, but the plan is of {} on {}",
                    j.at("problem").get<std::string>(), j.at("target").get<std::string>(),
                    to_string(problem_), device_.target().name);
    }
    for (const Json& item : j.at("choices")) {
      const Task of = parse_task(item.at("task").get<std::string>());
      const auto& t = tables_.at(std::size_t(of.direction));
      if (t == nullptr || t->task() != of) continue;  // a rank that asks for other gradients
      Choice choice;
      choice.schedule = parse_schedule(item.at("schedule").get<std::string>(), device_.target());
      const auto rows = item.at("rows").get<std::array<std::int64_t, 2>>();
      const auto inner = item.at("inner").get<std::array<std::int64_t, 2>>();
      choice.rows = checked_range("rows", {rows[0], rows[1]}, 1);
      choice.inner = checked_range("inner", {inner[0], inner[1]}, 1);
      if (const std::string why =
              why_illegal(of, choice.schedule, device_.target(), context_.options().determinism);
          !why.empty() && !device_.target().name.empty()) {
        fail_argument("the bytes hold the schedule {}, which this plan can't use: {}",
                      to_string(choice.schedule), why);
      }
      imported.at(std::size_t(of.direction)).push_back(std::move(choice));
    }
  } catch (const nlohmann::json::exception& error) {
    fail_argument("the bytes are no undamaged export of a plan: {}", error.what());
  }
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    if (tables_.at(i) != nullptr) tables_.at(i)->import(std::move(imported.at(i)));
  }
  refresh_parts();
}

}  // namespace grkan
