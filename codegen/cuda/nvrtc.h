// NVRTC, opened at run time: CUDA C++ text to cubin and PTX in one compile. Several may be found on
// a machine; which one serves is decided by the driver that will load the code.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/binary.h"
#include "core/target.h"

namespace grkan {

struct NvrtcInfo {
  std::string path;     // of the library opened
  std::string version;  // "13.0.88", or "13.0" where the build cannot be told
  int major = 0;
  int minor = 0;
  std::vector<int> architectures;  // compute capabilities it compiles for, ascending: 75, 80 ...
  bool operator==(const NvrtcInfo&) const = default;
};

// Every NVRTC found, newest first, looked for once in a process: GRKAN_NVRTC (a path; then only
// it), CUDA_HOME and /usr/local/cuda*, the loader's own search, and the PyPI wheel in a virtual
// environment named venv beside the folder of this library.
const std::vector<NvrtcInfo>& find_nvrtcs();

// The NVRTC for an architecture. With a driver's version (as cuDriverGetVersion tells: 12080), the
// newest whose major.minor is not above it; else one of the same major that has the architecture
// itself, whose cubin (not PTX) the driver takes. Without one, the newest that has the
// architecture. Throws no_compiler when none is found (saying where it was looked for), unsupported
// when none has the architecture (listing those there are) or the driver is too old for all.
const NvrtcInfo& choose_nvrtc(const Target& target, std::optional<int> driver_version = {});

struct NvrtcOutput {
  std::string cubin;
  std::string ptx;
  std::string log;  // what the compiler and ptxas said (-v: registers, spills ...)
};

// Compiles for target.name exactly. The options are kNvrtcOptions and -arch, and from 12.9 on
// --no-cache. Throws compile_failed with the compiler's log, trimmed. Any thread may call.
NvrtcOutput nvrtc_compile(const NvrtcInfo& nvrtc, const std::string& source,
                          const std::string& name, const Target& target);

// -fmad=false: `*` and `+` stay what the source says, so that every target computes the same.
inline constexpr const char* kNvrtcOptions[] = {"-std=c++17", "-fmad=false", "--ptxas-options=-v"};

// What ptxas said of each kernel, with the code bytes from the cubin's sections; in the log's
// order.
std::vector<KernelResources> read_ptxas_log(const std::string& log, const std::string& cubin);

}  // namespace grkan
