// Cache: binaries, winners and measurements in a folder that only this user writes. It never gets
// in the way: what can't be read is a miss, what can't be stored is a warning. No locks between
// processes; works on a folder that is missing, read-only, full or on NFS.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cache/binary_file.h"
#include "cache/files.h"
#include "cache/folder.h"
#include "cache/lookup.h"
#include "cache/measurements.h"
#include "cache/winner.h"

namespace grkan {

// winners/ and binaries/ that came with the product. Only read; the user's own go before them.
struct PrebuiltFolder {
  std::string folder;
  Trust trust = {};
};

struct CacheOptions {
  std::string folder;  // resolve_cache_folder(); "": nothing is kept
  std::vector<PrebuiltFolder> prebuilt = {{.folder = kSystemCacheFolder}};
  Warn warn;  // one line; each defect is told once; may be empty. Called from the calling thread
};

// All functions may be called from any thread; none throws for what lies in the folder.
class Cache {
 public:
  explicit Cache(CacheOptions options);

  [[nodiscard]] const std::string& folder() const { return options_.folder; }

  // The payload stored for a key text (to_text(BinaryKey)).
  std::optional<std::string> load_binary(std::string_view key_text);
  // The same by the hash that a winner names; the file's key comes with it, so that the caller can
  // see what it got.
  std::optional<BinaryFile> load_binary_by_hash(std::string_view key_hash);
  // False when it could not be stored. An intact entry is left as it is.
  bool store_binary(std::string_view key_text, std::string_view payload);

  std::optional<FoundWinner> find_winner(const WinnerQuery& query);
  // All winners of a task and architecture, the user's first.
  std::vector<StoredWinner> winners(const Task& task, std::string_view architecture);
  // False when it could not be stored.
  bool store_winner(const Winner& winner);

  // Keeps a line of the tuner with this device. Never fails: on a full disk it stays in memory.
  void record(std::string_view line, const DeviceDescription& device);
  void sync_records();
  // Every line recorded for the task (none: for any) on this device, by any process.
  std::vector<std::string> measurements(const std::optional<Task>& task,
                                        const DeviceDescription& device);

 private:
  void warn_once(const std::string& about, const std::string& message);
  std::optional<BinaryFile> load_from(const PrebuiltFolder& root, std::string_view key_hash);
  void read_winners(const PrebuiltFolder& root, bool prebuilt, const std::string& folder,
                    std::vector<StoredWinner>& into);
  bool store(const std::string& path, std::string_view bytes);

  CacheOptions options_;
  MeasurementLog log_;
  std::mutex mutex_;
  std::set<std::string> warned_;
};

}  // namespace grkan
