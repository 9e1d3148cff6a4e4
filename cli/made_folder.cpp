#include "cli/made_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "cache/files.h"
#include "core/error.h"
#include "core/version.h"

namespace grkan::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kManifest = "grkan.json";

// Content hashes of what an earlier call made, by path.
using Made = std::map<std::string, std::string>;

std::optional<std::string> content_of(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return {};
  std::ifstream file(path, std::ios::binary);
  if (!file)
    fail(Status::io_error, "{} can't be read; make it readable, or move it", path.string());
  return std::string(std::istreambuf_iterator<char>(file), {});
}

[[noreturn]] void fail_to_write(const fs::path& path, const std::error_code& error) {
  fail(Status::io_error, "can't write {} ({}); name another folder", path.string(),
       error ? error.message() : "the disk may be full");
}

void write_whole(const fs::path& path, const std::string& text) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) fail_to_write(path, error);
  const fs::path unfinished = path.string() + "." + unique_name();
  std::ofstream file(unfinished, std::ios::binary);
  file << text;
  file.close();
  if (file) fs::rename(unfinished, path, error);
  if (file && !error) return;
  std::error_code ignored;
  fs::remove(unfinished, ignored);
  fail_to_write(path, error);
}

std::string manifest_of(const MadeFiles& files) {
  Json hashes = Json::object();
  for (const auto& [path, text] : files) hashes[path] = content_hash(text);
  return Json{{"made_by", fmt::format("grkan {} emit --torch-extension", kVersion)},
              {"files", hashes}}
             .dump(2) +
         "\n";
}

// A path that leads out of the folder was not written by this command.
bool is_inside(const std::string& path) {
  const fs::path relative(path);
  return !path.empty() && relative.is_relative() && relative == relative.lexically_normal() &&
         *relative.begin() != "..";
}

// Nothing where the folder was not made by this command.
std::optional<Made> read_manifest(const fs::path& folder) {
  const std::optional<std::string> text = content_of(folder / kManifest);
  if (!text) return {};
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("made_by") || !json.contains("files") ||
      !json["files"].is_object()) {
    return {};
  }
  Made made;
  for (const auto& [path, hash] : json["files"].items()) {
    if (is_inside(path) && hash.is_string()) made[path] = hash.get<std::string>();
  }
  return made;
}

// The files in the way that no earlier call made as they are.
std::vector<std::string> users_files(const fs::path& folder, const MadeFiles& files,
                                     const Made& made) {
  std::vector<std::string> found;
  for (const auto& [path, text] : files) {
    std::error_code error;
    const fs::file_status status = fs::symlink_status(folder / path, error);
    if (!fs::exists(status)) continue;
    const auto known = made.find(path);
    const std::optional<std::string> content =
        fs::is_regular_file(status) ? content_of(folder / path) : std::nullopt;
    if (content == text) continue;
    if (content && known != made.end() && content_hash(*content) == known->second) continue;
    found.push_back(path);
  }
  return found;
}

void keep_aside(const fs::path& path) {
  fs::path other = path.string() + ".old";
  std::error_code error;
  for (int n = 2; fs::exists(fs::symlink_status(other, error)); ++n) {
    other = fmt::format("{}.old{}", path.string(), n);
  }
  fs::rename(path, other, error);
  if (error) fail_to_write(other, error);
}

void remove_old(const fs::path& folder, const MadeFiles& files, const Made& made,
                MadeFolder& result) {
  for (const auto& [path, hash] : made) {
    if (files.contains(path)) continue;
    const std::optional<std::string> content = content_of(folder / path);
    if (!content) continue;
    if (content_hash(*content) != hash) {
      result.left_behind.push_back(path);
      continue;
    }
    std::error_code error;
    fs::remove(folder / path, error);
    if (error) fail_to_write(folder / path, error);
    result.removed.push_back(path);
    // Folders that are empty now; one that is not stays.
    for (fs::path parent = (folder / path).parent_path(); parent != folder && !error;
         parent = parent.parent_path()) {
      fs::remove(parent, error);
    }
  }
}

// Beside its place, then put there at once.
void write_new(const fs::path& folder, const MadeFiles& files) {
  const fs::path unfinished = folder.string() + "." + unique_name();
  std::error_code error;
  try {
    for (const auto& [path, text] : files) write_whole(unfinished / path, text);
    write_whole(unfinished / kManifest, manifest_of(files));
    fs::rename(unfinished, folder, error);
    if (error) fail_to_write(folder, error);
  } catch (...) {
    fs::remove_all(unfinished, error);
    throw;
  }
}

}  // namespace

MadeFolder write_made_folder(const fs::path& given, const MadeFiles& files, bool force) {
  std::error_code error;
  // Of a link its target, and without a '/' at the end.
  fs::path folder = fs::weakly_canonical(given, error);
  if (error) fail_to_write(given, error);
  if (!folder.has_filename()) folder = folder.parent_path();
  MadeFolder result;
  if (!fs::exists(folder, error) ||
      (fs::is_directory(folder, error) && fs::is_empty(folder, error))) {
    if (error) fail_to_write(folder, error);
    write_new(folder, files);
    return result;
  }
  if (!fs::is_directory(folder, error)) {
    fail_argument("{} is a file; name a folder", given.string());
  }
  const std::optional<Made> made = read_manifest(folder);
  if (!made && !force) {
    fail_argument(
        "{} is not empty and was not made by grkan emit; name another folder, or add --force to "
        "write among what is there (files in the way are kept as FILE.old)",
        given.string());
  }
  result.kept_aside = users_files(folder, files, made.value_or(Made()));
  if (!made && fs::exists(fs::symlink_status(folder / kManifest, error))) {
    result.kept_aside.emplace_back(kManifest);
  }
  if (!result.kept_aside.empty() && !force) {
    fail_argument(
        "{} in {} were changed since grkan emit made them; name another folder, or add --force to "
        "keep them as FILE.old",
        fmt::join(result.kept_aside, ", "), given.string());
  }
  for (const std::string& path : result.kept_aside) keep_aside(folder / path);
  for (const auto& [path, text] : files) write_whole(folder / path, text);
  remove_old(folder, files, made.value_or(Made()), result);
  write_whole(folder / kManifest, manifest_of(files));
  return result;
}

}  // namespace grkan::cli
