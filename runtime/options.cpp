#include "runtime/options.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "cache/files.h"
#include "cache/folder.h"
#include "core/device_info.h"
#include "core/error.h"

namespace grkan {
namespace {

// Empty counts as unset, as everywhere.
std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int checked_threads(int threads, const char* where) {
  if (threads < 1 || threads > kMostThreads) {
    fail_field(where, "{} {} is out of range; use 1 to {}", where, threads, kMostThreads);
  }
  return threads;
}

int threads_of_environment() {
  const std::string text = variable("GRKAN_THREADS");
  if (text.empty()) return std::min(available_processors(), kMostThreads);
  int threads = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), threads);
  if (error != std::errc() || stop != text.data() + text.size()) {
    fail_argument("GRKAN_THREADS '{}' is not a number; use 1 to {}", text, kMostThreads);
  }
  return checked_threads(threads, "GRKAN_THREADS");
}

// Seconds since 1970, as reproducible builds have it.
std::string date_of_environment() {
  constexpr std::int64_t kLast = 253'402'300'799;  // of the year 9999
  const std::string text = variable("SOURCE_DATE_EPOCH");
  if (text.empty()) return {};
  std::int64_t seconds = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || stop != text.data() + text.size() || seconds < 0 || seconds > kLast) {
    fail_argument("SOURCE_DATE_EPOCH '{}' is no time; use seconds since 1970, 0 to {}", text,
                  kLast);
  }
  return utc_text(std::time_t(seconds));
}

}  // namespace

ContextOptions resolve(ContextOptions options) {
  options.cache_dir = resolve_cache_folder(options.cache_dir);
  options.threads =
      options.threads == 0 ? threads_of_environment() : checked_threads(options.threads, "threads");
  if (!options.log_level) {
    const std::string text = variable("GRKAN_LOG");
    options.log_level = text.empty() ? LogLevel::warn : parse_log_level(text);
  }
  if (options.unmeasured_date.empty()) options.unmeasured_date = date_of_environment();
  if (options.cuda_driver.empty()) options.cuda_driver = variable("GRKAN_CUDA_DRIVER");
  if (options.compiler.empty()) options.compiler = variable("GRKAN_COMPILER");
  if ((options.allocator.alloc == nullptr) != (options.allocator.free == nullptr)) {
    fail_field(options.allocator.alloc == nullptr ? "alloc" : "free",
               "alloc and free go together, but only {} came; give both or neither",
               options.allocator.alloc == nullptr ? "free" : "alloc");
  }
  return options;
}

}  // namespace grkan
