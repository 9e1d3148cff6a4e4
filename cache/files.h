// Files of the cache: reading only what nobody else could have written, and writing so that a
// reader sees a whole file or none. Nothing here throws: a defect is a reason in words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace grkan {

// What a read gave: bytes, or nothing there, or a reason why what is there is not used.
struct FileBytes {
  enum State : std::uint8_t { found, absent, refused } state = absent;
  std::string bytes;  // found
  std::string why;    // refused: one line, with the path
};

// Who may have written what is read, beside this user and root.
struct Trust {
  std::int64_t user = -1;   // -1: nobody
  std::int64_t group = -1;  // where the mode lets the group write
  bool all = false;         // where the mode lets all write
};
// Who can write into a folder.
Trust writers_of(const std::string& folder);

// Reads root/path. Refused: not a regular file; the file, the root or a folder between them belongs
// to neither this user nor root or can be written by group or others, unless `trust` has them;
// larger than `limit`. `path` is relative, symbolic links below the root are not followed.
FileBytes read_private_file(const std::string& root, const std::string& path, std::size_t limit,
                            const Trust& trust = {});

// The names in root/path, sorted; empty when there is no such folder. `why` is set when there is
// one that can't be trusted or read.
struct FolderNames {
  std::vector<std::string> names;
  std::string why;
};
FolderNames list_private_folder(const std::string& root, const std::string& path);

// Reads every file of root/path with such a name, in order; `visit` gets the name and what was
// found or why it is refused. Returns why the folder itself is refused, else "".
std::string read_private_folder(
    const std::string& root, const std::string& path, std::string_view suffix, std::size_t limit,
    const std::function<void(const std::string&, const FileBytes&)>& visit,
    const Trust& trust = {});

// Writes bytes to a new file in root/tmp (0700), syncs it and renames it to root/path; the folders
// (root included) are made when they are missing. Returns the reason when it can't, else "".
std::string write_private_file(const std::string& root, const std::string& path,
                               std::string_view bytes);

// Creates root/path to append to (0600), in a folder held to the rules of reading; the folders are
// made when they are missing. Returns the descriptor, or -1.
int create_private_file(const std::string& root, const std::string& path);

// A name no other process or call has: "<pid>-<random>".
std::string unique_name();

// 32 hexadecimal digits of XXH3-128.
std::string content_hash(std::string_view bytes);
bool is_content_hash(std::string_view text);

// "2026-11-23T22:40:05Z", of seconds since 1970.
std::string utc_text(std::time_t time);
std::string utc_now();

}  // namespace grkan
