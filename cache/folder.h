// Where the cache lies.
#pragma once

#include <string>
#include <string_view>

namespace grkan {

inline constexpr const char* kSystemCacheFolder = "/usr/share/grkan";

// The folder: the option, else GRKAN_CACHE_DIR, else XDG_CACHE_HOME/grkan (XDG: only an absolute
// one counts), else HOME/.cache/grkan, else "" (then nothing is kept). Reads the environment:
// called once, when a context is created. Makes nothing.
std::string resolve_cache_folder(std::string_view option = {});

}  // namespace grkan
