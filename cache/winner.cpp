#include "cache/winner.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cache/files.h"
#include "core/error.h"
#include "core/text.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 3> kEvidences = {"measured", "predicted", "default"};
constexpr std::array<std::string_view, 2> kCounts = {"executed", "static"};
constexpr std::size_t kMostListed = 64;
constexpr std::size_t kLongestText = 4096;

// Reads typed fields; every mismatch throws invalid_argument with the field's name.
class Fields {
 public:
  Fields(const Json& json, std::string name) : json_(json), name_(std::move(name)) {
    if (!json.is_object()) fail_argument("winner: {} is not an object", name_);
  }

  [[nodiscard]] std::string text(const char* key) const {
    const Json& value = get(key);
    if (!value.is_string()) wrong(key, "a text");
    auto result = value.get<std::string>();
    if (result.size() > kLongestText) wrong(key, "a text of at most 4096 bytes");
    return result;
  }
  [[nodiscard]] std::int64_t integer(const char* key) const {
    const Json& value = get(key);
    // A number past 2^63 is read as unsigned or as a floating-point number.
    if (!value.is_number_integer() ||
        (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t(INT64_MAX)) ||
        value.get<std::int64_t>() < 0) {
      wrong(key, "a whole number from 0 to 2^63 - 1");
    }
    return value.get<std::int64_t>();
  }
  [[nodiscard]] bool boolean(const char* key) const {
    const Json& value = get(key);
    if (!value.is_boolean()) wrong(key, "true or false");
    return value.get<bool>();
  }
  [[nodiscard]] std::optional<double> number(const char* key) const {
    const Json& value = get(key);
    if (value.is_null()) return std::nullopt;
    if (!value.is_number()) wrong(key, "a number or null");
    const auto result = value.get<double>();
    if (!std::isfinite(result) || result < 0) wrong(key, "finite and not negative");
    return result;
  }
  [[nodiscard]] Fields object(const char* key) const { return {get(key), name_ + "." + key}; }
  [[nodiscard]] bool has(const char* key) const { return json_.contains(key); }
  [[nodiscard]] const Json& get(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) fail_argument("winner: {}.{} is missing", name_, key);
    return *found;
  }
  [[noreturn]] void wrong(const char* key, std::string_view expected) const {
    fail_argument("winner: {}.{} must be {}", name_, key, expected);
  }

 private:
  const Json& json_;
  std::string name_;
};

