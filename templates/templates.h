// What this folder holds, as text. The kernel skeletons, *.cu, are ordinary CUDA C++ but for two
// marks, which templates/fill.h resolves: `$name` (or `${name}`) is replaced, and the lines between
// `//@if name` (or `//@if !name`), `//@else` and `//@end` stay or go.
#pragma once

#include <string_view>

namespace grkan {

// The text of templates/<name>.cu. All of these throw internal for a name that isn't there.
std::string_view template_text(std::string_view name);

// The text of templates/torch_extension/<name>: the files of `grkan emit --torch-extension`. Those
// whose name ends with .in, build.toml, flake.nix and README.md have marks to fill in.
std::string_view extension_file(std::string_view name);

// The text of <name> in the root of the tree: LICENSE.
std::string_view root_file(std::string_view name);

}  // namespace grkan
