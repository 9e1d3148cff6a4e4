// The kernel skeletons of this folder as text. Ordinary CUDA C++ but for two marks, which
// codegen/cuda/source.cpp resolves: `$name` (or `${name}`) is replaced, and the lines between
// `//@if name` (or `//@if !name`), `//@else` and `//@end` stay or go.
#pragma once

#include <string_view>

namespace grkan {

// The text of templates/<name>.cu; throws internal for a name that isn't there.
std::string_view template_text(std::string_view name);

}  // namespace grkan