Json write(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

std::optional<TimeNs> read_time(const Fields& fields, const char* key) {
  if (fields.get(key).is_null()) return std::nullopt;
  const Fields time = fields.object(key);
  const std::optional<double> middle = time.number("median");
  if (!middle) time.wrong("median", "a number");
  return TimeNs{.median = *middle,
                .p10 = time.number("p10"),
                .p90 = time.number("p90"),
                .samples = time.integer("samples")};
}

DeviceDescription read_device(const Fields& fields) {
  DeviceDescription d{.kind = fields.text("kind"),
                      .architecture = fields.text("architecture"),
                      .name = fields.text("name"),
                      .features = fields.text("features"),
                      .units = fields.integer("units"),
                      .memory_bytes = fields.integer("memory_bytes"),
                      .cache_bytes = fields.integer("cache_bytes")};
  if (d.kind != "cpu" && d.kind != "cuda") fields.wrong("kind", "cpu or cuda");
  if (parse_target(d.architecture).cuda() != (d.kind == "cuda")) {
    fields.wrong("architecture", "of the device's kind");
  }
  return d;
}

Json write(const Range& range, std::int64_t tuned) {
  return {{"low", range.low}, {"high", range.high}, {"tuned", tuned}};
}

Range read_range(const Fields& fields) {
  const Range range{.low = fields.integer("low"), .high = fields.integer("high")};
  if (range.low > range.high) fields.wrong("low", "at most high");
  return range;
}

Json write(const WinnerCandidate& c) {
  return {{"schedule", c.schedule},
          {"status", c.status},
          {"time_ns", time_json(c.time)},
          {"error", {{"scaled", write(c.error_scaled)}}}};
}

WinnerCandidate read_candidate(const Fields& fields) {
  return {.schedule = fields.text("schedule"),
          .status = fields.text("status"),
          .time = read_time(fields, "time_ns"),
          .error_scaled = fields.object("error").number("scaled")};
}

// What `winner.time` is made of. A resource that another version knows is left out.
Prediction read_prediction(const Fields& fields, const Winner& winner) {
  const auto needed = [](const Fields& of, const char* key) {
    const std::optional<double> value = of.number(key);
    if (!value) of.wrong(key, "a number");
    return *value;
  };
  Prediction p;
  if (winner.time) p.ns = winner.time->median;
  p.executed = winner.evidence == Evidence::predicted_executed;
  if (fields.has("basis")) {  // earlier versions told none
    p.basis = find_basis(fields.text("basis")).value_or(Basis::unseen);
    p.basis_why = fields.text("basis_why");
    p.low_ns = needed(fields, "low_ns");
    p.high_ns = needed(fields, "high_ns");
  }
  (void)fields.text("bound");  // the largest part
  p.floor_ns = needed(fields, "floor_ns");
  p.tail_ns = needed(fields, "tail_ns");
  const Fields parts = fields.object("parts_ns");
  const Json& listed = fields.get("parts_ns");
  const Json& assumed = fields.get("assumed");
  if (listed.size() > kMostListed) fields.wrong("parts_ns", "at most 64 resources");
  for (const auto& item : listed.items()) {
    const double ns = needed(parts, item.key().c_str());
    if (const auto resource = find_resource(item.key())) at(p.parts_ns, *resource) = ns;
  }
  if (!assumed.is_array() || assumed.size() > kMostListed) {
    fields.wrong("assumed", "a list of at most 64 texts");
  }
  for (const Json& figure : assumed) {
    if (!figure.is_string()) fields.wrong("assumed", "a list of at most 64 texts");
    p.assumed.push_back(figure.get<std::string>());
  }
  return p;
}

Evidence read_evidence(const Fields& fields) {
  switch (index_of_word(kEvidences, fields.text("evidence"), "evidence")) {
    case 0:
      return Evidence::measured;
    case 1:
      return index_of_word(kCounts, fields.text("counts"), "counts") == 0
                 ? Evidence::predicted_executed
                 : Evidence::predicted_static;
    default:
      return Evidence::default_schedule;
  }
}

bool is_date(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  return std::equal(text.begin(), text.end(), kForm.begin(), kForm.end(), [](char c, char form) {
    return form == '0' ? c >= '0' && c <= '9' : c == form;
  });
}

void check_schedule(const Winner& w) {
  const Target target = parse_target(w.device.architecture);
  const std::string why =
      why_illegal(w.task, parse_schedule(w.schedule, target), target, w.determinism);
  if (!why.empty()) {
    fail_argument("winner: schedule {} does not fit its task: {}", w.schedule, why);
  }
}

Winner read_winner(const Fields& fields) {
  if (const std::int64_t schema = fields.integer("schema"); schema != kWinnerSchema) {
    fail_argument("winner: of schema {}; this grkan reads schema {}", schema, kWinnerSchema);
  }
  const Fields versions = fields.object("versions");
  const Fields rows = fields.object("rows");
  const Fields inner = fields.object("inner");
  const Fields base = fields.object("default");
  Winner w{.task = parse_task(fields.text("task")),
           .device = read_device(fields.object("device")),
           .determinism = parse_determinism(fields.text("determinism")),
           .rows = read_range(rows),
           .inner = read_range(inner),
           .tuned_rows = rows.integer("tuned"),
           .tuned_inner = inner.integer("tuned"),
           .schedule = fields.text("schedule"),
           .evidence = read_evidence(fields),
           .disturbed = fields.boolean("disturbed"),
           .time = read_time(fields, "time_ns"),
           .default_schedule = base.text("schedule"),
           .default_time = read_time(base, "time_ns"),
           .bound_kind = fields.text("bound_kind"),
           .bound_ns = fields.number("bound_ns"),
           .error_scaled = fields.object("error").number("scaled"),
           .binary = fields.text("binary"),
           .date = fields.text("date"),
           .grkan_version = versions.text("grkan"),
           .compiler = versions.text("compiler"),
           .driver = versions.text("driver"),
           .candidates = {},
           .prediction = {}};
  if (w.evidence != Evidence::default_schedule && !w.time) fields.wrong("time_ns", "an object");
  if (!w.binary.empty() && !is_content_hash(w.binary)) {
    fields.wrong("binary", "32 hexadecimal digits or empty");
  }
  if (!is_date(w.date)) fields.wrong("date", "in the form 2026-11-23T22:40:05Z");
  const Json& candidates = fields.get("candidates");
  if (!candidates.is_array() || candidates.size() > kMostListed) {
    fields.wrong("candidates", "a list of at most 64");
  }
  for (const Json& candidate : candidates) {
    w.candidates.push_back(read_candidate(Fields(candidate, "candidates")));
  }
  // Winners of the first versions have none.
  if (fields.has("prediction")) w.prediction = read_prediction(fields.object("prediction"), w);
  check_schedule(w);
  return w;
}

}  // namespace

