// What a verb gives back: one JSON document and the same as text for people.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/json.h"

namespace grkan::cli {

using Json = nlohmann::ordered_json;

struct VerbResult {
  Json document = Json::object();  // the verb's own fields; main adds schema and version
  std::string text;
  bool failed = false;  // tried and failed: exit 1
};

// A verb of the command line: add_* declares its options on `app` and gives what runs it once they
// are parsed. A wrong call throws Error invalid_argument (exit 2), a failure any other Error (exit
// 1).
struct Verb {
  CLI::App* command = nullptr;
  std::function<VerbResult()> run;
  bool shared_fields = true;  // false: its results don't hold the fields that results share
};

Verb add_devices(CLI::App& app);
Verb add_emit(CLI::App& app);
Verb add_compile(CLI::App& app);
Verb add_check(CLI::App& app);
Verb add_tune(CLI::App& app);
Verb add_bench(CLI::App& app);
Verb add_explain(CLI::App& app);
Verb add_cache(CLI::App& app);
Verb add_report(CLI::App& app);

// Rows of cells as aligned text; the first row is the head.
std::string table(const std::vector<std::vector<std::string>>& rows);

// "1.234 ms", "12.3 us".
std::string duration_text(double nanoseconds);

// Sets those of the fields that the results of check, tune, bench, explain and compile share
// (docs/json.md) which `entry` lacks: null, with `why`.
void complete_result(Json& entry, const std::string& why);

// {status, message}: the `failure` of a document.
Json failure_json(std::string_view status, const std::string& message);

}  // namespace grkan::cli
