// NVRTC: which one serves, what it compiles, what it refuses.
#include "codegen/cuda/nvrtc.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "codegen/compiler.h"
#include "codegen/cuda/binary.h"
#include "core/error.h"
#include "core/random_task.h"
#include "cuda/launch.h"

namespace grkan {
namespace {

#define SKIP_WITHOUT_NVRTC() \
  if (find_nvrtcs().empty()) GTEST_SKIP() << "SKIP: no NVRTC on this machine"

CudaSchedule default_of(const Task& task, const Target& target) {
  return CudaSchedule(default_schedule(task, target, 25216));
}

// What holds for every kernel. Returns its registers.
int check_build(const Task& task, const CudaSchedule& schedule, const Target& target) {
  const CudaBuild build = build_cuda(task, schedule, target);
  const std::string what = build.source.symbol + " for " + target.name;
  const bool second = cuda_has_second_pass(task, schedule);
  EXPECT_EQ(build.kernels.size(), second ? 2U : 1U) << what;
  EXPECT_EQ(build.kernels.front().symbol, build.source.symbol);
  EXPECT_EQ(build.kernels.back().symbol,
            second ? build.source.second_pass_symbol : build.source.symbol);
  for (const KernelResources& kernel : build.kernels) {
    EXPECT_GT(kernel.registers.value_or(0), 0) << what;
    EXPECT_GT(kernel.code_bytes.value_or(0), 0) << what;
    EXPECT_TRUE(kernel.spill_bytes.has_value()) << what;
    EXPECT_LE(kernel.shared_bytes.value_or(1 << 20), 48 * 1024) << what;
  }
  const std::string& ptx = build.output.ptx;
  EXPECT_NE(ptx.find(".entry " + build.source.symbol), std::string::npos) << what;
  const bool counts = schedule.sums == CudaSchedule::last_block && task.sum_terms() > 0;
  for (const char* words : {"\tatom.", "\tred."}) {
    if (counts) continue;
    EXPECT_EQ(ptx.find(words), std::string::npos) << what << " has " << words;
  }
  // Coefficients alone may be read through the read-only path: x may be y, and dx may be dy.
  const std::set<std::string> wide = {"ld.global.nc.v2", "ld.global.nc.v4"};
  for (const std::string& words : wide) EXPECT_EQ(ptx.find(words), std::string::npos) << what;
  const Problem& p = task.problem;
  std::size_t coefficient_loads = 0;
  for (std::size_t at = 0; (at = ptx.find("ld.global.nc", at)) != std::string::npos; ++at) {
    ++coefficient_loads;
  }
  EXPECT_LE(coefficient_loads, std::size_t(p.numerator_terms() + p.denominator_terms())) << what;
  return build.kernels.front().registers.value_or(0);
}

TEST(Nvrtc, TheMainProblemOnEveryArchitecture) {
  SKIP_WITHOUT_NVRTC();
  const bool all = std::getenv("GRKAN_LONG") != nullptr;
  for (const int architecture : find_nvrtcs().front().architectures) {
    const Target target{fmt::format("sm_{}", architecture)};
    const Task task = parse_task("backward.dx.da.db/p5q4-A-c768-g8-f32-last");
    // Packed arithmetic keeps coefficients and sums in pairs.
    const int most = default_of(task, target).packed != 0 ? 96 : 64;
    EXPECT_LE(check_build(task, default_of(task, target), target), most) << target.name;
    const CudaBuild build = build_cuda(task, default_of(task, target), target);
    EXPECT_EQ(build.kernels.front().spill_bytes, 0) << target.name;
    const Task half = parse_task("forward/p5q4-A-c768-g1x8-f32:bf16-last");
    check_build(half, default_of(half, target), target);
    if (!all) continue;
    for (const char* text :
         {"backward.dx.da.db/p5q4-A-c192-g8-bf16-last", "backward.dx.da.db/p3q3-B-c255-g5-f16-last",
          "backward.da/p5q4-C-c96-g8-f64-last", "forward/p5q4-N-c64-g1-f16-first"}) {
      const Task other = parse_task(text);
      check_build(other, default_of(other, target), target);
    }
  }
}

TEST(Nvrtc, Problems) {
  SKIP_WITHOUT_NVRTC();
  const Target target{"sm_90"};
  for (const char* text :
       {"forward/p5q4-A-c768-g8-f32-last", "forward/p0q0-N-c1-g1-f64-first",
        "forward/p3q3-B-c255-g5-bf16-last", "backward.dx/p5q4-A-c768-g8-f16-last",
        "backward.dx.da.db/p5q4-A-c768-g8-bf16-last", "backward.dx.da.db/p5q4-A-c192-g8-f32-last",
        "backward.dx.da.db/p5q4-A-c3072-g8-f32-last", "backward.db/p0q0-A-c8-g1-f32-last",
        "backward.dx.da.db/p5q4-C-c96-g8-f64-last",
        "backward.da.db/p3q3-B-c64-g64-f16:f32-first"}) {
    const Task task = parse_task(text);
    check_build(task, default_of(task, target), target);
  }
}

TEST(Nvrtc, RandomSchedules) {
  SKIP_WITHOUT_NVRTC();
  RandomGenerator generator(3);
  const int count = std::getenv("GRKAN_LONG") != nullptr ? 200 : 8;
  for (int i = 0; i < count; ++i) {
    const Target target{i % 2 == 0 ? "sm_75" : "sm_100"};
    const Task task = random_task(generator);
    check_build(task, CudaSchedule(random_schedule(generator, task, target)), target);
  }
}

TEST(Nvrtc, BinaryHoldsBothForms) {
  SKIP_WITHOUT_NVRTC();
  const Task task = parse_task("forward/p5q4-A-c768-g8-f32-last");
  const Target target{"sm_90"};
  const Schedule schedule = default_of(task, target);
  const Binary binary = compile(task, schedule, target);
  EXPECT_TRUE(
      binary.code.starts_with("\x7f"
                              "ELF"));
  EXPECT_NE(binary.ptx.find(".target sm_90"), std::string::npos);
  EXPECT_TRUE(binary.compiler.starts_with("nvrtc 1")) << binary.compiler;
  EXPECT_EQ(binary.source_hash.size(), 32U);
  EXPECT_EQ(binary.source_hash, compile(task, schedule, target).source_hash);
}

std::string error_of(const Target& target, std::optional<int> driver, Status status) {
  try {
    choose_nvrtc(target, driver);
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), status);
    return error.what();
  }
  return "no error";
}

