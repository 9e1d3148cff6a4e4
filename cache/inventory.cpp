#include "cache/inventory.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "cache/binary_file.h"
#include "cache/files.h"
#include "cache/measurements.h"
#include "cache/winner.h"
#include "core/error.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

std::string stem(const std::string& name) { return name.substr(0, name.rfind('.')); }

void describe_binary(const std::string& bytes, CacheEntry& entry) {
  BinaryFile file;
  entry.defect = parse_binary_file(bytes, file);
  if (entry.defect.empty() && content_hash(file.key) != entry.name) {
    entry.defect = "foreign: its key is not the one of its name";
  }
  const Json key = Json::parse(file.key, nullptr, false);
  const auto text = [&](const char* field) {
    return key.is_object() && key.contains(field) && key[field].is_string()
               ? key[field].get<std::string>()
               : std::string();
  };
  entry.task = text("task");
  entry.schedule = text("schedule");
  entry.target = text("target");
  entry.detail = text("compiler");
}

void describe_winner(const std::string& bytes, CacheEntry& entry) {
  Winner w;
  entry.defect = parse_winner_file(bytes, entry.path, w);
  if (!entry.defect.empty()) return;
  entry.task = to_string(w.task);
  entry.schedule = w.schedule;
  entry.target = w.device.architecture;
  entry.date = w.date;
  entry.detail =
      fmt::format("{}{}, rows {}..{}, {}", to_string(w.evidence), w.disturbed ? " disturbed" : "",
                  w.rows.low, w.rows.high, w.device.name);
}

// What follows the last newline was torn off, which is no defect.
void for_each_line(std::string_view bytes, const VisitMeasurement& visit) {
  for (std::size_t end = 0; (end = bytes.find('\n')) != std::string_view::npos;) {
    visit(bytes.substr(0, end));
    bytes.remove_prefix(end + 1);
  }
}

// A line that is not an object is a defect.
void describe_log(const std::string& bytes, CacheEntry& entry) {
  std::size_t lines = 0;
  for_each_line(bytes, [&](std::string_view line) {
    ++lines;
    // A line that follows a torn one is begun anew after a newline: both are told.
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object() && entry.defect.empty()) {
      entry.defect = fmt::format("line {} is not a JSON object", lines);
    }
  });
  entry.detail = fmt::format("{} lines", lines);
}

// Calls `visit` with every file of a kind; a folder that can't be read comes as an entry too.
void walk(const std::string& root, const std::string& path, int depth, std::string_view suffix,
          std::size_t limit, const CacheEntry& kind, const CacheVisit& visit) {
  const FolderNames names = list_private_folder(root, path);
  if (!names.why.empty()) {
    CacheEntry entry = kind;
    entry.path = path;
    entry.defect = names.why;
    visit(entry, {});
  }
  for (const std::string& name : names.names) {
    const std::string below = fmt::format("{}/{}", path, name);
    if (depth > 0) {
      walk(root, below, depth - 1, suffix, limit, kind, visit);
      continue;
    }
    CacheEntry entry = kind;
    entry.path = below;
    entry.name = stem(name);
    const FileBytes file = read_private_file(root, below, limit);
    if (file.state == FileBytes::absent) continue;  // removed since it was listed
    entry.bytes = std::int64_t(file.bytes.size());
    entry.defect = file.why;
    if (!name.ends_with(suffix)) entry.defect = "foreign: no file of grkan has such a name";
    visit(entry, file);
  }
}

CacheEntry of_kind(const char* kind) {
  CacheEntry entry;
  entry.kind = kind;
  return entry;
}

void walk_all(const std::string& root, const CacheVisit& visit) {
  const auto describe = [&](void (*with)(const std::string&, CacheEntry&)) {
    return [&visit, with](CacheEntry entry, const FileBytes& file) {
      if (entry.defect.empty()) with(file.bytes, entry);
      visit(entry, file);
    };
  };
  walk(root, "binaries", 1, ".grkan", kLargestBinaryFile, of_kind("binary"),
       describe(describe_binary));
  visit_logs(root, describe(describe_log));
  visit_winners(root, describe(describe_winner));
}

