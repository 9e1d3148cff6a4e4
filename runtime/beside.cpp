#include "runtime/beside.h"

#include <dlfcn.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <filesystem>

#include "core/error.h"

namespace grkan {
namespace {

constexpr const char* kVirtualDriver = "libgrkan_virtual_cuda.so";

std::string own_folder() {
  Dl_info info{};
  static const char anchor = 0;
  if (dladdr(&anchor, &info) == 0 || info.dli_fname == nullptr) return ".";
  std::string path(info.dli_fname);
  // The main program may have been started by a relative name.
  if (path.find('/') == std::string::npos || path.front() != '/') {
    std::string link(4096, '\0');
    const ssize_t size = readlink("/proc/self/exe", link.data(), link.size());
    const bool library = path.find(".so") != std::string::npos;
    if (!library && size > 0) path = link.substr(0, std::size_t(size));
  }
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace

std::vector<std::string> places_beside(std::string_view library) {
  const std::string folder = own_folder();
  std::vector<std::string> places = {folder + "/" + std::string(library)};
  if (!folder.ends_with("/lib")) places.push_back(folder + "/../lib/" + std::string(library));
  return places;
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
