// Generated CUDA kernels on the host: the device code compiled as plain C++, with the threads of a
// block as coroutines that take turns at __syncthreads. A check of indices, tails, barriers and
// sums that needs no GPU. Inline assembly lives in a handful of helper functions, which are
// replaced; below sm_80 the source has integer code for bf16, which is what runs here.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "codegen/cuda/source.h"
#include "core/half.h"
#include "cuda/launch.h"

namespace grkan {

inline constexpr const char* kHostShim = R"shim(
#include <ucontext.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ static
#define __CUDA_ARCH__ 750
using std::min;
struct Index { unsigned x, y; };
static Index blockIdx, threadIdx, gridDim;
template <class To, class From> To bits(From from) { To to; std::memcpy(&to, &from, sizeof to); return to; }
inline unsigned __float_as_uint(float f) { return bits<unsigned>(f); }
inline float __uint_as_float(unsigned u) { return bits<float>(u); }
inline long long __double_as_longlong(double d) { return bits<long long>(d); }
inline double __longlong_as_double(long long l) { return bits<double>(l); }
template <class T> T __ldg(const T* p) { return *p; }
template <class T> T __ldcs(const T* p) { return *p; }
template <class T> void __stcs(T* p, T value) { *p = value; }
struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
extern "C" { float (*grkan_from_f16)(unsigned short); unsigned short (*grkan_to_f16)(double); }
inline float rcp(float q) { return 1.0f / q * 1.0000001f; }  // approximate, as the instruction is
inline float low_f16(unsigned w) { return grkan_from_f16(w & 0xffff); }
inline float high_f16(unsigned w) { return grkan_from_f16(w >> 16); }
inline unsigned pair_f16(float low, float high) { return grkan_to_f16(low) | unsigned(grkan_to_f16(high)) << 16; }

static ucontext_t scheduler;
struct Fiber { ucontext_t context; std::vector<char> stack; bool done = false; };
static std::vector<Fiber> fibers(1024);
static Fiber* current;
static void (*body)(const void*);
static const void* argument;
static void start() { body(argument); current->done = true; swapcontext(&current->context, &scheduler); }
inline void __threadfence() {}
template <class T> T atomicAdd(T* at, T value) { const T old = *at; *at += value; return old; }
inline void __syncthreads() { swapcontext(&current->context, &scheduler); }
// 0, or 1 when some threads of a block ended while others waited at a barrier.
static int launch(void (*kernel)(const void*), const void* call, unsigned gx, unsigned gy, unsigned threads) {
  body = kernel; argument = call; gridDim = {gx, gy};
  for (blockIdx.y = 0; blockIdx.y < gy; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < gx; ++blockIdx.x) {
      for (unsigned t = 0; t < threads; ++t) {
        Fiber& f = fibers[t];
        f.stack.resize(64 * 1024); f.done = false;
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = f.stack.data(); f.context.uc_stack.ss_size = f.stack.size();
        makecontext(&f.context, start, 0);
      }
      for (unsigned left = threads; left > 0;) {
        const unsigned before = left;
        for (unsigned t = 0; t < threads; ++t) {
          if (fibers[t].done) continue;
          threadIdx = {t, 0}; current = &fibers[t];
          swapcontext(&scheduler, &current->context);
          if (fibers[t].done) --left;
        }
        if (left != 0 && left != before) return 1;
      }
    }
  return 0;
}
)shim";

// The source without the helper functions that hold inline assembly and without C linkage.
inline std::string host_source(std::string text) {
  for (const char* name :
       {"float rcp(", "float low_f16(", "float high_f16(", "unsigned pair_f16("}) {
    const std::size_t at = text.find(std::string("__device__ __forceinline__ ") + name);
    if (at != std::string::npos) text.erase(at, text.find("\n}\n", at) + 3 - at);
  }
  constexpr std::string_view kLinkage = "extern \"C\" ";
  for (std::size_t at = 0; (at = text.find(kLinkage)) != std::string::npos;) {
    text.erase(at, kLinkage.size());
  }
  return text;
}

struct HostKernel {
  Task task;
  CudaSchedule schedule;
};

