#include "codegen/cuda/nvrtc.h"

#include <dlfcn.h>
#include <elf.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <regex>
#include <set>

#include "core/error.h"

namespace grkan {
namespace {

namespace fs = std::filesystem;

using Program = struct _nvrtcProgram*;

// NVRTC's functions, as nvrtc.h declares them (a user's machine has no such header).
struct Functions {
  int (*version)(int* major, int* minor);
  int (*archs)(int* archs);
  int (*arch_count)(int* count);
  int (*create)(Program*, const char* source, const char* name, int headers, const char* const*,
                const char* const*);
  int (*destroy)(Program*);
  int (*compile)(Program, int options, const char* const*);
  int (*log_size)(Program, size_t*);
  int (*log)(Program, char*);
  int (*cubin_size)(Program, size_t*);
  int (*cubin)(Program, char*);
  int (*ptx_size)(Program, size_t*);
  int (*ptx)(Program, char*);
  const char* (*error_text)(int);
};

struct Symbol {
  const char* name;
  std::size_t offset;
};
constexpr Symbol kSymbols[] = {
    {"nvrtcVersion", offsetof(Functions, version)},
    {"nvrtcGetSupportedArchs", offsetof(Functions, archs)},
    {"nvrtcGetNumSupportedArchs", offsetof(Functions, arch_count)},
    {"nvrtcCreateProgram", offsetof(Functions, create)},
    {"nvrtcDestroyProgram", offsetof(Functions, destroy)},
    {"nvrtcCompileProgram", offsetof(Functions, compile)},
    {"nvrtcGetProgramLogSize", offsetof(Functions, log_size)},
    {"nvrtcGetProgramLog", offsetof(Functions, log)},
    {"nvrtcGetCUBINSize", offsetof(Functions, cubin_size)},
    {"nvrtcGetCUBIN", offsetof(Functions, cubin)},
    {"nvrtcGetPTXSize", offsetof(Functions, ptx_size)},
    {"nvrtcGetPTX", offsetof(Functions, ptx)},
    {"nvrtcGetErrorString", offsetof(Functions, error_text)},
};

// The library's functions, or nothing and why when it doesn't open or lacks one. A library stays
// open: it keeps threads and state of its own.
std::optional<Functions> open_library(const std::string& path, std::string& why) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    why = dlerror();
    return {};
  }
  Functions functions{};
  for (const Symbol& symbol : kSymbols) {
    void* address = dlsym(library, symbol.name);
    if (address == nullptr) {
      why = fmt::format("{} has no {}", path, symbol.name);
      return {};
    }
    std::memcpy(reinterpret_cast<char*>(&functions) + symbol.offset, &address, sizeof address);
  }
  return functions;
}

std::string real_path(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return error ? path : real.string();
}

