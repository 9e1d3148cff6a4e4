// Where the product's other libraries lie.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace grkan {

// The paths at which `library` is looked for: the folder of this library, or of the program that it
// is linked into, then the folder lib beside that.
std::vector<std::string> places_beside(std::string_view library);

// The driver that virtual:MODEL opens. Throws no_device, naming where it was looked for.
std::string virtual_driver_path();

}  // namespace grkan
