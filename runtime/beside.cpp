#include "runtime/beside.h"

#include <dlfcn.h>
#include <fmt/ranges.h>
#include <link.h>

#include <filesystem>

#include "core/error.h"

namespace grkan {
namespace {

constexpr const char* kVirtualDriver = "libgrkan_virtual_cuda.so";

namespace fs = std::filesystem;

struct Own {
  std::string folder;  // of the file that holds this code, links followed
  bool library = false;
};

const Own& own() {
  static const Own found = [] {
    static const char anchor = 0;
    Dl_info info{};
    void* map = nullptr;
    std::string name;
    if (dladdr1(&anchor, &info, &map, RTLD_DL_LINKMAP) != 0) {
      name = static_cast<const link_map*>(map)->l_name;
    }
    const bool library = !name.empty();  // the main program has no name there
    const fs::path path = library ? name : "/proc/self/exe";
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    return Own{(error ? path : real).parent_path().string(), library};
  }();
  return found;
}

// While it is loaded: once the program has changed its folder, the relative path that a library may
// have been opened by leads nowhere.
[[gnu::constructor]] void look_early() { own(); }

}  // namespace

std::vector<std::string> places_beside(std::string_view library) {
  std::vector<std::string> folders = {own().folder};
  if (!own().library) {
    folders.push_back(own().folder + "/../lib");
    const std::string installed = own().folder + "/" + GRKAN_LIBRARIES_FROM_COMMAND;
    if (installed != folders.back()) folders.push_back(installed);
  }
  for (std::string& folder : folders) folder.append("/").append(library);
  return folders;
}

std::vector<PrebuiltFolder> prebuilt_folders() {
  std::vector<PrebuiltFolder> folders;
  const fs::path from = own().folder;
  const fs::path libraries = own().library ? from : from / GRKAN_LIBRARIES_FROM_COMMAND;
  const fs::path shared = (libraries / GRKAN_SHARED_FROM_LIBRARY).lexically_normal();
  std::error_code ignored;
  for (const fs::path& folder : {from.parent_path(), shared}) {
    if (fs::exists(folder / "winners", ignored) || fs::exists(folder / "binaries", ignored)) {
      folders.push_back({.folder = folder.string(), .trust = writers_of(from)});
    }
  }
  if (shared != kSystemCacheFolder) folders.push_back({.folder = kSystemCacheFolder});
  return folders;
}

std::string virtual_driver_path() {
  const std::vector<std::string> places = places_beside(kVirtualDriver);
  for (const std::string& place : places) {
    if (std::filesystem::exists(place)) return place;
  }
  fail(Status::no_device,
       "the virtual GPU's driver is not at {}; install {} there, or use cpu or cuda:0",
       fmt::join(places, " or "), kVirtualDriver);
}

}  // namespace grkan