// The file that a library of the loader's own search was opened from.
std::string path_of(const Functions& functions, const std::string& asked) {
  Dl_info info{};
  void* address = nullptr;
  std::memcpy(&address, &functions.version, sizeof address);
  return dladdr(address, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : asked;
}

// "13.0.88": the file's own name tells the build in a toolkit (libnvrtc.so.13.0.88), the folder of
// metadata beside it in a wheel (nvidia_cuda_nvrtc-13.0.88.dist-info).
std::string full_version(const std::string& path, const std::string& major_minor) {
  const fs::path real = real_path(path);
  const std::string name = real.filename().string();
  const std::string prefix = "libnvrtc.so." + major_minor + ".";
  if (name.starts_with(prefix)) return name.substr(std::strlen("libnvrtc.so."));
  std::error_code error;
  const fs::path packages = real.parent_path().parent_path().parent_path().parent_path();
  for (const fs::directory_entry& entry : fs::directory_iterator(packages, error)) {
    const std::string folder = entry.path().filename().string();
    constexpr std::string_view kWheel = "nvidia_cuda_nvrtc";
    const std::size_t dash = folder.find('-');
    if (!folder.starts_with(kWheel) || !folder.ends_with(".dist-info")) continue;
    const std::string version = folder.substr(dash + 1, folder.rfind('.') - dash - 1);
    if (version.starts_with(major_minor)) return version;
  }
  return major_minor;
}

void add_files(std::vector<std::string>& paths, const fs::path& folder) {
  std::error_code error;
  for (const char* name : {"libnvrtc.so.13", "libnvrtc.so.12"}) {
    if (fs::exists(folder / name, error)) paths.push_back((folder / name).string());
  }
}

// Folders whose name starts with `prefix`, in order.
std::vector<fs::path> folders(const fs::path& parent, std::string_view prefix) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, error)) {
    if (entry.path().filename().string().starts_with(prefix)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Where Python packages lie: grkan's own, in whose grkan/lib this library is, and those of the
// virtual environment beside this library's folder.
std::vector<fs::path> package_folders() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&open_library), &info) == 0 ||
      info.dli_fname == nullptr) {
    return {};
  }
  const fs::path beside = fs::path(real_path(info.dli_fname)).parent_path().parent_path();
  std::vector<fs::path> found = {beside.parent_path()};
  for (const fs::path& python : folders(beside / "venv" / "lib", "python")) {
    found.push_back(python / "site-packages");
  }
  return found;
}

std::vector<std::string> places() {
  if (const char* path = std::getenv("GRKAN_NVRTC"); path != nullptr && *path != '\0') {
    return {path};
  }
  std::vector<std::string> paths;
  if (const char* home = std::getenv("CUDA_HOME"); home != nullptr && *home != '\0') {
    add_files(paths, fs::path(home) / "lib64");
  }
  for (const fs::path& toolkit : folders("/usr/local", "cuda")) add_files(paths, toolkit / "lib64");
  paths.insert(paths.end(), {"libnvrtc.so.13", "libnvrtc.so.12"});
  for (const fs::path& packages : package_folders()) {
    for (const fs::path& nvidia : folders(packages / "nvidia", "cu")) {
      add_files(paths, nvidia / "lib");
    }
  }
  return paths;
}

struct Library {
  NvrtcInfo info;
  Functions functions;
};

std::optional<NvrtcInfo> read_info(const Functions& functions, const std::string& path) {
  NvrtcInfo info;
  info.path = path_of(functions, path);
  int count = 0;
  if (functions.version(&info.major, &info.minor) != 0 || functions.arch_count(&count) != 0 ||
      count < 1) {
    return {};
  }
  info.architectures.resize(std::size_t(count));
  if (functions.archs(info.architectures.data()) != 0) return {};
  std::sort(info.architectures.begin(), info.architectures.end());
  info.version = full_version(info.path, fmt::format("{}.{}", info.major, info.minor));
  return info;
}

struct Found {
  std::vector<NvrtcInfo> infos;
  std::map<std::string, Functions> functions;  // by path
  std::vector<std::string> refused;            // why, of each place that has none
};

const Found& found() {
  static const Found all = [] {
    Found result;
    std::vector<Library> libraries;
    std::set<std::string> seen;
    for (const std::string& path : places()) {
      std::string why;
      const std::optional<Functions> functions = open_library(path, why);
      if (!functions) {
        result.refused.push_back(why);
        continue;
      }
      const std::optional<NvrtcInfo> info = read_info(*functions, path);
      if (info && seen.insert(real_path(info->path)).second) {
        libraries.push_back({*info, *functions});
      }
    }
    std::stable_sort(libraries.begin(), libraries.end(), [](const Library& a, const Library& b) {
      return std::pair(a.info.major, a.info.minor) > std::pair(b.info.major, b.info.minor);
    });
    for (const Library& library : libraries) {
      result.functions[library.info.path] = library.functions;
      result.infos.push_back(library.info);
    }
    return result;
  }();
  return all;
}

bool has(const NvrtcInfo& nvrtc, int architecture) {
  return std::find(nvrtc.architectures.begin(), nvrtc.architectures.end(), architecture) !=
         nvrtc.architectures.end();
}

