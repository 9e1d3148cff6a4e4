// Where the product's other libraries lie.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace grkan {

// The paths at which `library` is looked for: the folder of this library, or of the program that it
// is linked into, then the folder lib beside that.
std::vector<std::string> places_beside(std::string_view library);

}  // namespace grkan
