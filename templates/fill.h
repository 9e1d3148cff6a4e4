// Filling a template: the two marks that turn ordinary text into a kernel's, or a file's.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace grkan {

// What fills a template: `$name` is replaced by values[name]; `//@if name`, `//@if !name`,
// `//@else`, `//@end` (each a line of its own, nested at will) keep or drop lines by
// conditions[name].
struct TemplateValues {
  std::map<std::string, std::string, std::less<>> values;
  std::map<std::string, bool, std::less<>> conditions;
};
// Throws internal on an unknown name or an unbalanced block.
std::string fill_template(std::string_view text, const TemplateValues& with);

}  // namespace grkan
