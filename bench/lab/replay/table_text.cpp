#include "bench/lab/replay/table_text.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "core/error.h"

namespace grkan {

namespace fs = std::filesystem;

void for_each_line(std::string_view text, const std::function<void(std::string_view)>& use) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    use(line);
  }
}

std::string read_lines(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) fail(Status::io_error, "{} can't be read", path);
  return text;
}

void for_each_file(const std::string& folder,
                   const std::function<void(const std::string&, std::string_view)>& use) {
  std::error_code failed;
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, failed)) {
    if (entry.path().extension() == ".jsonl") paths.push_back(entry.path().string());
  }
  if (failed) fail(Status::io_error, "the folder {} can't be read", folder);
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    const std::string text = read_lines(path);
    try {
      use(path, text);
    } catch (const Error& error) {
      fail_argument("{}: {}", path, error.what());
    }
  }
}

void write_lines(const std::string& folder, const std::string& name, const std::string& text) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  const fs::path path = fs::path(folder) / name;
  const fs::path unfinished = path.string() + ".new";
  std::ofstream file(unfinished, std::ios::binary);
  file << text;
  file.close();
  if (file) fs::rename(unfinished, path, failed);
  if (!file || failed) fail(Status::io_error, "{} can't be written", path.string());
}

}  // namespace grkan
