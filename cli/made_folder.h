// A folder of files that the command makes, and makes again: what a user put there or changed
// stays.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace grkan::cli {

// By path in the folder, with '/'.
using MadeFiles = std::map<std::string, std::string>;

// What became of files that were in the way; paths in the folder.
struct MadeFolder {
  std::vector<std::string> kept_aside;   // as FILE.old, of a user's, with `force`
  std::vector<std::string> removed;      // made by an earlier call, not by this one
  std::vector<std::string> left_behind;  // likewise, but changed since: it stays
};

// A folder that is new or empty appears whole or not at all; in one that an earlier call made each
// file is replaced whole, and `grkan.json`, which holds what was made, comes last. Throws
// invalid_argument, nothing written, for a path that is no folder, for a folder with other things
// in it, and for made files that were changed since (these two not with `force`: what is in the way
// then keeps its content under another name); io_error for what can't be written.
MadeFolder write_made_folder(const std::filesystem::path& folder, const MadeFiles& files,
                             bool force);

}  // namespace grkan::cli
