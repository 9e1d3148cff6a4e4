// Runs the built command with a cache folder of its own.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace grkan {

using Json = nlohmann::json;
using Words = std::vector<std::string>;
namespace fs = std::filesystem;

inline std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Result {
  int exit_code = -1;  // -1: ended by a signal
  std::string out;
  std::string err;

  // All of standard output as one document: anything beside it is a parse error.
  [[nodiscard]] Json json() const {
    const Json document = Json::parse(out, nullptr, false);
    EXPECT_FALSE(document.is_discarded()) << "not one JSON document: " << out << err;
    return document;
  }
};

// The command with the cache folder `folder`/cache.
class Command {
 public:
  explicit Command(fs::path folder, std::string program = GRKAN_COMMAND)
      : folder_(std::move(folder)), program_(std::move(program)) {
    fs::create_directories(folder_);
    fs::permissions(folder_, fs::perms::owner_all);
  }
  [[nodiscard]] fs::path cache() const { return folder_ / "cache"; }

  void start(const Words& words) {
    Words all = {program_};
    all.insert(all.end(), words.begin(), words.end());
    std::vector<char*> arguments;
    for (std::string& word : all) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    setenv("GRKAN_CACHE_DIR", cache().c_str(), 1);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, (folder_ / "out").c_str(), flags, 0600);
    posix_spawn_file_actions_addopen(&files, 2, (folder_ / "err").c_str(), flags, 0600);
    ASSERT_EQ(posix_spawn(&process_, program_.c_str(), &files, nullptr, arguments.data(), environ),
              0);
    posix_spawn_file_actions_destroy(&files);
  }
  void interrupt() const { kill(process_, SIGINT); }
  Result wait() {
    int status = 0;
    waitpid(process_, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(folder_ / "out"),
            read_file(folder_ / "err")};
  }
  Result run(const Words& words) {
    start(words);
    return wait();
  }

 private:
  fs::path folder_;
  std::string program_;
  pid_t process_ = 0;
};

}  // namespace grkan
