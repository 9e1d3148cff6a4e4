#include "cache/cache.h"

#include <utility>

#include "cache/files.h"
#include "core/error.h"

namespace grkan {
namespace {

// Fills `file` and returns true; or false, with the defect in `why` when there is something there.
bool read_binary(const PrebuiltFolder& root, std::string_view key_hash, BinaryFile& file,
                 std::string& why) {
  const std::string path = binary_path(key_hash);
  const FileBytes read = read_private_file(root.folder, path, kLargestBinaryFile, root.trust);
  why = read.why;
  if (read.state != FileBytes::found) return false;
  std::string defect = parse_binary_file(read.bytes, file);
  if (defect.empty() && content_hash(file.key) != key_hash) {
    defect = "foreign: its key is not the one of its name";
  }
  if (defect.empty()) return true;
  why = root.folder + "/" + path + ": " + defect;
  return false;
}

}  // namespace

Cache::Cache(CacheOptions options)
    : options_(std::move(options)), log_(options_.folder, options_.warn) {}

void Cache::warn_once(const std::string& about, const std::string& message) {
  if (!options_.warn) return;
  {
    const std::scoped_lock lock(mutex_);
    if (!warned_.insert(about).second) return;
  }
  options_.warn(message);
}

std::optional<BinaryFile> Cache::load_from(const PrebuiltFolder& root, std::string_view key_hash) {
  if (root.folder.empty()) return std::nullopt;
  BinaryFile file;
  std::string why;
  if (read_binary(root, key_hash, file, why)) return file;
  if (!why.empty()) warn_once(why, "cache entry is not used: " + why);
  return std::nullopt;
}

std::optional<BinaryFile> Cache::load_binary_by_hash(std::string_view key_hash) {
  if (!is_content_hash(key_hash)) return std::nullopt;
  if (auto file = load_from({options_.folder}, key_hash)) return file;
  for (const PrebuiltFolder& prebuilt : options_.prebuilt) {
    if (auto file = load_from(prebuilt, key_hash)) return file;
  }
  return std::nullopt;
}

std::optional<std::string> Cache::load_binary(std::string_view key_text) {
  const std::string hash = content_hash(key_text);
  std::optional<BinaryFile> file = load_binary_by_hash(hash);
  if (!file) return std::nullopt;
  if (file->key != key_text) {
    const std::string path = binary_path(hash);
    warn_once(path, "cache entry is not used: " + path + ": two keys have one hash");
    return std::nullopt;
  }
  return std::move(file->payload);
}

bool Cache::store(const std::string& path, std::string_view bytes) {
  if (options_.folder.empty()) {
    warn_once("store", "nothing is kept: no cache folder; set GRKAN_CACHE_DIR");
    return false;
  }
  const std::string why = write_private_file(options_.folder, path, bytes);
  // One warning for all: a full disk is full for every entry.
  if (!why.empty()) warn_once("store", "the cache can't store: " + why);
  return why.empty();
}

bool Cache::store_binary(std::string_view key_text, std::string_view payload) {
  const std::string hash = content_hash(key_text);
  BinaryFile file;
  std::string why;
  if (!options_.folder.empty() && read_binary({options_.folder}, hash, file, why)) return true;
  file.key = key_text;
  file.payload = payload;
  return store(binary_path(hash), to_bytes(file));
}

void Cache::read_winners(const PrebuiltFolder& root, bool prebuilt, const std::string& folder,
                         std::vector<StoredWinner>& into) {
  if (root.folder.empty()) return;
  constexpr std::string_view kSuffix = ".json";
  const auto defect = [&](const std::string& why) {
    warn_once(why, "cache entry is not used: " + why);
  };
  const auto visit = [&](const std::string& name, const FileBytes& file) {
    if (file.state == FileBytes::refused) {
      defect(file.why);
      return;
    }
    StoredWinner stored;
    stored.hash = name.substr(0, name.size() - kSuffix.size());
    stored.path = root.folder + "/" + folder + "/" + name;
    stored.prebuilt = prebuilt;
    const std::string why = parse_winner_file(file.bytes, folder + "/" + name, stored.winner);
    if (why.empty()) {
      into.push_back(std::move(stored));
    } else {
      defect(stored.path + ": " + why);
    }
  };
  const std::string why =
      read_private_folder(root.folder, folder, kSuffix, kLargestWinner, visit, root.trust);
  if (!why.empty()) defect(why);
}

std::vector<StoredWinner> Cache::winners(const Task& task, std::string_view architecture) {
  std::vector<StoredWinner> all;
  const std::string folder = winner_folder(task, architecture);
  read_winners({options_.folder}, false, folder, all);
  for (const PrebuiltFolder& prebuilt : options_.prebuilt) {
    read_winners(prebuilt, true, folder, all);
  }
  return all;
}

std::optional<FoundWinner> Cache::find_winner(const WinnerQuery& query) {
  return choose_winner(winners(query.task, query.device.architecture), query);
}

bool Cache::store_winner(const Winner& winner) {
  return store(winner_path(winner), to_text(winner));
}

void Cache::record(std::string_view line, const DeviceDescription& device) {
  const std::string stamped = stamp_measurement(line, device);
  if (!stamped.empty()) log_.append(stamped);
}

void Cache::sync_records() { log_.sync(); }

std::vector<std::string> Cache::measurements(const std::optional<Task>& task,
                                             const DeviceDescription& device) {
  std::vector<std::string> lines = read_measurements(
      options_.folder, task, device,
      [this](const std::string& why) { warn_once(why, "measurements are not read: " + why); });
  std::string unsaved;
  for (const std::string& line : log_.unsaved()) unsaved += line + "\n";
  for (std::string& line : select_measurements(unsaved, task, device)) {
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace grkan