// The lines of a log that tell what is wrong, without ptxas' notes, cut to a readable length.
std::string trimmed(const std::string& log) {
  constexpr std::size_t kMost = 4000;
  std::string text;
  for (std::size_t at = 0; at < log.size();) {
    const std::size_t end = std::min(log.find('\n', at), log.size());
    const std::string line = log.substr(at, end - at);
    if (!line.empty() && !line.starts_with("ptxas info")) text += line + '\n';
    at = end + 1;
  }
  if (text.size() <= kMost) return text;
  return text.substr(0, kMost) + fmt::format("... and {} bytes more", text.size() - kMost);
}

std::string read(int (*size_of)(Program, size_t*), int (*get)(Program, char*), Program program) {
  std::size_t size = 0;
  if (size_of(program, &size) != 0 || size == 0) return {};
  std::string text(size, '\0');
  return get(program, text.data()) == 0 ? text : std::string();
}

// Texts of NVRTC end in a zero.
std::string as_text(std::string bytes) {
  while (!bytes.empty() && bytes.back() == '\0') bytes.pop_back();
  return bytes;
}

class ProgramOwner {
 public:
  ProgramOwner(const Functions& functions, const std::string& source, const std::string& name)
      : functions_(functions) {
    const int error =
        functions.create(&program_, source.c_str(), name.c_str(), 0, nullptr, nullptr);
    if (error != 0) {
      fail(Status::compile_failed, "NVRTC makes no program of {}: {}", name,
           functions.error_text(error));
    }
  }
  ProgramOwner(const ProgramOwner&) = delete;
  ProgramOwner& operator=(const ProgramOwner&) = delete;
  ~ProgramOwner() { functions_.destroy(&program_); }
  [[nodiscard]] Program get() const { return program_; }

 private:
  const Functions& functions_;
  Program program_ = nullptr;
};

int number_before(const std::string& line, const std::string& words) {
  const std::size_t at = line.find(words);
  if (at == std::string::npos) return 0;
  std::size_t begin = at;
  while (begin > 0 && std::isdigit(static_cast<unsigned char>(line[begin - 1])) != 0) --begin;
  int number = 0;
  std::from_chars(line.data() + begin, line.data() + at, number);
  return number;
}

// Bytes of the section .text.<symbol>; nothing when the cubin is no ELF or has none.
std::optional<int> code_bytes(const std::string& cubin, const std::string& symbol) {
  const auto read_at = [&]<class T>(std::size_t offset, T& value) {
    if (offset > cubin.size() || cubin.size() - offset < sizeof value) return false;
    std::memcpy(&value, cubin.data() + offset, sizeof value);
    return true;
  };
  Elf64_Ehdr header{};
  Elf64_Shdr names{};
  if (!read_at(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return {};
  if (!read_at(header.e_shoff + header.e_shstrndx * sizeof names, names)) return {};
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section{};
    if (!read_at(header.e_shoff + i * sizeof section, section)) return {};
    const std::size_t at = names.sh_offset + section.sh_name;
    if (at >= cubin.size()) continue;
    const std::string_view rest = std::string_view(cubin).substr(at);
    if (rest.substr(0, rest.find('\0')) == ".text." + symbol) return int(section.sh_size);
  }
  return {};
}

}  // namespace

const std::vector<NvrtcInfo>& find_nvrtcs() { return found().infos; }

