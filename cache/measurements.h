// Measurements: an append-only log, one file for each process, one line of JSON for each
// measurement. A line is never changed; a torn last line is ignored by the reader.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/winner.h"

namespace grkan {

inline constexpr std::size_t kLargestLog = std::size_t{256} << 20;

using Warn = std::function<void(const std::string& one_line)>;

// Thread-safe. The file (measurements/<date>-<pid>-<random>.jsonl) is made by the first append.
class MeasurementLog {
 public:
  MeasurementLog(std::string folder, Warn warn);
  ~MeasurementLog();  // flushes and syncs
  MeasurementLog(const MeasurementLog&) = delete;
  MeasurementLog& operator=(const MeasurementLog&) = delete;

  // Written at once; synced at most once a second (and by sync()). What can't be written stays in
  // memory, is tried again, and is warned of once.
  void append(std::string_view line);
  void sync();
  // Lines that are only in memory so far.
  std::vector<std::string> unsaved();

 private:
  void flush_locked();
  void open_locked();
  void sync_locked();

  std::string folder_;
  Warn warn_;
  std::mutex mutex_;
  int file_ = -1;
  int owner_ = 0;      // process that opened it: a forked child opens its own
  bool torn_ = false;  // the last write was cut off: begin with a new line
  bool warned_ = false;
  bool dirty_ = false;
  std::vector<std::string> pending_;
  std::chrono::steady_clock::time_point last_sync_;
  std::chrono::steady_clock::time_point retry_after_;
};

// The tuner's line with what the tuner doesn't know: device, date and the product's version. A line
// that is not a JSON object gives "".
std::string stamp_measurement(std::string_view line, const DeviceDescription& device);

// The lines of a log that were stamped for this task and same_device (none: any). What is not a
// JSON object is passed over, and so is what follows the last newline.
std::vector<std::string> select_measurements(std::string_view bytes,
                                             const std::optional<Task>& task,
                                             const std::optional<DeviceDescription>& device);

// The same of all files in the folder, in the order of files and lines; without a device, of any.
std::vector<std::string> read_measurements(const std::string& folder,
                                           const std::optional<Task>& task,
                                           const std::optional<DeviceDescription>& device,
                                           const Warn& warn);

}  // namespace grkan
