#include "cache/measurements.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "cache/files.h"
#include "core/version.h"

namespace grkan {
namespace {

constexpr const char* kFolder = "measurements";
constexpr std::chrono::seconds kInterval{1};
constexpr std::size_t kLongestLine = std::size_t{1} << 20;

// Writes what it can; the count tells a torn line from a whole one.
std::size_t write_some(int file, std::string_view bytes) {
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::write(file, bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    written += std::size_t(count);
  }
  return written;
}

}  // namespace

MeasurementLog::MeasurementLog(std::string folder, Warn warn)
    : folder_(std::move(folder)), warn_(std::move(warn)) {}

MeasurementLog::~MeasurementLog() {
  sync();
  if (file_ >= 0) ::close(file_);
}

void MeasurementLog::append(std::string_view line) {
  const std::scoped_lock lock(mutex_);
  std::string text(line);
  std::replace(text.begin(), text.end(), '\n', ' ');
  pending_.push_back(std::move(text));
  flush_locked();
  if (std::chrono::steady_clock::now() - last_sync_ >= kInterval) sync_locked();
}

void MeasurementLog::sync() {
  const std::scoped_lock lock(mutex_);
  retry_after_ = {};
  flush_locked();
  sync_locked();
}

std::vector<std::string> MeasurementLog::unsaved() {
  const std::scoped_lock lock(mutex_);
  return pending_;
}

void MeasurementLog::open_locked() {
  if (file_ >= 0 && owner_ == ::getpid()) return;
  if (file_ >= 0) ::close(file_);  // the parent's; it keeps its own descriptor
  file_ = -1;
  owner_ = ::getpid();
  torn_ = false;
  file_ = create_private_file(
      folder_, fmt::format("{}/{}-{}.jsonl", kFolder, utc_now().substr(0, 10), unique_name()));
}

// A disk that is full now may have room later: tried again, at most once a second.
void MeasurementLog::flush_locked() {
  if (pending_.empty() || folder_.empty()) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < retry_after_) return;
  errno = 0;
  open_locked();
  std::size_t done = 0;
  while (file_ >= 0 && done < pending_.size()) {
    const std::string bytes = (torn_ ? "\n" : "") + pending_[done] + "\n";
    const std::size_t written = write_some(file_, bytes);
    dirty_ = true;
    if (written == bytes.size()) {
      torn_ = false;
      ++done;
      continue;
    }
    torn_ = torn_ || written > 0;
    break;
  }
  const int code = errno;
  pending_.erase(pending_.begin(), pending_.begin() + std::ptrdiff_t(done));
  if (pending_.empty()) return;
  retry_after_ = now + kInterval;
  if (warned_ || !warn_) return;
  warned_ = true;
  warn_(fmt::format("measurements can't be written to {}/{} ({}); they are kept in memory", folder_,
                    kFolder, std::generic_category().message(code)));
}

void MeasurementLog::sync_locked() {
  if (!dirty_ || file_ < 0) return;
  ::fdatasync(file_);
  dirty_ = false;
  last_sync_ = std::chrono::steady_clock::now();
}

std::string stamp_measurement(std::string_view line, const DeviceDescription& device) {
  nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object()) return {};
  json["device"] = device_json(device);
  json["date"] = utc_now();
  json["grkan"] = kVersion;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<std::string> select_measurements(std::string_view bytes,
                                             const std::optional<Task>& task,
                                             const std::optional<DeviceDescription>& device) {
  const std::string name = task ? to_string(*task) : "";
  std::vector<std::string> lines;
  // What follows the last newline was torn off.
  for (std::size_t end = 0; (end = bytes.find('\n')) != std::string_view::npos;) {
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    if (line.size() > kLongestLine || line.find(name) == std::string_view::npos) continue;
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) continue;
    if (task && json.value("task", nlohmann::json()) != name) continue;
    const DeviceDescription of = device_of_json(json.value("device", nlohmann::json()));
    if (!device || same_device(of, *device)) lines.emplace_back(line);
  }
  return lines;
}

std::vector<std::string> read_measurements(const std::string& folder,
                                           const std::optional<Task>& task,
                                           const std::optional<DeviceDescription>& device,
                                           const Warn& warn) {
  std::vector<std::string> lines;
  if (folder.empty()) return lines;
  const auto tell = [&](const std::string& why) {
    if (warn && !why.empty()) warn(why);
  };
  tell(read_private_folder(
      folder, kFolder, ".jsonl", kLargestLog, [&](const std::string&, const FileBytes& file) {
        tell(file.why);
        std::vector<std::string> more = select_measurements(file.bytes, task, device);
        lines.insert(lines.end(), std::make_move_iterator(more.begin()),
                     std::make_move_iterator(more.end()));
      }));
  return lines;
}

}  // namespace grkan
