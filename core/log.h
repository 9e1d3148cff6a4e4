// Log: lines for people, to the caller's function or to standard error.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace grkan {

enum class LogLevel : std::uint8_t { error, warn, info, debug };
std::string_view to_string(LogLevel level);
LogLevel parse_log_level(std::string_view text);

// The caller's log, as in grkan.h: `level` counts from 1, which is error.
struct LogSink {
  void (*write)(void* user, std::int32_t level, const char* message) = nullptr;
  void* user = nullptr;
};

// Any thread may write.
class Log {
 public:
  // Lines of `level` and graver ones are written. Without a sink: to standard error.
  explicit Log(LogLevel level = LogLevel::warn, LogSink sink = {}) : level_(level), sink_(sink) {}

  template <class... Args>
  void operator()(LogLevel level, fmt::format_string<Args...> format, Args&&... args) const {
    if (level <= level_) write(level, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  void write(LogLevel level, const std::string& message) const;

  LogLevel level_;
  LogSink sink_;
};

}  // namespace grkan
