// disassemble(): nvdisasm as a child process.
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "codegen/cuda/sass.h"
#include "core/error.h"

namespace grkan {
namespace {

namespace fs = std::filesystem;

// A folder that only this user can read, removed with what is in it.
class PrivateFolder {
 public:
  PrivateFolder() {
    std::error_code error;
    std::string name = (fs::temp_directory_path(error) / "grkan-XXXXXX").string();
    if (error || mkdtemp(name.data()) == nullptr) {
      fail(Status::io_error, "no temporary folder {} can be made: {}", name, std::strerror(errno));
    }
    path_ = name;
  }
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;
  ~PrivateFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void add_children(std::vector<fs::path>& places, const fs::path& parent, std::string_view prefix,
                  const fs::path& below) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, error)) {
    if (entry.path().filename().string().starts_with(prefix)) {
      places.push_back(entry.path() / below / "nvdisasm");
    }
  }
}

std::vector<fs::path> places() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  if (const std::string path = variable("GRKAN_NVDISASM"); !path.empty()) return {path};
  std::vector<fs::path> found;
  if (const std::string home = variable("CUDA_HOME"); !home.empty()) {
    found.push_back(fs::path(home) / "bin" / "nvdisasm");
  }
  add_children(found, "/usr/local", "cuda", "bin");
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&add_children), &info) != 0 &&
      info.dli_fname != nullptr) {
    std::error_code error;
    const fs::path library = fs::canonical(info.dli_fname, error);
    const fs::path venv = library.parent_path().parent_path() / "venv";
    found.push_back(venv / "bin" / "nvdisasm");
    add_children(found, venv / "lib", "python", "site-packages/nvidia/cu13/bin");
    add_children(found, venv / "lib", "python", "site-packages/nvidia/cuda_nvdisasm/bin");
  }
  const std::string path = variable("PATH");
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    if (end > at) found.push_back(fs::path(path.substr(at, end - at)) / "nvdisasm");
    at = end + 1;
  }
  return found;
}

fs::path find_nvdisasm() {
  const std::vector<fs::path> all = places();
  for (const fs::path& place : all) {
    if (access(place.c_str(), X_OK) == 0) return place;
  }
  std::vector<std::string> names;
  for (const fs::path& place : all) names.push_back(place.string());
  fail(Status::no_compiler,
       "nvdisasm not found; looked for {}; install the PyPI wheel nvidia-cuda-nvdisasm or set "
       "GRKAN_NVDISASM",
       fmt::join(names, ", "));
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Runs a program with one argument, its output in `output`; the exit status.
int run(const fs::path& program, const fs::path& argument, const fs::path& output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  std::string name = program.string();
  std::string file = argument.string();
  char* arguments[] = {name.data(), file.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    fail(Status::io_error, "{} does not start: {}", program.string(), std::strerror(error));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::string disassemble(const std::string& cubin) {
  const fs::path program = find_nvdisasm();
  const PrivateFolder folder;
  const fs::path input = folder.path() / "kernel.cubin";
  const fs::path output = folder.path() / "kernel.sass";
  std::ofstream(input, std::ios::binary).write(cubin.data(), std::streamsize(cubin.size()));
  const int status = run(program, input, output);
  std::string text = read_file(output);
  if (status != 0) {
    fail(Status::io_error, "{} ended with {}: {}", program.string(), status, text.substr(0, 500));
  }
  return text;
}

}  // namespace grkan