const NvrtcInfo& choose_nvrtc(const Target& target, std::optional<int> driver_version) {
  const std::vector<NvrtcInfo>& all = find_nvrtcs();
  if (all.empty()) {
    fail(Status::no_compiler,
         "no NVRTC found: {}; install the PyPI wheel nvidia-cuda-nvrtc or set GRKAN_NVRTC to the "
         "path of libnvrtc.so.13",
         fmt::join(found().refused, "; "));
  }
  const int architecture = target.compute_capability();
  const NvrtcInfo* newer = nullptr;  // too new for the driver's PTX, right for a cubin
  std::set<int> there;
  for (const NvrtcInfo& nvrtc : all) {
    there.insert(nvrtc.architectures.begin(), nvrtc.architectures.end());
    if (!has(nvrtc, architecture)) continue;
    const int version = nvrtc.major * 1000 + nvrtc.minor * 10;
    if (!driver_version || version <= *driver_version) return nvrtc;
    if (nvrtc.major == *driver_version / 1000) newer = &nvrtc;
  }
  if (newer != nullptr) return *newer;
  if (driver_version && there.count(architecture) != 0) {
    fail(Status::unsupported, "the driver (CUDA {}.{}) is too old for NVRTC {} at {}; update it",
         *driver_version / 1000, *driver_version % 1000 / 10, all.back().version, all.back().path);
  }
  std::vector<std::string> names;
  for (const int a : there) names.push_back(fmt::format("sm_{}", a));
  fail(Status::unsupported, "NVRTC {} at {} does not compile for {}; it has {}",
       all.front().version, all.front().path, target.name, fmt::join(names, ", "));
}

NvrtcOutput nvrtc_compile(const NvrtcInfo& nvrtc, const std::string& source,
                          const std::string& name, const Target& target) {
  const auto functions = found().functions.find(nvrtc.path);
  if (functions == found().functions.end()) {
    fail(Status::internal, "NVRTC {} was not found by find_nvrtcs()", nvrtc.path);
  }
  const Functions& f = functions->second;
  const ProgramOwner program(f, source, name);
  const std::string architecture = "-arch=" + target.name;
  std::vector<const char*> options = {architecture.c_str()};
  options.insert(options.end(), std::begin(kNvrtcOptions), std::end(kNvrtcOptions));
  // What comes out of NVRTC's own cache, where there is a driver, comes without its log.
  if (std::pair(nvrtc.major, nvrtc.minor) >= std::pair(12, 9)) options.push_back("--no-cache");
  const int error = f.compile(program.get(), int(options.size()), options.data());
  NvrtcOutput output;
  output.log = as_text(read(f.log_size, f.log, program.get()));
  if (error != 0) {
    fail(Status::compile_failed, "NVRTC {} refuses {} for {}: {}\n{}", nvrtc.version, name,
         target.name, f.error_text(error), trimmed(output.log));
  }
  output.cubin = read(f.cubin_size, f.cubin, program.get());
  output.ptx = as_text(read(f.ptx_size, f.ptx, program.get()));
  if (output.cubin.empty() || output.ptx.empty()) {
    fail(Status::compile_failed, "NVRTC {} gave no {} for {}", nvrtc.version,
         output.cubin.empty() ? "cubin" : "PTX", target.name);
  }
  return output;
}

std::vector<KernelResources> read_ptxas_log(const std::string& log, const std::string& cubin) {
  std::vector<KernelResources> kernels;
  for (std::size_t at = 0; at < log.size();) {
    const std::size_t end = std::min(log.find('\n', at), log.size());
    const std::string line = log.substr(at, end - at);
    at = end + 1;
    constexpr std::string_view kStart = "Compiling entry function '";
    if (const std::size_t begin = line.find(kStart); begin != std::string::npos) {
      const std::size_t first = begin + kStart.size();
      KernelResources kernel;
      kernel.symbol = line.substr(first, line.find('\'', first) - first);
      kernel.code_bytes = code_bytes(cubin, kernel.symbol);
      kernels.push_back(kernel);
    } else if (!kernels.empty() && line.find("bytes spill stores") != std::string::npos) {
      kernels.back().spill_bytes =
          number_before(line, " bytes spill stores") + number_before(line, " bytes spill loads");
    } else if (!kernels.empty() && line.find("Used ") != std::string::npos) {
      kernels.back().registers = number_before(line, " registers");
      kernels.back().shared_bytes = number_before(line, " bytes smem");
    }
  }
  return kernels;
}

}  // namespace grkan
