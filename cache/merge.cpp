#include "cache/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "cache/cache.h"
#include "core/error.h"

namespace grkan {
namespace {

// The whole lines of a log that are measurements; `damaged` is the number of the first that is
// none.
std::string intact_lines(std::string_view bytes, std::int64_t& damaged) {
  std::string lines;
  damaged = 0;
  std::int64_t number = 0;
  for (std::size_t end = 0; (end = bytes.find('\n')) != std::string_view::npos;) {
    const std::string_view line = bytes.substr(0, end + 1);
    bytes.remove_prefix(end + 1);
    ++number;
    if (nlohmann::json::parse(line, nullptr, false).is_object()) {
      lines += line;
    } else if (damaged == 0) {
      damaged = number;
    }
  }
  return lines;
}

std::int64_t count_lines(std::string_view text) {
  return std::count(text.begin(), text.end(), '\n');
}

// The tasks and architectures that sources have winners of.
using Touched = std::set<std::pair<std::string, std::string>>;

class Merge {
 public:
  explicit Merge(const std::string& folder) : folder_(folder), into_(cache_of(folder)) {}

  void take(const std::string& source) {
    Cache from(cache_of(source));
    visit_winners(source, [&](const CacheEntry& entry, const FileBytes& file) {
      Winner winner;
      const std::string why =
          entry.defect.empty() ? parse_winner_file(file.bytes, entry.path, winner) : entry.defect;
      if (why.empty()) {
        take_winner(from, entry, winner, file.bytes);
      } else {
        leave_out(source, entry, why);
      }
    });
    visit_logs(source, [&](const CacheEntry& entry, const FileBytes& file) {
      if (entry.defect.empty()) {
        take_log(source, entry, file.bytes);
      } else {
        leave_out(source, entry, entry.defect);
      }
    });
  }

  CacheMerge finish() {
    for (const auto& [task, architecture] : touched_) find_conflicts(task, architecture);
    return std::move(result_);
  }

 private:
  CacheOptions cache_of(const std::string& folder) {
    return {.folder = folder, .prebuilt = {}, .warn = [this](const std::string& why) {
              warning_ = why;
            }};
  }

  void leave_out(const std::string& source, const CacheEntry& entry, const std::string& why) {
    result_.defects.push_back({source + "/" + entry.path, why});
  }

  void write(const std::string& path, std::string_view bytes) {
    if (const std::string why = write_private_file(folder_, path, bytes); !why.empty()) {
      fail(Status::io_error, "the cache can't store: {}", why);
    }
  }

  void take_winner(Cache& from, const CacheEntry& entry, const Winner& winner,
                   const std::string& bytes) {
    hashes_.insert(entry.name);
    touched_.emplace(to_string(winner.task), winner.device.architecture);
    // The binary first: a winner that names one should find it.
    take_binary(from, winner.binary);
    if (read_private_file(folder_, entry.path, kLargestWinner).bytes == bytes) {
      ++result_.present;
      return;
    }
    write(entry.path, bytes);
    ++result_.winners;
  }

  void take_binary(Cache& from, const std::string& hash) {
    if (hash.empty() || into_.load_binary_by_hash(hash)) return;
    warning_.clear();  // of a damaged one, which is replaced
    if (const std::optional<BinaryFile> file = from.load_binary_by_hash(hash)) {
      if (!into_.store_binary(file->key, file->payload)) fail(Status::io_error, "{}", warning_);
      ++result_.binaries;
    } else if (!warning_.empty()) {
      result_.defects.push_back({from.folder() + "/" + binary_path(hash), warning_});
    }
  }

  // A log only grows, so that of two with one name the longer has the lines of the other.
  void take_log(const std::string& source, const CacheEntry& entry, const std::string& bytes) {
    std::int64_t damaged = 0;
    const std::string own =
        intact_lines(read_private_file(folder_, entry.path, kLargestLog).bytes, damaged);
    const std::string lines = intact_lines(bytes, damaged);
    if (damaged > 0) leave_out(source, entry, fmt::format("line {} is not a JSON object", damaged));
    if (own.starts_with(lines)) return;
    if (!lines.starts_with(own)) {
      leave_out(source, entry, "the cache has another log of this name");
      return;
    }
    write(entry.path, lines);
    result_.measurements += count_lines(lines) - count_lines(own);
  }

  void find_conflicts(const std::string& task, const std::string& architecture) {
    std::vector<StoredWinner> left = into_.winners(parse_task(task), architecture);
    while (!left.empty()) {
      const Winner first = left.front().winner;
      const auto rival = [&](const StoredWinner& other) {
        const Winner& w = other.winner;
        return w.determinism == first.determinism && w.rows == first.rows &&
               w.inner == first.inner && same_device(w.device, first.device);
      };
      const auto others = std::stable_partition(left.begin(), left.end(), rival);
      const std::vector<StoredWinner> rivals(left.begin(), others);
      left.erase(left.begin(), others);
      compare(rivals);
    }
  }

  void compare(const std::vector<StoredWinner>& rivals) {
    const Winner& first = rivals.front().winner;
    const WinnerQuery query = {.task = first.task,
                               .device = first.device,
                               .determinism = first.determinism,
                               .rows = first.rows.low,
                               .inner = first.inner.low};
    const std::optional<FoundWinner> won = choose_winner(rivals, query);
    for (const StoredWinner& stored : rivals) {
      const std::optional<FoundWinner> lost = choose_winner({stored}, query);
      if (!won || !lost || stored.winner.schedule == won->stored.winner.schedule) continue;
      if (!hashes_.contains(stored.hash) && !hashes_.contains(won->stored.hash)) continue;
      result_.conflicts.push_back({won->stored, stored, why_better(*won, *lost)});
    }
  }

  std::string folder_;
  std::string warning_;  // the last one of a cache
  Cache into_;
  CacheMerge result_;
  Touched touched_;
  std::set<std::string> hashes_;  // of the sources' winners
};

void check_source(const std::string& source, const std::string& folder) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(source, ignored)) {
    fail(Status::io_error, "source {} is not used: there is no such folder", source);
  }
  if (std::filesystem::equivalent(source, folder, ignored)) {
    fail_argument("source {} is the cache that it would be merged into; use --cache for another",
                  source);
  }
  if (const std::string why = list_private_folder(source, "").why; !why.empty()) {
    fail(Status::io_error, "source {} is not used: {}", source, why);
  }
}

}  // namespace

CacheMerge merge_caches(const std::string& folder, const std::vector<std::string>& sources) {
  for (const std::string& source : sources) check_source(source, folder);
  Merge merge(folder);
  for (const std::string& source : sources) merge.take(source);
  return merge.finish();
}

}  // namespace grkan
