// grkan report: what the cache holds as one HTML page.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "cache/files.h"
#include "cli/options.h"
#include "cli/report_page/page.h"
#include "cli/verb.h"

namespace grkan::cli {
namespace {

struct ReportOptions {
  TaskOptions task;
  std::string cache;
  std::string path = "grkan-report.html";
  std::size_t candidates = PageOptions{}.most_candidates;
};

TuningFilter filter_of(const TaskOptions& task) {
  TuningFilter filter;
  if (task.named()) filter.tasks = task.tasks();
  if (!task.rows.empty()) filter.rows = task.row_range();
  if (task.inner != 0) filter.inner = task.inner;
  if (!task.determinism.empty()) filter.determinism = task.determinism_class();
  return filter;
}

[[noreturn]] void fail_empty(const std::string& folder, const ReportOptions& options) {
  if (read_tunings(folder, {}).tasks.empty()) {
    fail_argument(
        "{} holds no tuning; run one, grkan tune p5q4-A-c768-g8-f32-last, or name another folder "
        "with --cache",
        folder);
  }
  fail_argument(
      "{} holds no tuning of what was asked for; see what it holds with grkan cache list, or run "
      "grkan tune {}",
      folder, options.task.name);
}

void write(const std::string& path, const std::string& html) {
  std::ofstream file(path, std::ios::binary);
  file << html;
  file.close();
  if (!file) fail(Status::io_error, "can't write {}; name another file with -o", path);
}

Json results(const Json& data) {
  Json entries = Json::array();
  for (const Json& task : data.at("tasks")) {
    for (const Json& tuning : task.at("tunings")) {
      const Json& winners = tuning.at("winners");
      Json entry = {{"task", task.at("task")},
                    {"device", task.at("device").at("name")},
                    {"rows", tuning.at("rows")},
                    {"inner", tuning.at("inner")},
                    {"schedule", nullptr},
                    {"evidence", nullptr},
                    {"timings", tuning.at("timings")},
                    {"candidates_shown", tuning.at("candidates").size()},
                    {"candidates_left_out", tuning.at("left_out")}};
      if (winners.empty()) {
        for (const char* field : {"schedule", "evidence"}) {
          set_null(entry, field, "no winner of this size is stored");
        }
      } else {
        const Json& winner = task.at("winners").at(winners.front().get<std::size_t>());
        for (const char* field : {"schedule", "evidence"}) entry[field] = winner.at(field);
      }
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

VerbResult report(const ReportOptions& options) {
  const std::string folder = cache_folder(options.cache);
  const CacheTunings tunings = read_tunings(folder, filter_of(options.task));
  if (tunings.tasks.empty()) fail_empty(folder, options);
  const Json data = page_data(
      tunings, {.folder = folder, .date = utc_now(), .most_candidates = options.candidates});
  const std::string html = page_html(data);
  write(options.path, html);
  VerbResult result;
  result.document = {{"path", options.path},
                     {"bytes", html.size()},
                     {"winners", tunings.winners},
                     {"measurements", tunings.lines},
                     {"left_out", data.at("left_out")},
                     {"defects", data.at("defects")},
                     {"results", results(data)}};
  result.text =
      fmt::format("{}: {} tunings, {} winners, {} measurements, {} bytes\n", options.path,
                  result.document["results"].size(), tunings.winners, tunings.lines, html.size());
  for (const Json& line : data.at("left_out")) {
    result.text += fmt::format("  left out: {}\n", line.get<std::string>());
  }
  for (const Json& defect : data.at("defects")) {
    result.text += fmt::format("  defect, not used: {}: {}\n", defect.at("path").get<std::string>(),
                               defect.at("why").get<std::string>());
  }
  return result;
}

}  // namespace

Verb add_report(CLI::App& app) {
  CLI::App* command = app.add_subcommand("report", "One HTML page of what the cache holds");
  auto options = std::make_shared<ReportOptions>();
  // Nothing given: everything is shown.
  options->task.rows.clear();
  options->task.inner = 0;
  options->task.determinism.clear();
  options->task.declare(*command);
  command->add_option("--cache", options->cache, "Cache folder");
  command->add_option("-o,--output", options->path, "The file to write")->capture_default_str();
  command->add_option("--candidates", options->candidates, "Most candidates shown of a tuning")
      ->check(whole_number(1, 1'000'000))
      ->capture_default_str();
  return {command, [options] { return report(*options); }, false};
}

}  // namespace grkan::cli
