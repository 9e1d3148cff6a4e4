// The kinds of PTX instructions that counts tell apart.
#pragma once

#include <string>
#include <string_view>

namespace grkan {

// "fma" (f32; "fma f64", "fma f32x2", "fma f16"), "global load", "convert" ... of an opcode with
// its modifiers: "fma.rn.f32", "ld.global.nc.f32".
std::string ptx_class(std::string_view opcode);

}  // namespace grkan