Json show(const CacheEntry& entry, const FileBytes& file) {
  Json json = {{"kind", entry.kind}, {"path", entry.path}, {"bytes", entry.bytes}};
  if (!entry.defect.empty()) {
    json["defect"] = entry.defect;
    return json;
  }
  if (entry.kind == "binary") {
    BinaryFile binary;
    parse_binary_file(file.bytes, binary);
    json["key"] = Json::parse(binary.key, nullptr, false);
    json["payload_bytes"] = binary.payload.size();
  } else if (entry.kind == "winner") {
    json["winner"] = Json::parse(file.bytes, nullptr, false);
  } else {
    json["lines"] = Json::array();
    for_each_line(file.bytes, [&](std::string_view line) {
      json["lines"].push_back(Json::parse(line, nullptr, false));
    });
  }
  return json;
}

}  // namespace

void visit_winners(const std::string& folder, const CacheVisit& visit) {
  walk(folder, "winners", 2, ".json", kLargestWinner, of_kind("winner"), visit);
}

void visit_logs(const std::string& folder, const CacheVisit& visit) {
  walk(folder, "measurements", 0, ".jsonl", kLargestLog, of_kind("measurements"), visit);
}

std::vector<CacheEntry> list_cache(const std::string& folder) {
  std::vector<CacheEntry> entries;
  walk_all(folder, [&](const CacheEntry& entry, const FileBytes&) { entries.push_back(entry); });
  std::sort(entries.begin(), entries.end(),
            [](const CacheEntry& a, const CacheEntry& b) { return a.path < b.path; });
  return entries;
}

std::string show_cache_entry(const std::string& folder, std::string_view name) {
  Json found;
  int count = 0;
  walk_all(folder, [&](const CacheEntry& entry, const FileBytes& file) {
    if (name.empty() || !entry.name.starts_with(name)) return;
    ++count;
    if (count == 1) found = show(entry, file);
  });
  if (count == 0) fail_argument("no entry '{}' in {}; see: grkan cache list", name, folder);
  if (count > 1) fail_argument("{} entries in {} begin with '{}'; give more", count, folder, name);
  return found.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

CacheVerification verify_cache(const std::string& folder) {
  CacheVerification v;
  walk_all(folder, [&](const CacheEntry& entry, const FileBytes& file) {
    v.bytes += entry.bytes;
    if (!entry.defect.empty()) {
      v.defects.push_back({entry.path, entry.defect});
    } else if (entry.kind == "binary") {
      ++v.binaries;
    } else if (entry.kind == "winner") {
      ++v.winners;
    } else {
      v.measurements += std::count(file.bytes.begin(), file.bytes.end(), '\n');
    }
  });
  v.leftovers = std::int64_t(list_private_folder(folder, "tmp").names.size());
  return v;
}

std::vector<CacheDefect> visit_tunings(const std::string& folder, const VisitWinner& winner,
                                       const VisitMeasurement& measurement) {
  std::vector<CacheDefect> defects;
  visit_winners(folder, [&](const CacheEntry& entry, const FileBytes& file) {
    Winner found;
    const std::string why =
        entry.defect.empty() ? parse_winner_file(file.bytes, entry.path, found) : entry.defect;
    if (why.empty()) {
      winner(found, entry.path);
    } else {
      defects.push_back({entry.path, why});
    }
  });
  visit_logs(folder, [&](const CacheEntry& entry, const FileBytes& file) {
    if (entry.defect.empty()) {
      for_each_line(file.bytes, measurement);
    } else {
      defects.push_back({entry.path, entry.defect});
    }
  });
  return defects;
}

}  // namespace grkan
