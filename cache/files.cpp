#include "cache/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>
#include <system_error>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace grkan {
namespace {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  [[nodiscard]] int get() const { return value_; }
  [[nodiscard]] bool ok() const { return value_ >= 0; }
  // NFS tells of a full disk as late as here.
  bool close() { return ::close(std::exchange(value_, -1)) == 0; }

 private:
  int value_;
};

std::string error_text(int code) { return std::generic_category().message(code); }

// An opened file or folder, or nothing there, or why it is not used.
struct Opened {
  Descriptor descriptor;
  struct stat status{};
  bool absent = false;
  std::string why;
};

// Who else can write a file decides what this process runs: native code comes from here.
std::string why_untrusted(const struct stat& status, const std::string& path, const Trust& trust) {
  if (status.st_uid != ::geteuid() && status.st_uid != 0 && status.st_uid != trust.user) {
    return fmt::format("{} belongs to user {}; only files of user {} or of root are used", path,
                       status.st_uid, ::geteuid());
  }
  const bool group = (status.st_mode & S_IWGRP) != 0 && status.st_gid != trust.group;
  const bool all = (status.st_mode & S_IWOTH) != 0;
  if ((group || all) && !trust.all) {
    return fmt::format("{} can be written by others (mode {:o}); use: chmod go-w", path,
                       status.st_mode & 07777U);
  }
  return {};
}

// O_NONBLOCK: opening a FIFO that somebody put there must not wait.
Opened open_trusted(int folder, const char* name, const std::string& path, int flags,
                    const Trust& trust) {
  Opened opened;
  opened.descriptor =
      Descriptor(::openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags));
  if (!opened.descriptor.ok()) {
    opened.absent = errno == ENOENT;
    if (errno == ELOOP) {
      opened.why = path + " is a symbolic link";
    } else if (!opened.absent) {
      opened.why = fmt::format("{}: {}", path, error_text(errno));
    }
    return opened;
  }
  if (::fstat(opened.descriptor.get(), &opened.status) != 0) {
    opened.why = fmt::format("{}: {}", path, error_text(errno));
  } else {
    opened.why = why_untrusted(opened.status, path, trust);
  }
  return opened;
}

// Opens root/path as a folder, checking every folder on the way from the root.
Opened open_folder(const std::string& root, std::string_view path, const Trust& trust = {}) {
  std::string full = root;
  Opened at = open_trusted(AT_FDCWD, root.c_str(), root, O_DIRECTORY, trust);
  while (!path.empty() && !at.absent && at.why.empty()) {
    const std::string name(path.substr(0, path.find('/')));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    full += "/" + name;
    at = open_trusted(at.descriptor.get(), name.c_str(), full, O_DIRECTORY | O_NOFOLLOW, trust);
  }
  return at;
}

std::pair<std::string, std::string> split(const std::string& path) {
  const std::size_t at = path.rfind('/');
  if (at == std::string::npos) return {"", path};
  return {path.substr(0, at), path.substr(at + 1)};
}

// Reads to the end, at most limit bytes. Returns why it can't.
std::string read_all(int file, std::size_t expected, std::size_t limit, std::string& bytes) {
  bytes.resize(expected + 1);  // one more, to see the end without another round
  std::size_t size = 0;
  while (true) {
    const ssize_t count = ::read(file, bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return error_text(errno);
    if (count == 0) break;
    size += std::size_t(count);
    if (size > limit) return fmt::format("larger than {} bytes", limit);
    if (size == bytes.size()) bytes.resize(bytes.size() * 2);
  }
  bytes.resize(size);
  return {};
}

// Reads a file of an opened folder; `full` is its path for messages.
FileBytes read_in(int folder, const std::string& name, const std::string& full, std::size_t limit,
                  const Trust& trust) {
  const Opened at = open_trusted(folder, name.c_str(), full, O_NOFOLLOW, trust);
  FileBytes result;
  if (at.absent) return result;
  result.state = FileBytes::refused;
  result.why = at.why;
  if (!result.why.empty()) return result;
  if (!S_ISREG(at.status.st_mode)) {
    result.why = full + " is not a regular file";
  } else if (std::size_t(at.status.st_size) > limit) {
    result.why =
        fmt::format("{} has {} bytes; at most {} are read", full, at.status.st_size, limit);
  } else if (std::string why =
                 read_all(at.descriptor.get(), std::size_t(at.status.st_size), limit, result.bytes);
             !why.empty()) {
    result.why = fmt::format("{}: {}", full, why);
  } else {
    result.state = FileBytes::found;
  }
  return result;
}

FolderNames list(const Opened& at, const std::string& full) {
  FolderNames result;
  result.why = at.why;
  if (at.absent || !at.why.empty()) return result;
  // fdopendir takes the descriptor it is given.
  DIR* folder = ::fdopendir(::dup(at.descriptor.get()));
  if (folder == nullptr) {
    result.why = fmt::format("{}: {}", full, error_text(errno));
    return result;
  }
  while (const dirent* entry = ::readdir(folder)) {  // NOLINT(concurrency-mt-unsafe): own stream
    std::string name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") result.names.push_back(std::move(name));
  }
  ::closedir(folder);
  std::sort(result.names.begin(), result.names.end());
  return result;
}

std::string write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return error_text(errno);
    bytes.remove_prefix(std::size_t(count));
  }
  return {};
}

