#include "virtual_gpu/driver/configuration.h"

#include <charconv>
#include <limits>
#include <string>

#include "core/error.h"

namespace grkan::vgpu {
namespace {

constexpr std::size_t kMostDevices = 64;
constexpr int kMostUlps = 1000;
constexpr int kMostThreads = 4096;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

template <class Number>
Number number(std::string_view key, std::string_view text, Number most) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > most) {
    fail_argument("{}={} is no number from 0 to {}", key, text, most);
  }
  return value;
}

std::bitset<kChecks> checks(std::string_view text) {
  std::bitset<kChecks> set;
  if (text == "all") return set.set();
  if (text == "none") return set;
  for (const std::string_view name : split(text, '+')) set.set(std::size_t(parse_check(name)));
  return set;
}

std::vector<const GpuModel*> models(std::string_view text) {
  std::vector<const GpuModel*> found;
  for (const std::string_view name : split(text, '+')) found.push_back(&gpu_model(name));
  if (found.size() > kMostDevices) {
    fail_argument("model={} has {} devices; there may be {}", text, found.size(), kMostDevices);
  }
  return found;
}

void apply(std::string_view part, Configuration& to) {
  const std::size_t equals = part.find('=');
  const std::string_view key = part.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1);
  LaunchOptions& options = to.options;
  if (key == "model") {
    to.models = models(value);
  } else if (key == "checks") {
    options.checks = checks(value);
  } else if (key == "seed") {
    options.seed = number(key, value, std::numeric_limits<std::uint64_t>::max());
  } else if (key == "ulps") {
    options.approximation_ulps = number(key, value, kMostUlps);
  } else if (key == "threads") {
    options.threads = number(key, value, kMostThreads);
  } else {
    fail_argument("'{}' is none of model=, checks=, seed=, ulps=, threads=", part);
  }
}

}  // namespace

Configuration parse_configuration(std::string_view text, Configuration from) {
  if (text.empty()) return from;
  for (const std::string_view part : split(text, ',')) apply(part, from);
  return from;
}

}  // namespace grkan::vgpu