std::string_view to_string(Evidence evidence) {
  switch (evidence) {
    case Evidence::measured:
      return kEvidences[0];
    case Evidence::predicted_executed:
    case Evidence::predicted_static:
      return kEvidences[1];
    case Evidence::default_schedule:
      break;
  }
  return kEvidences[2];
}

Json time_json(const std::optional<TimeNs>& time) {
  if (!time) return nullptr;
  return {{"median", time->median},
          {"p10", write(time->p10)},
          {"p90", write(time->p90)},
          {"samples", time->samples}};
}

Json prediction_json(const Prediction& p) {
  Json parts = Json::object();
  for (std::size_t i = 0; i < kResources; ++i) {
    parts[std::string(to_string(Resource(i)))] = p.parts_ns.at(i);
  }
  return {{"basis", to_string(p.basis)}, {"basis_why", p.basis_why},      {"low_ns", p.low_ns},
          {"high_ns", p.high_ns},        {"bound", to_string(p.bound())}, {"floor_ns", p.floor_ns},
          {"tail_ns", p.tail_ns},        {"parts_ns", std::move(parts)},  {"assumed", p.assumed}};
}

std::string to_text(const Winner& w) {
  Json json = {
      {"schema", kWinnerSchema},
      {"task", to_string(w.task)},
      {"device", device_json(w.device)},
      {"determinism", to_string(w.determinism)},
      {"rows", write(w.rows, w.tuned_rows)},
      {"inner", write(w.inner, w.tuned_inner)},
      {"schedule", w.schedule},
      {"evidence", to_string(w.evidence)},
      {"counts", nullptr},
      {"disturbed", w.disturbed},
      {"time_ns", time_json(w.time)},
      {"default", {{"schedule", w.default_schedule}, {"time_ns", time_json(w.default_time)}}},
      {"bound_kind", w.bound_kind},
      {"bound_ns", write(w.bound_ns)},
      {"error", {{"scaled", write(w.error_scaled)}}},
      {"binary", w.binary},
      {"date", w.date},
      {"versions", {{"grkan", w.grkan_version}, {"compiler", w.compiler}, {"driver", w.driver}}},
      {"candidates", Json::array()}};
  if (w.evidence == Evidence::predicted_executed) json["counts"] = kCounts[0];
  if (w.evidence == Evidence::predicted_static) json["counts"] = kCounts[1];
  for (const WinnerCandidate& c : w.candidates) json["candidates"].push_back(write(c));
  if (w.prediction) json["prediction"] = prediction_json(*w.prediction);
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Winner parse_winner(std::string_view text) {
  if (text.size() > kLargestWinner) {
    fail_argument("winner: {} bytes; at most {} are read", text.size(), kLargestWinner);
  }
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) fail_argument("winner: not JSON");
  return read_winner(Fields(json, "winner"));
}

std::string winner_folder(const Task& task, std::string_view architecture) {
  std::string name = to_string(task);
  std::replace(name.begin(), name.end(), '/', '_');
  std::replace(name.begin(), name.end(), ':', '+');
  return fmt::format("winners/{}/{}", name, architecture);
}

std::string winner_path(const Winner& winner) {
  return fmt::format("{}/{}.json", winner_folder(winner.task, winner.device.architecture),
                     content_hash(to_text(winner)));
}

std::string parse_winner_file(std::string_view bytes, std::string_view path, Winner& winner) {
  const std::size_t slash = path.rfind('/') + 1;
  if (path.substr(slash) != content_hash(bytes) + ".json") {
    return "damaged or foreign: its name is not the hash of its content";
  }
  try {
    winner = parse_winner(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  const std::string folder = winner_folder(winner.task, winner.device.architecture) + "/";
  if (path.substr(0, slash) != folder) return "in the wrong folder: it belongs into " + folder;
  return {};
}

}  // namespace grkan
