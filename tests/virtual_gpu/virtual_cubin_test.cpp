// What a cubin tells of its kernels: read from NVRTC's cubins for every kind of architecture and
// held against what ptxas reported; and what the driver does with it.
#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <thread>

#include "codegen/cuda/binary.h"
#include "tests/virtual_gpu/virtual_driver.h"
#include "virtual_gpu/ptx/cubin.h"

namespace grkan::vgpu::driver {
namespace {

#define SKIP_WITHOUT_NVRTC() \
  if (find_nvrtcs().empty()) GTEST_SKIP() << "SKIP: no NVRTC on this machine"

// A kernel with shared memory and a division, and one with an array of its own.
constexpr const char* kSource = R"(
extern "C" __global__ void turns(float* x) {
  __shared__ float all[300];
  all[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = all[255 - threadIdx.x] / x[3];
}
extern "C" __global__ void picks(double* x) {
  double own[40];
  for (int i = 0; i < 40; ++i) own[i] = x[i];
  x[0] = own[(int)x[1]] * x[2];
}
)";

// "stack frame" of a kernel in ptxas' report, which names the kernel first.
std::size_t frame_in(const std::string& log, const std::string& kernel) {
  const std::regex line("Function properties for " + kernel + "\\n\\D*(\\d+) bytes stack frame");
  std::smatch found;
  EXPECT_TRUE(std::regex_search(log, found, line)) << log;
  return found.empty() ? 0 : std::stoul(found[1]);
}

TEST(VirtualCubin, AgreesWithPtxas) {
  SKIP_WITHOUT_NVRTC();
  for (const char* architecture :
       {"sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"}) {
    const Target target{architecture};
    const NvrtcOutput output = nvrtc_compile(choose_nvrtc(target), kSource, "test.cu", target);
    const std::vector<KernelResources> all = read_ptxas_log(output.log, output.cubin);
    std::vector<CubinKernel> kernels = read_cubin(output.cubin.data());
    ASSERT_EQ(kernels.size(), 2U) << architecture;
    ASSERT_EQ(all.size(), 2U) << architecture;
    for (const KernelResources& told : all) {
      const auto kernel = std::ranges::find(kernels, told.symbol, &CubinKernel::name);
      ASSERT_NE(kernel, kernels.end()) << told.symbol;
      EXPECT_EQ(kernel->registers, told.registers) << architecture << " " << told.symbol;
      EXPECT_EQ(int(kernel->shared_bytes), told.shared_bytes) << architecture;
      EXPECT_EQ(kernel->local_bytes, frame_in(output.log, told.symbol)) << architecture;
    }
    const auto turns = std::ranges::find(kernels, "turns", &CubinKernel::name);
    EXPECT_EQ(turns->shared_bytes, 1200U);
  }
}

TEST(VirtualCubin, WhatIsNoneHasNoKernels) {
  EXPECT_TRUE(read_cubin("").empty());
  EXPECT_TRUE(read_cubin("\x7F"
                         "ELF")
                  .empty());
  EXPECT_TRUE(read_cubin(".version 9.0").empty());
  std::ifstream file("/proc/self/exe", std::ios::binary);  // an ELF file for another machine
  const std::string program((std::istreambuf_iterator<char>(file)), {});
  EXPECT_TRUE(read_cubin(program.data()).empty());
}

struct VirtualCubinDriver : VirtualDriver {
  int function_attribute(int which, Function f) const {
    int value = -1;
    EXPECT_EQ(cu.cuFuncGetAttribute(&value, which, f), Result::success);
    return value;
  }
  Function load(const std::string& ptx, const char* name) const {
    Module module = nullptr;
    Function f = nullptr;
    EXPECT_EQ(cu.cuModuleLoadData(&module, ptx.c_str()), Result::success);
    EXPECT_EQ(cu.cuModuleGetFunction(&f, module, name), Result::success);
    return f;
  }
};

constexpr int kSharedBytes = 1;
constexpr int kLocalBytes = 3;
constexpr int kRegisters = 4;

TEST_F(VirtualCubinDriver, ItsFiguresGoToThePtxBehindIt) {
  SKIP_WITHOUT_NVRTC();
  const Target target{"sm_90"};
  const NvrtcOutput output = nvrtc_compile(choose_nvrtc(target), kSource, "test.cu", target);
  int registers = 0;
  for (const KernelResources& kernel : read_ptxas_log(output.log, output.cubin)) {
    if (kernel.symbol == "picks") registers = kernel.registers.value();
  }
  ASSERT_GT(registers, 0);
  ASSERT_NE(registers, 40) << "the estimate: this test needs another kernel";
  Module module = nullptr;
  const auto refused = [&] {
    return cu.cuModuleLoadData(&module, output.cubin.data()) == Result::no_binary_for_gpu;
  };
  const int estimate = function_attribute(kRegisters, load(output.ptx, "picks"));
  EXPECT_EQ(estimate, 40);
  ASSERT_TRUE(refused());
  // Not of another thread's code, and not of code without such a kernel.
  std::thread([&] {
    EXPECT_EQ(cu.cuCtxPushCurrent_v2(context), Result::success);
    EXPECT_EQ(function_attribute(kRegisters, load(output.ptx, "picks")), estimate);
  }).join();
  const Function picks = load(output.ptx, "picks");
  EXPECT_EQ(function_attribute(kRegisters, picks), registers);
  EXPECT_EQ(function_attribute(kLocalBytes, picks), 320);
  EXPECT_EQ(function_attribute(kSharedBytes, picks), 0);
  EXPECT_EQ(function_attribute(kRegisters, load(output.ptx, "picks")), estimate) << "once";
  ASSERT_TRUE(refused());
  EXPECT_EQ(function_attribute(kRegisters, load(kKernels, "scale")), estimate);

  // 65536 registers in warps' portions of 256, four warps at a time.
  int blocks = 0;
  EXPECT_EQ(cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, picks, 128, 0),
            Result::success);
  const int of_warp = (registers * 32 + 255) / 256 * 256;
  const int expected = std::min(2048 / 128, 65536 / of_warp / 4);
  EXPECT_EQ(blocks, expected);
  const std::vector<double> values(40, 1.0);
  Pointer x = allocate(320);
  EXPECT_EQ(cu.cuMemcpyHtoD_v2(x, values.data(), 320), Result::success);
  std::array<void*, 1> parameters = {&x};
  EXPECT_EQ(launch(picks, 1, 1, nullptr, parameters.data()), Result::success);
  EXPECT_EQ(launch(load(output.ptx, "picks"), 1, 1, nullptr, parameters.data()), Result::success);
  const auto launches = report()["launches"];
  ASSERT_EQ(launches.size(), 2);
  EXPECT_EQ(launches[0]["registers"], registers);
  EXPECT_EQ(launches[0]["registers_estimated"], false);
  EXPECT_EQ(launches[0]["local_bytes"], 320);
  EXPECT_EQ(launches[0]["resident_blocks"], 32);
  EXPECT_EQ(launches[0]["occupancy"], 0.5);
  EXPECT_EQ(launches[1]["registers"], estimate);
  EXPECT_EQ(launches[1]["registers_estimated"], true);
}

TEST_F(VirtualCubinDriver, LibrariesKeepThem) {
  SKIP_WITHOUT_NVRTC();
  const Target target{"sm_90"};
  const NvrtcOutput output = nvrtc_compile(choose_nvrtc(target), kSource, "test.cu", target);
  Library library = nullptr;
  const auto load_library = [&](const std::string& code) {
    return cu.cuLibraryLoadData(&library, code.c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0);
  };
  ASSERT_EQ(load_library(output.cubin), Result::no_binary_for_gpu);
  ASSERT_EQ(load_library(output.ptx), Result::success);
  CudaKernel kernel = nullptr;
  Function function = nullptr;
  ASSERT_EQ(cu.cuLibraryGetKernel(&kernel, library, "picks"), Result::success);
  ASSERT_EQ(cu.cuKernelGetFunction(&function, kernel), Result::success);
  int of_kernel = 0;
  EXPECT_EQ(cu.cuKernelGetAttribute(&of_kernel, kRegisters, kernel, 0), Result::success);
  const auto kernels = read_cubin(output.cubin.data());
  const auto picks = std::ranges::find(kernels, "picks", &CubinKernel::name);
  ASSERT_NE(picks, kernels.end());
  EXPECT_EQ(of_kernel, picks->registers);
  EXPECT_EQ(function_attribute(kRegisters, function), picks->registers);
}

}  // namespace
}  // namespace grkan::vgpu::driver
