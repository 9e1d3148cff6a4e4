// Lines and files of tables.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace grkan {

// Each line of a text, without its end.
void for_each_line(std::string_view text, const std::function<void(std::string_view)>& use);

// Throw io_error; what `use` throws is told with the file's path. All JSON lines of a folder, by
// name.
std::string read_lines(const std::string& path);
void for_each_file(const std::string& folder,
                   const std::function<void(const std::string& path, std::string_view text)>& use);
// Written whole or not at all.
void write_lines(const std::string& folder, const std::string& name, const std::string& text);

}  // namespace grkan
