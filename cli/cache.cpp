// grkan cache list, show, verify, merge, export: what lies in the cache folder, what other folders
// have, and what others may learn from or install.
#include <fmt/format.h>

#include <fstream>
#include <memory>

#include "cache/inventory.h"
#include "cache/layer.h"
#include "cache/measurements.h"
#include "cache/merge.h"
#include "cli/options.h"
#include "cli/verb.h"
#include "core/print.h"

namespace grkan::cli {
namespace {

struct CacheOptionsOfVerb {
  std::string folder;
  std::string name;
  std::vector<std::string> sources;
  std::string measurements;  // a file to write
  std::string winners;       // a folder to write
};

VerbResult list(const std::string& folder) {
  VerbResult result;
  result.document["folder"] = folder;
  result.document["entries"] = Json::array();
  std::vector<std::vector<std::string>> rows = {
      {"kind", "name", "task", "target", "schedule", "bytes", "detail"}};
  for (const CacheEntry& entry : list_cache(folder)) {
    result.document["entries"].push_back({{"kind", entry.kind},
                                          {"name", entry.name},
                                          {"path", entry.path},
                                          {"bytes", entry.bytes},
                                          {"task", entry.task},
                                          {"schedule", entry.schedule},
                                          {"target", entry.target},
                                          {"detail", entry.detail},
                                          {"date", entry.date},
                                          {"defect", entry.defect}});
    rows.push_back({entry.kind, entry.name.substr(0, 12), entry.task, entry.target, entry.schedule,
                    fmt::format("{}", entry.bytes),
                    entry.defect.empty() ? entry.detail : "DEFECT: " + entry.defect});
  }
  result.text = rows.size() > 1 ? table(rows) : fmt::format("{} is empty\n", folder);
  return result;
}

VerbResult show(const std::string& folder, const std::string& name) {
  VerbResult result;
  const Json entry = Json::parse(show_cache_entry(folder, name));
  result.document["folder"] = folder;
  result.document["entry"] = entry;
  result.text = entry.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return result;
}

VerbResult verify(const std::string& folder) {
  const CacheVerification found = verify_cache(folder);
  VerbResult result;
  result.document = {{"folder", folder},
                     {"binaries", found.binaries},
                     {"winners", found.winners},
                     {"measurements", found.measurements},
                     {"leftovers", found.leftovers},
                     {"bytes", found.bytes},
                     {"defects", Json::array()}};
  result.text = fmt::format("{}: {} binaries, {} winners, {} measurements, {} bytes, {} defects\n",
                            folder, found.binaries, found.winners, found.measurements, found.bytes,
                            found.defects.size());
  for (const CacheDefect& defect : found.defects) {
    result.document["defects"].push_back({{"path", defect.path}, {"why", defect.why}});
    result.text += fmt::format("  {}: {}\n", defect.path, defect.why);
  }
  result.failed = !found.defects.empty();
  if (result.failed) {
    result.document["failure"] = failure_json(
        status_name(Status::io_error), fmt::format("{} files have a defect; they are never used "
                                                   "and may be deleted",
                                                   found.defects.size()));
  }
  return result;
}

Json side_json(const StoredWinner& stored) {
  const Winner& w = stored.winner;
  Json json = {{"path", stored.path},
               {"schedule", w.schedule},
               {"evidence", to_string(w.evidence)},
               {"disturbed", w.disturbed},
               {"date", w.date}};
  if (w.time) {
    json["median_ns"] = w.time->median;
  } else {
    set_null(json, "median_ns", "nothing was timed");
  }
  return json;
}

std::string side_text(const StoredWinner& stored) {
  const Winner& w = stored.winner;
  return fmt::format("{} ({}{}, {}, {})", w.schedule, w.disturbed ? "disturbed, " : "",
                     to_string(w.evidence), w.time ? duration_text(w.time->median) : "not timed",
                     w.date);
}

VerbResult merge(const std::string& folder, const std::vector<std::string>& sources) {
  const CacheMerge merged = merge_caches(folder, sources);
  VerbResult result;
  result.document = {{"folder", folder},
                     {"sources", sources},
                     {"winners", merged.winners},
                     {"binaries", merged.binaries},
                     {"measurements", merged.measurements},
                     {"present", merged.present},
                     {"conflicts", Json::array()},
                     {"defects", Json::array()}};
  result.text = fmt::format(
      "{}: {} winners, {} binaries, {} measurements brought from {} folders; {} winners were "
      "there; "
      "{} conflicts, {} defects\n",
      folder, merged.winners, merged.binaries, merged.measurements, sources.size(), merged.present,
      merged.conflicts.size(), merged.defects.size());
  for (const MergeConflict& conflict : merged.conflicts) {
    const Winner& w = conflict.won.winner;
    result.document["conflicts"].push_back({{"task", to_string(w.task)},
                                            {"device", w.device.name},
                                            {"determinism", to_string(w.determinism)},
                                            {"rows", {w.rows.low, w.rows.high}},
                                            {"inner", {w.inner.low, w.inner.high}},
                                            {"won", side_json(conflict.won)},
                                            {"lost", side_json(conflict.lost)},
                                            {"why", conflict.why}});
    result.text +=
        fmt::format("  {}, rows {}..{}, {}, {}: {}\n    {} wins over\n    {}\n", to_string(w.task),
                    w.rows.low, w.rows.high, w.device.name, to_string(w.determinism), conflict.why,
                    side_text(conflict.won), side_text(conflict.lost));
  }
  for (const CacheDefect& defect : merged.defects) {
    result.document["defects"].push_back({{"path", defect.path}, {"why", defect.why}});
    print_to(stderr, "grkan: left out: {}: {}\n", defect.path, defect.why);
  }
  return result;
}

// All lines of all logs in one file, for bench/lab/learn/train.py --more.
void export_measurements(const std::string& folder, const std::string& path, VerbResult& result) {
  const std::vector<std::string> lines = read_measurements(
      folder, {}, {},
      [](const std::string& why) { print_to(stderr, "grkan: left out: {}\n", why); });
  if (lines.empty()) {
    fail_argument("{} has no measurements; `grkan tune` makes some", folder);
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  for (const std::string& line : lines) file << line << '\n';
  file.close();
  if (!file) fail(Status::io_error, "{} can't be written", path);
  result.document["path"] = path;
  result.document["measurements"] = lines.size();
  result.text += fmt::format("{}: {} measurements of {}\n", path, lines.size(), folder);
}

// Winners to install with a program.
void export_winners(const std::string& folder, const std::string& layer, VerbResult& result) {
  const LayerExport exported = export_layer(folder, layer);
  for (const CacheDefect& defect : exported.defects) {
    print_to(stderr, "grkan: left out: {}: {}\n", defect.path, defect.why);
  }
  result.document["layer"] = layer;
  result.document["winners"] = exported.winners;
  result.document["defaults"] = exported.defaults;
  result.document["outranked"] = exported.outranked;
  result.text += fmt::format(
      "{}: {} winners of {}; {} of the default schedule and {} that others outrank were left out\n",
      layer, exported.winners, folder, exported.defaults, exported.outranked);
}

VerbResult export_some(const std::string& folder, const CacheOptionsOfVerb& options) {
  VerbResult result;
  result.document["folder"] = folder;
  if (!options.measurements.empty()) export_measurements(folder, options.measurements, result);
  if (!options.winners.empty()) export_winners(folder, options.winners, result);
  return result;
}

}  // namespace

Verb add_cache(CLI::App& app) {
  CLI::App* command = app.add_subcommand("cache", "List, show, verify, merge or export caches");
  auto options = std::make_shared<CacheOptionsOfVerb>();
  command->add_option("--cache", options->folder, "Cache folder");
  command->require_subcommand(1);
  command->fallthrough();  // options may stand behind the word
  const CLI::App* list_command = command->add_subcommand("list", "A line for each entry");
  CLI::App* show_command = command->add_subcommand("show", "One entry, whole");
  show_command->add_option("name", options->name, "Its name, or the beginning of it")->required();
  command->add_subcommand("verify", "Check every entry; exit 1 when one has a defect");
  CLI::App* merge_command =
      command->add_subcommand("merge", "Bring what other cache folders hold into this one");
  merge_command->add_option("source", options->sources, "Other cache folders; only read")
      ->required();
  CLI::App* export_command = command->add_subcommand(
      "export", "Write measurements for others to learn from, or winners to install");
  export_command->add_option("--measurements", options->measurements,
                             "A file to write, of every measurement");
  export_command->add_option(
      "--winners", options->winners,
      "A folder to write, new or empty, of the winners that are not defaults");
  export_command->require_option(1, 2);
  return {command, [=] {
            const std::string folder = cache_folder(options->folder);
            if (export_command->parsed()) return export_some(folder, *options);
            if (list_command->parsed()) return list(folder);
            if (show_command->parsed()) return show(folder, options->name);
            if (merge_command->parsed()) return merge(folder, options->sources);
            return verify(folder);
          }};
}

}  // namespace grkan::cli