TEST(Nvrtc, AnArchitectureItLacksNamesThoseItHas) {
  SKIP_WITHOUT_NVRTC();
  const std::string message = error_of(Target{"sm_30"}, {}, Status::unsupported);
  EXPECT_NE(message.find("does not compile for sm_30; it has sm_"), std::string::npos) << message;
}

TEST(Nvrtc, TheDriverLimitsTheVersion) {
  SKIP_WITHOUT_NVRTC();
  const NvrtcInfo& newest = find_nvrtcs().front();
  const Target target{"sm_90"};
  EXPECT_EQ(choose_nvrtc(target, newest.major * 1000 + newest.minor * 10).path, newest.path);
  EXPECT_EQ(choose_nvrtc(target, 99000).path, newest.path);
  const std::string message = error_of(target, 11040, Status::unsupported);
  EXPECT_NE(message.find("the driver (CUDA 11.4) is too old"), std::string::npos) << message;
}

TEST(Nvrtc, ARefusedSourceShowsTheLog) {
  SKIP_WITHOUT_NVRTC();
  try {
    nvrtc_compile(find_nvrtcs().front(), "__global__ void f() { nonsense; }", "bad.cu",
                  Target{"sm_90"});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), Status::compile_failed);
    const std::string message = error.what();
    EXPECT_NE(message.find("bad.cu(1): error: identifier \"nonsense\" is undefined"),
              std::string::npos)
        << message;
  }
}

TEST(Nvrtc, ThreadsCompileSideBySide) {
  SKIP_WITHOUT_NVRTC();
  const Task task = parse_task("forward/p5q4-A-c768-g8-f32-last");
  const Target target{"sm_90"};
  std::vector<std::string> cubins(2);
  std::vector<std::thread> threads;
  for (std::string& cubin : cubins) {
    threads.emplace_back(
        [&] { cubin = build_cuda(task, default_of(task, target), target).output.cubin; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cubins[0], cubins[1]);
}

TEST(LaunchExample, CompilesWithNvcc) {
  const char* nvcc = "/usr/local/cuda/bin/nvcc";
  if (access(nvcc, X_OK) != 0 || find_nvrtcs().empty()) GTEST_SKIP() << "SKIP: no " << nvcc;
  std::string name = (std::filesystem::temp_directory_path() / "grkan-example-XXXXXX").string();
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  const Target target{"sm_90"};
  for (const char* text :
       {"backward.dx.da.db/p5q4-A-c192-g8-f32:bf16-last", "forward/p3q0-N-c6-g2-f16-first"}) {
    const Task task = parse_task(text);
    std::ofstream(name + "/example.cu")
        << cuda_launch_example(task, default_of(task, target), target, 100, 4, 132);
    const std::string command = std::string(nvcc) + " -arch=sm_90 -std=c++17 -fmad=false -c " +
                                name + "/example.cu -o " + name + "/example.o";
    EXPECT_EQ(std::system(command.c_str()), 0) << text;
  }
  std::filesystem::remove_all(name);
}

TEST(PtxasLog, IsReadForEachKernel) {
  const std::string log =
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : Compiling entry function 'one' for 'sm_90'\n"
      "ptxas info    : Function properties for one\n"
      "    8 bytes stack frame, 12 bytes spill stores, 4 bytes spill loads\n"
      "ptxas info    : Used 64 registers, used 1 barriers, 19200 bytes smem\n"
      "ptxas info    : Compiling entry function 'two' for 'sm_90'\n"
      "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 7 registers, used 0 barriers\n";
  const std::vector<KernelResources> kernels = read_ptxas_log(log, "no ELF");
  ASSERT_EQ(kernels.size(), 2U);
  EXPECT_EQ(kernels[0], (KernelResources{"one", 64, 16, 19200, {}}));
  EXPECT_EQ(kernels[1], (KernelResources{"two", 7, 0, 0, {}}));
}

}  // namespace
}  // namespace grkan
