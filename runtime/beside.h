// Where the product's other libraries lie.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace grkan {

// The paths at which `library` is looked for: beside this library; of a program that this is linked
// into, beside it and in the folders of libraries of the build tree and of an installed one. Links
// are followed first, so that they lie beside the file and not beside a link to it.
std::vector<std::string> places_beside(std::string_view library);

// The driver that virtual:MODEL opens. Throws no_device, naming where it was looked for.
std::string virtual_driver_path();

}  // namespace grkan
