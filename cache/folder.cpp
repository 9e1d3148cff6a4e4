#include "cache/folder.h"

#include <cstdlib>

namespace grkan {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view{} : std::string_view(value);
}

}  // namespace

std::string resolve_cache_folder(std::string_view option) {
  if (!option.empty()) return std::string(option);
  if (const auto own = environment("GRKAN_CACHE_DIR"); !own.empty()) return std::string(own);
  if (const auto xdg = environment("XDG_CACHE_HOME"); xdg.starts_with('/')) {
    return std::string(xdg) + "/grkan";
  }
  if (const auto home = environment("HOME"); !home.empty()) {
    return std::string(home) + "/.cache/grkan";
  }
  return {};
}

}  // namespace grkan
