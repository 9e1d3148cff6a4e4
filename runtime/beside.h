// Where the product's other libraries lie.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cache/cache.h"

namespace grkan {

// The paths at which `library` is looked for: beside this library; of a program that this is linked
// into, beside it and in the folders of libraries of the build tree and of an installed one. Links
// are followed first, so that they lie beside the file and not beside a link to it.
std::vector<std::string> places_beside(std::string_view library);

// Prebuilt winners and binaries: the folders winners/ and binaries/ beside the folder of this
// library (or program), as in the Python package, and in the folder share/grkan of an installed
// one, where there are some, and the system's. The first two are trusted as the library is: who can
// write its folder may have written them.
std::vector<PrebuiltFolder> prebuilt_folders();

// The driver that virtual:MODEL opens. Throws no_device, naming where it was looked for.
std::string virtual_driver_path();

}  // namespace grkan
