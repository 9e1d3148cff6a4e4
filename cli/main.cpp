// grkan VERB: parses the call, runs the verb, prints its result, and turns errors into exit codes:
// 0 done, 1 tried and failed, 2 the call is wrong.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "cli/verb.h"
#include "core/print.h"
#include "core/version.h"

namespace grkan::cli {
namespace {

constexpr int kSchema = 1;

int exit_code(Status status) { return status == Status::invalid_argument ? 2 : 1; }

void print_json(const Json& fields) {
  Json document = {{"schema", kSchema}, {"grkan", kVersion}};
  document.update(fields);
  // Text from outside may hold bytes that are not UTF-8; they are replaced, never an abort.
  print_to(stdout, "{}\n", document.dump(2, ' ', false, Json::error_handler_t::replace));
}

int print_failure(Status status, const std::string& message, bool json) {
  if (json) print_json({{"failure", failure_json(status_name(status), message)}});
  print_to(stderr, "grkan: {}\n", message);
  return exit_code(status);
}

int run_verb(const Verb& verb, bool json) {
  try {
    VerbResult result = verb.run();
    if (verb.shared_fields && result.document.contains("results")) {
      const std::string why =
          fmt::format("grkan {} does not find it out", verb.command->get_name());
      for (Json& entry : result.document["results"]) complete_result(entry, why);
    }
    if (json) {
      print_json(result.document);
    } else {
      print_to(stdout, "{}", result.text);
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      print_to(stderr, "grkan: standard output can't be written; is the disk full?\n");
      return 1;
    }
    return result.failed ? 1 : 0;
  } catch (const Error& error) {
    return print_failure(error.status(), error.what(), json);
  } catch (const std::bad_alloc&) {
    return print_failure(Status::out_of_memory, "out of memory; use fewer rows", json);
  } catch (const std::length_error&) {  // more elements than a container can ever have
    return print_failure(Status::out_of_memory, "too large for memory; use fewer rows", json);
  } catch (const std::exception& error) {
    return print_failure(Status::internal, error.what(), json);
  }
}

// What is wrong with a call that could not be parsed.
std::string parse_message(const CLI::ParseError& error, const std::vector<Verb>& verbs,
                          const char* first_word) {
  std::string names;
  for (const Verb& verb : verbs) {
    if (verb.command->parsed()) {
      return fmt::format("{}; see grkan {} --help", error.what(), verb.command->get_name());
    }
    names += (names.empty() ? "" : ", ") + verb.command->get_name();
  }
  if (first_word == nullptr) return fmt::format("no verb was named; use one of {}", names);
  return fmt::format("unknown verb '{}'; use one of {}", first_word, names);
}

int run(int argc, char** argv) {
  CLI::App app("GR-KAN kernels: generate, compile, check, tune, cache and explain", "grkan");
  app.set_version_flag("--version", fmt::format("grkan {}", kVersion));
  app.require_subcommand(1);
  std::vector<Verb> verbs;
  for (Verb (*add)(CLI::App&) : {add_devices, add_emit, add_compile, add_check, add_tune, add_bench,
                                 add_explain, add_cache, add_report}) {
    verbs.push_back(add(app));
  }
  bool json = false;
  for (const Verb& verb : verbs) {
    verb.command->add_flag("--json", json, "One JSON document on standard output");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    // The flag may stand behind the mistake, where parsing did not come.
    for (int i = 1; i < argc; ++i) json = json || std::string_view(argv[i]) == "--json";
    return print_failure(Status::invalid_argument, parse_message(error, verbs, argv[1]), json);
  }
  for (const Verb& verb : verbs) {
    if (verb.command->parsed()) return run_verb(verb, json);
  }
  return print_failure(Status::internal, "no verb was run", json);
}

}  // namespace
}  // namespace grkan::cli

int main(int argc, char** argv) { return grkan::cli::run(argc, argv); }
