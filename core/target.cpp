#include "core/target.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/error.h"

namespace grkan {
namespace {
constexpr std::array<std::string_view, 4> kCpus = {"x86-64-v3", "x86-64-v4", "znver4", "aarch64"};
}  // namespace

int Target::compute_capability() const {
  int value = 0;
  if (cuda()) std::from_chars(name.data() + 3, name.data() + name.size(), value);
  return value;
}

int Target::vector_bits() const {
  if (name == "x86-64-v4" || name == "znver4") return 512;
  return name == "aarch64" ? 128 : 256;
}

Target parse_target(std::string_view text) {
  if (std::find(kCpus.begin(), kCpus.end(), text) != kCpus.end()) return {std::string(text)};
  Target target{std::string(text)};
  std::string_view rest = text;
  if (target.cuda()) rest.remove_prefix(3);
  if (!rest.empty() && (rest.back() == 'a' || rest.back() == 'f')) rest.remove_suffix(1);
  const bool digits =
      (rest.size() == 2 || rest.size() == 3) &&
      std::all_of(rest.begin(), rest.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!target.cuda() || !digits) {
    fail_argument("unknown target '{}'; use {}, or a GPU architecture such as sm_90", text,
                  fmt::join(kCpus, ", "));
  }
  return target;
}

Target host_target() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4") != 0) return {"x86-64-v4"};
  if (__builtin_cpu_supports("x86-64-v3") != 0) return {"x86-64-v3"};
  return {};
#elif defined(__aarch64__)
  return {"aarch64"};
#else
  return {};
#endif
}

}  // namespace grkan
