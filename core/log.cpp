#include "core/log.h"

#include <array>
#include <cstdio>

#include "core/print.h"
#include "core/text.h"

namespace grkan {
namespace {

constexpr std::array<std::string_view, 4> kLevels = {"error", "warn", "info", "debug"};

}  // namespace

std::string_view to_string(LogLevel level) { return kLevels.at(std::size_t(level)); }

LogLevel parse_log_level(std::string_view text) {
  return LogLevel(index_of_word(kLevels, text, "log level"));
}

void Log::write(LogLevel level, const std::string& message) const {
  if (sink_.write != nullptr) {
    sink_.write(sink_.user, std::int32_t(level) + 1, message.c_str());
  } else {
    print_to(stderr, "grkan: {}: {}\n", to_string(level), message);
  }
}

}  // namespace grkan
