// grkan cache list, show, verify: what lies in the cache folder.
#include <fmt/format.h>

#include <memory>

#include "cache/inventory.h"
#include "cli/options.h"
#include "cli/report.h"

namespace grkan::cli {
namespace {

struct CacheOptionsOfVerb {
  std::string folder;
  std::string name;
};

Report list(const std::string& folder) {
  Report report;
  report.document["folder"] = folder;
  report.document["entries"] = Json::array();
  std::vector<std::vector<std::string>> rows = {
      {"kind", "name", "task", "target", "schedule", "bytes", "detail"}};
  for (const CacheEntry& entry : list_cache(folder)) {
    report.document["entries"].push_back({{"kind", entry.kind},
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
  report.text = rows.size() > 1 ? table(rows) : fmt::format("{} is empty\n", folder);
  return report;
}

Report show(const std::string& folder, const std::string& name) {
  Report report;
  const Json entry = Json::parse(show_cache_entry(folder, name));
  report.document["folder"] = folder;
  report.document["entry"] = entry;
  report.text = entry.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return report;
}

Report verify(const std::string& folder) {
  const CacheVerification found = verify_cache(folder);
  Report report;
  report.document = {{"folder", folder},
                     {"binaries", found.binaries},
                     {"winners", found.winners},
                     {"measurements", found.measurements},
                     {"leftovers", found.leftovers},
                     {"bytes", found.bytes},
                     {"defects", Json::array()}};
  report.text = fmt::format("{}: {} binaries, {} winners, {} measurements, {} bytes, {} defects\n",
                            folder, found.binaries, found.winners, found.measurements, found.bytes,
                            found.defects.size());
  for (const CacheDefect& defect : found.defects) {
    report.document["defects"].push_back({{"path", defect.path}, {"why", defect.why}});
    report.text += fmt::format("  {}: {}\n", defect.path, defect.why);
  }
  report.failed = !found.defects.empty();
  if (report.failed) {
    report.document["failure"] = failure_json(
        status_name(Status::io_error), fmt::format("{} files have a defect; they are never used "
                                                   "and may be deleted",
                                                   found.defects.size()));
  }
  return report;
}

}  // namespace

Verb add_cache(CLI::App& app) {
  CLI::App* command = app.add_subcommand("cache", "List, show or verify what the cache holds");
  auto options = std::make_shared<CacheOptionsOfVerb>();
  command->add_option("--cache", options->folder, "Cache folder");
  command->require_subcommand(1);
  command->fallthrough();  // options may stand behind the word
  const CLI::App* list_command = command->add_subcommand("list", "A line for each entry");
  CLI::App* show_command = command->add_subcommand("show", "One entry, whole");
  show_command->add_option("name", options->name, "Its name, or the beginning of it")->required();
  command->add_subcommand("verify", "Check every entry; exit 1 when one has a defect");
  return {command, [=] {
            const std::string folder = cache_folder(options->folder);
            if (list_command->parsed()) return list(folder);
            if (show_command->parsed()) return show(folder, options->name);
            return verify(folder);
          }};
}

}  // namespace grkan::cli