// Compiles several kernels into one library and runs them.
class HostKernels {
 public:
  explicit HostKernels(std::vector<HostKernel> kernels) : kernels_(std::move(kernels)) {
    std::string name = (std::filesystem::temp_directory_path() / "grkan-host-XXXXXX").string();
    folder_ = mkdtemp(name.data()) != nullptr ? name : "";
    std::ofstream file(folder_ + "/kernels.cpp");
    file << kHostShim;
    for (std::size_t i = 0; i < kernels_.size(); ++i) {
      const CudaSource source =
          cuda_source(kernels_[i].task, kernels_[i].schedule, Target{"sm_75"});
      file << fmt::format("namespace k{} {{\n{}\n", i, host_source(source.text));
      add_entry(file, i, 0, source.symbol);
      if (!source.second_pass_symbol.empty()) add_entry(file, i, 1, source.second_pass_symbol);
      file << "}\n";
    }
    file.close();
    compile();
  }
  HostKernels(const HostKernels&) = delete;
  HostKernels& operator=(const HostKernels&) = delete;
  ~HostKernels() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] bool usable() const { return library_ != nullptr; }

  // Runs kernel i as the runtime would launch it.
  void run(std::size_t i, const Call& call, int multiprocessors) const {
    const Task& task = kernels_[i].task;
    const CudaSchedule& s = kernels_[i].schedule;
    const CudaLaunch launch = cuda_launch(task, s, call.rows, call.inner, multiprocessors);
    std::vector<double> partial(std::size_t(launch.workspace_bytes / 8) + 2,
                                std::numeric_limits<double>::quiet_NaN());
    const CudaCall argument = cuda_call(task, s, launch, call, partial.data());
    for (const CudaClear& clear : cuda_clears(task, s, launch, argument)) {
      if (clear.bytes != 0) std::memset(clear.memory, 0, std::size_t(clear.bytes));
    }
    EXPECT_EQ(entry(i, 0)(&argument, launch.grid_x, launch.grid_y, launch.threads), 0)
        << "threads end before a barrier";
    if (launch.second_pass_blocks == 0) return;
    EXPECT_EQ(entry(i, 1)(&argument, launch.second_pass_blocks, 1, launch.second_pass_threads), 0);
    EXPECT_TRUE(std::isnan(partial.back())) << "a partial sum past its end is written";
  }

 private:
  using Entry = int (*)(const void*, unsigned, unsigned, unsigned);

  static void add_entry(std::ofstream& file, std::size_t i, int pass, const std::string& symbol) {
    file << fmt::format(
        "extern \"C\" int run_{0}_{1}(const void* call, unsigned gx, unsigned gy, unsigned n) {{\n"
        "  return launch([](const void* c) {{ {2}(*static_cast<const CudaCall*>(c)); }}, call, gx, "
        "gy, n);\n}}\n",
        i, pass, symbol);
  }
  [[nodiscard]] Entry entry(std::size_t i, int pass) const {
    return reinterpret_cast<Entry>(dlsym(library_, fmt::format("run_{}_{}", i, pass).c_str()));
  }
  void compile() {
    std::string input = folder_ + "/kernels.cpp";
    std::string output = folder_ + "/kernels.so";
    std::vector<std::string> words = {"c++", "-std=c++20",        "-O1",   "-fPIC", "-shared",
                                      "-w",  "-ffp-contract=off", "-mfma", "-o",    output,
                                      input};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t child = 0;
    ASSERT_EQ(posix_spawnp(&child, "c++", nullptr, nullptr, arguments.data(), environ), 0);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_EQ(status, 0) << "the generated source is no valid C++";
    library_ = dlopen(output.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library_, nullptr) << dlerror();
    *static_cast<float (**)(std::uint16_t)>(dlsym(library_, "grkan_from_f16")) = f16_to_f32;
    *static_cast<std::uint16_t (**)(double)>(dlsym(library_, "grkan_to_f16")) = to_f16;
  }

  std::vector<HostKernel> kernels_;
  std::string folder_;
  void* library_ = nullptr;
};

}  // namespace grkan