// Some file systems have nothing to sync and say EINVAL.
std::string sync(int file) {
  if (::fsync(file) == 0 || errno == EINVAL || errno == ENOTSUP) return {};
  return error_text(errno);
}

}  // namespace

Trust writers_of(const std::string& folder) {
  struct stat status{};
  if (::stat(folder.c_str(), &status) != 0) return {};
  return {.user = std::int64_t(status.st_uid),
          .group = (status.st_mode & S_IWGRP) != 0 ? std::int64_t(status.st_gid) : -1,
          .all = (status.st_mode & S_IWOTH) != 0};
}

FileBytes read_private_file(const std::string& root, const std::string& path, std::size_t limit,
                            const Trust& trust) {
  const auto [folder, name] = split(path);
  const Opened at = open_folder(root, folder, trust);
  if (at.absent) return {};
  if (!at.why.empty()) return {.state = FileBytes::refused, .bytes = {}, .why = at.why};
  return read_in(at.descriptor.get(), name, root + "/" + path, limit, trust);
}

FolderNames list_private_folder(const std::string& root, const std::string& path) {
  return list(open_folder(root, path), root + "/" + path);
}

std::string read_private_folder(
    const std::string& root, const std::string& path, std::string_view suffix, std::size_t limit,
    const std::function<void(const std::string&, const FileBytes&)>& visit, const Trust& trust) {
  const Opened at = open_folder(root, path, trust);
  const std::string full = root + "/" + path;
  const FolderNames names = list(at, full);
  for (const std::string& name : names.names) {
    if (!name.ends_with(suffix)) continue;
    const FileBytes file =
        read_in(at.descriptor.get(), name, fmt::format("{}/{}", full, name), limit, trust);
    if (file.state != FileBytes::absent) visit(name, file);  // else removed since
  }
  return names.why;
}

namespace {

// Makes root/path and what is missing above it, for this user only (0700). Returns the reason when
// it can't, else "".
std::string make_private_folder(const std::string& root, const std::string& path) {
  const std::string full = path.empty() ? root : root + "/" + path;
  for (std::size_t end = full.find('/', 1);; end = full.find('/', end + 1)) {
    const std::string part = full.substr(0, end);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      // A folder above may be one that this user can't look into but pass.
      struct stat status{};
      const int code = errno;
      if (::stat(part.c_str(), &status) != 0) {
        return fmt::format("folder {} can't be made: {}", part, error_text(code));
      }
    }
    if (end == std::string::npos) return {};
  }
}

// As open_folder, made when it is missing.
Opened open_or_make_folder(const std::string& root, const std::string& path) {
  Opened at = open_folder(root, path);
  if (!at.absent) return at;
  std::string why = make_private_folder(root, path);
  at = open_folder(root, path);
  if (at.absent) at.why = why.empty() ? root + "/" + path + " vanished" : why;
  return at;
}
}  // namespace

int create_private_file(const std::string& root, const std::string& path) {
  const auto [folder, name] = split(path);
  const Opened at = open_or_make_folder(root, folder);
  if (!at.why.empty()) return -1;
  return ::openat(at.descriptor.get(), name.c_str(),
                  O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

std::string write_private_file(const std::string& root, const std::string& path,
                               std::string_view bytes) {
  const auto [folder, name] = split(path);
  const Opened from = open_or_make_folder(root, "tmp");
  if (!from.why.empty()) return from.why;
  const Opened to = open_or_make_folder(root, folder);
  if (!to.why.empty()) return to.why;

  const std::string aside = unique_name();
  Descriptor file(::openat(from.descriptor.get(), aside.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.ok()) return fmt::format("{}/tmp/{}: {}", root, aside, error_text(errno));
  std::string why = write_all(file.get(), bytes);
  if (why.empty()) why = sync(file.get());
  if (!file.close() && why.empty()) why = error_text(errno);
  // Renaming is atomic on local and on distributed file systems. An entry that is there already is
  // replaced by one with the same key; who has the old one open keeps it.
  if (why.empty() &&
      ::renameat(from.descriptor.get(), aside.c_str(), to.descriptor.get(), name.c_str()) != 0) {
    why = error_text(errno);
  }
  if (!why.empty()) {
    ::unlinkat(from.descriptor.get(), aside.c_str(), 0);
    return fmt::format("{}/{}: {}", root, path, why);
  }
  sync(to.descriptor.get());  // the entry is whole already; this only makes it last
  return {};
}

std::string unique_name() {
  static thread_local std::random_device device;
  const std::uint64_t random = (std::uint64_t{device()} << 32U) | device();
  return fmt::format("{}-{:016x}", ::getpid(), random);
}

std::string content_hash(std::string_view bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  std::string text;
  for (const unsigned char byte : canonical.digest) text += fmt::format("{:02x}", byte);
  return text;
}

bool is_content_hash(std::string_view text) {
  return text.size() == 32 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string utc_text(std::time_t time) {
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

std::string utc_now() { return utc_text(std::time(nullptr)); }

}  // namespace grkan
