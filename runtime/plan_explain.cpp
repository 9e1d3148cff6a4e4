// What Plan::explain tells: the choice for a size, the evidence, and what the compiler said.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/backend.h"
#include "core/bounds.h"
#include "core/cost_model.h"
#include "core/error.h"
#include "core/json.h"
#include "core/version.h"
#include "runtime/plan.h"
#include "tuner/instant_run.h"
#include "tuner/tune.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;

void add_evidence(Json& json, const TuneSite& site, const Choice& choice) {
  if (choice.winner) {
    const FoundWinner& found = *choice.winner;
    const Winner& winner = found.stored.winner;
    json["grade"] = to_string(found.grade);
    const std::string compiler = site.device.target().cuda() ? winner.compiler : std::string();
    json["tuned"] = {{"task", to_string(winner.task)},
                     {"rows", winner.tuned_rows},
                     {"inner", winner.tuned_inner},
                     {"octaves_away", found.tuned_distance},
                     {"range_octaves_away", found.range_distance},
                     {"date", winner.date},
                     {"disturbed", winner.disturbed},
                     {"current", is_current(site, winner, compiler)}};
    json["cache_entry"] = found.stored.path;
    if (winner.time) json["time_ns"] = {{"median", winner.time->median}};
  } else {
    set_null(json, "tuned", "no winner is stored for this task and device");
    set_null(json, "cache_entry", "no winner is stored for this task and device");
  }
  if (!json.contains("time_ns")) set_null(json, "time_ns", "never measured");
}

// What the schedule would take by prediction, and what tuning might gain.
void add_prediction(Json& json, const TuneSite& site, const SizedCall& call) {
  const DeviceInfo& device = site.device.info();
  const auto model = backend_of(device.target).cost_model_of(device);
  const std::optional<Prediction> p = model ? model->of_schedule(call) : std::nullopt;
  if (!p) {
    const std::string why = model ? "its cost model has no answer" : "it has no cost model";
    set_null(json, "prediction", why);
    set_null(json, "loss_estimate", why);
    return;
  }
  const TuneOutcome others =
      instant_run(device, call.task, call.rows, call.inner, site.determinism);
  PredictedRatio ratio;
  if (call.schedule != others.default_schedule) {
    const std::optional<Prediction> standard =
        model->of_schedule({call.task, others.default_schedule, call.rows, call.inner});
    if (standard) ratio = ratio_of(*p, *standard);
  }
  json["prediction"] = {
      {"ns", p->ns},
      {"low_ns", p->low_ns},
      {"high_ns", p->high_ns},
      {"basis", to_string(p->basis)},
      {"basis_why", p->basis_why},
      {"bound", to_string(p->bound())},
      {"ratio_to_default", {{"median", ratio.ratio}, {"low", ratio.low}, {"high", ratio.high}}}};
  const auto& best = others.candidates;
  if (best.empty() || !best.front().ratio_to_default) {
    set_null(json, "loss_estimate", "no other schedule is predicted");
  } else {
    json["loss_estimate"] = std::max(0.0, ratio.ratio / *best.front().ratio_to_default - 1);
  }
}

// Empty where what the cache lacks can be compiled.
std::string why_no_compiler(Compiler& compiler, const Target& target) {
  try {
    (void)compiler.describe(target);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

std::string Plan::explain(const Task& t, std::int64_t rows, std::int64_t inner) {
  PlanTable& table = t.backward() ? part_of(t.gradients) : *tables_[0];
  Choice choice = table.choose(rows, inner);
  const Target& target = device_.target();
  std::optional<Binary> binary;
  if (!target.name.empty()) {
    const bool own = choice.winner && choice.winner->stored.winner.task == t;
    const std::string hint = own ? choice.winner->stored.winner.binary : std::string();
    binary = context_.binaries().cached(t, choice.schedule, target, hint);
  }
  // What PlanTable does then.
  if (!binary && !target.name.empty() && !target.cuda() &&
      !why_no_compiler(context_.compiler(), target).empty()) {
    choice.schedule = device_.portable(t)->schedule();
    choice.evidence = "portable";
    choice.winner.reset();
  }
  Json json = {{"schema", kSchema},
               {"grkan", kVersion},
               {"task", to_string(t)},
               {"problem", to_string(t.problem)},
               {"variant", to_string(t.problem.variant)},
               {"device", device_.info().name},
               {"model", device_.info().model},
               {"target", target.name.empty() ? "portable" : target.name},
               {"direction", to_string(t.direction)},
               {"rows", rows},
               {"inner", inner},
               {"schedule", to_string(choice.schedule)},
               {"symbol", kernel_symbol(t, compiled_text(choice.schedule))},
               {"evidence", choice.evidence},
               {"holds",
                {{"rows", {choice.rows.low, choice.rows.high}},
                 {"inner", {choice.inner.low, choice.inner.high}}}},
               {"workspace_bytes", workspace_size(t.direction, inner)}};
  const TuneSite site = context_.tune_site(device_);
  add_evidence(json, site, choice);
  add_prediction(json, site, {t, choice.schedule, rows, inner});
  if (const auto limit = finite_below(t, choice.schedule)) {
    json["finite_below"] = *limit;
  } else {
    set_null(json, "finite_below",
             fmt::format("variant {} has poles", to_string(t.problem.variant)));
  }
  json["cached"] = binary.has_value();
  if (binary) {
    json["compiler"] = binary->compiler;
    add_resources(json, *binary);
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace grkan
