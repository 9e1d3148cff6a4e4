// What Plan::explain tells: the choice for a size, the evidence, and what the compiler said.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/bounds.h"
#include "core/version.h"
#include "runtime/plan.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;

void set_unknown(Json& json, const char* field, const std::string& why) {
  json[field] = nullptr;
  json["why"][field] = why;
}

void set_figure(Json& json, const char* field, const std::optional<int>& value) {
  if (value) {
    json[field] = *value;
  } else {
    set_unknown(json, field, "the compiler does not tell");
  }
}

void add_evidence(Json& json, const Choice& choice) {
  if (choice.winner) {
    const FoundWinner& found = *choice.winner;
    const Winner& winner = found.stored.winner;
    json["grade"] = to_string(found.grade);
    json["tuned"] = {{"rows", winner.tuned_rows},
                     {"inner", winner.tuned_inner},
                     {"octaves_away", found.tuned_distance},
                     {"range_octaves_away", found.range_distance},
                     {"date", winner.date},
                     {"disturbed", winner.disturbed}};
    json["cache_entry"] = found.stored.path;
    if (winner.time) json["time_ns"] = {{"median", winner.time->median}};
  } else {
    set_unknown(json, "tuned", "no winner is stored for this task and device");
    set_unknown(json, "cache_entry", "no winner is stored for this task and device");
  }
  if (!json.contains("time_ns")) set_unknown(json, "time_ns", "never measured");
  set_unknown(json, "loss_estimate", "there is no cost model for sizes between measured ones");
}

void add_report(Json& json, const std::optional<Binary>& binary) {
  json["cached"] = binary.has_value();
  if (!binary || binary->kernels.empty()) return;
  const CompilerReport& report = binary->kernels.front();
  json["compiler"] = binary->compiler;
  set_figure(json, "registers", report.registers);
  set_figure(json, "spills", report.spill_bytes);
  set_figure(json, "shared_bytes", report.shared_bytes);
  set_figure(json, "code_bytes", report.code_bytes);
}

}  // namespace

std::string Plan::explain(Direction direction, std::int64_t rows, std::int64_t inner) {
  const Choice choice = choose(direction, rows, inner);
  const Task& t = task(direction);
  const Target& target = device_.target();
  Json json = {{"schema", kSchema},
               {"grkan", kVersion},
               {"task", to_string(t)},
               {"problem", to_string(t.problem)},
               {"variant", to_string(t.problem.variant)},
               {"device", device_.info().name},
               {"model", device_.info().model},
               {"target", target.name.empty() ? "portable" : target.name},
               {"direction", to_string(direction)},
               {"rows", rows},
               {"inner", inner},
               {"schedule", to_string(choice.schedule)},
               {"symbol", kernel_symbol(t, compiled_text(choice.schedule))},
               {"evidence", choice.evidence},
               {"holds",
                {{"rows", {choice.rows.low, choice.rows.high}},
                 {"inner", {choice.inner.low, choice.inner.high}}}},
               {"workspace_bytes", workspace_size(direction, inner)}};
  add_evidence(json, choice);
  if (const auto limit = finite_below(t, choice.schedule)) {
    json["finite_below"] = *limit;
  } else {
    set_unknown(json, "finite_below",
                fmt::format("variant {} has poles", to_string(t.problem.variant)));
  }
  std::optional<Binary> binary;
  if (!target.name.empty()) {
    const std::string hint = choice.winner ? choice.winner->stored.winner.binary : std::string();
    binary = context_.binaries().cached(t, choice.schedule, target, hint);
  }
  add_report(json, binary);
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace grkan
