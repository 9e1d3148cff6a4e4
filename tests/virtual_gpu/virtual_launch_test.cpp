// Modules, launches, streams and events of the virtual GPU's driver; codes as
// virtual_driver_test.cpp says.
#include <array>
#include <thread>
#include <vector>

#include "tests/virtual_gpu/virtual_driver.h"

namespace grkan::vgpu::driver {
namespace {

TEST_F(VirtualDriver, RunsAKernel) {
  const std::vector<float> values = numbers(100);
  const Pointer x = upload(values);
  const Pointer out = allocate(400);
  EXPECT_EQ(scale(function("scale"), out, x, 2.5F, 100), Result::success);
  EXPECT_EQ(cu.cuCtxSynchronize(), Result::success);
  EXPECT_EQ(download(out, 100), times(2.5F, values));
  const auto launches = report()["launches"];
  ASSERT_EQ(launches.size(), 1);
  EXPECT_EQ(launches[0]["kernel"], "scale");
  EXPECT_EQ(launches[0]["model"], "h200");
  EXPECT_EQ(launches[0]["grid"], (std::vector<int>{2, 1, 1}));
  EXPECT_EQ(launches[0]["block"], (std::vector<int>{64, 1, 1}));
  EXPECT_EQ(launches[0]["counts"]["loads"]["bytes"], 400);
  const auto& stores = launches[0]["counts"]["stores"];
  EXPECT_EQ(stores["sectors"], 13);  // 400 bytes from an aligned address
  EXPECT_EQ(stores["requests"], 4);  // three whole warps, and 4 lanes
  EXPECT_EQ(stores["sectors_per_request"], 13.0 / 4);
  EXPECT_EQ(stores["bytes_per_sector"], 400.0 / 13);
  EXPECT_EQ(launches[0]["registers"], 40);
  EXPECT_EQ(launches[0]["registers_estimated"], true);
  EXPECT_EQ(launches[0]["resident_blocks"], 24);  // 48 warps of 40 registers fit
  EXPECT_EQ(launches[0]["occupancy"], 0.75);
  EXPECT_TRUE(launches[0]["findings"].empty());
  cu.reset();
  EXPECT_TRUE(report()["launches"].empty());
}

TEST_F(VirtualDriver, TakesParametersInABuffer) {
  const std::vector<float> values = numbers(10);
  struct {
    Pointer out, x;
    float a;
    unsigned n;
  } buffer = {allocate(40), upload(values), 3, 10};
  std::size_t size = sizeof buffer;
  std::array<void*, 5> extra = {reinterpret_cast<void*>(1), &buffer, reinterpret_cast<void*>(2),
                                &size, nullptr};
  const Function f = function("scale");
  EXPECT_EQ(cu.cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, nullptr, nullptr, extra.data()),
            Result::success);
  EXPECT_EQ(download(buffer.out, 10), times(3, values));
  size = 20;
  EXPECT_EQ(cu.cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, nullptr, nullptr, extra.data()),
            Result::invalid_value);
  std::array<void*, 4> both{};
  EXPECT_EQ(cu.cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, nullptr, both.data(), extra.data()),
            Result::invalid_value);
}

TEST_F(VirtualDriver, WrongLaunches) {
  const Function bounded = function("bounded");
  const Function f = function("scale");
  EXPECT_EQ(launch(bounded, 1, 64), Result::success);
  EXPECT_EQ(launch(bounded, 0, 64), Result::invalid_value);
  EXPECT_EQ(launch(bounded, 1, 0), Result::invalid_value);
  EXPECT_EQ(launch(bounded, 1, 65), Result::invalid_value) << "past .maxntid; no entry";
  EXPECT_EQ(launch(f, 1, 1025), Result::invalid_value) << "too many threads";
  EXPECT_EQ(cu.cuLaunchKernel(bounded, 1, 65536, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr),
            Result::invalid_value);
  EXPECT_EQ(cu.cuLaunchKernel(bounded, 0x80000000, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr),
            Result::invalid_value);
  EXPECT_EQ(cu.cuLaunchKernel(bounded, 1, 1, 1, 1, 1, 65, 0, nullptr, nullptr, nullptr),
            Result::invalid_value);
  EXPECT_EQ(launch(f, 1, 32), Result::invalid_value) << "no parameters";
  std::array<void*, 4> parameters{};
  EXPECT_EQ(launch(f, 1, 32, nullptr, parameters.data()), Result::invalid_value) << "null ones";
  EXPECT_EQ(launch(fake_handle<Function>(), 1, 1), Result::invalid_handle);
  EXPECT_EQ(launch(nullptr, 1, 1), Result::invalid_handle);
  EXPECT_EQ(launch(bounded, 1, 1, fake_handle<Stream>()), Result::invalid_handle);
  EXPECT_EQ(cu.cuLaunchKernelEx(nullptr, bounded, nullptr, nullptr), Result::invalid_value);
  Context popped = nullptr;
  cu.cuCtxPopCurrent_v2(&popped);
  EXPECT_EQ(launch(bounded, 1, 1), Result::invalid_context);
}

TEST_F(VirtualDriver, SharedMemoryNeedsOptingIn) {
  const Function f = function("bounded");  // 1 KiB of its own
  EXPECT_EQ(launch(f, 1, 1, nullptr, nullptr, 47 * 1024), Result::success);
  EXPECT_EQ(launch(f, 1, 1, nullptr, nullptr, 48 * 1024), Result::invalid_value);
  EXPECT_EQ(cu.cuFuncSetAttribute(f, 8, 226 * 1024), Result::success);
  EXPECT_EQ(launch(f, 1, 1, nullptr, nullptr, 226 * 1024), Result::success);
  EXPECT_EQ(cu.cuFuncSetAttribute(f, 8, 227 * 1024), Result::invalid_value);
  EXPECT_EQ(launch(f, 1, 1, nullptr, nullptr, 0xFFFFFFFF), Result::invalid_value);
  int value = 0;
  EXPECT_EQ(cu.cuFuncGetAttribute(&value, 8, f), Result::success);
  EXPECT_EQ(value, 226 * 1024);
  EXPECT_EQ(cu.cuFuncGetAttribute(&value, 1, f), Result::success);
  EXPECT_EQ(value, 1024);
  EXPECT_EQ(cu.cuFuncGetAttribute(&value, 0, f), Result::success);
  EXPECT_EQ(value, 64);
  EXPECT_EQ(cu.cuFuncGetAttribute(&value, 99, f), Result::invalid_value);
  EXPECT_EQ(cu.cuFuncGetAttribute(&value, 1, fake_handle<Function>()), Result::invalid_handle);
}

TEST_F(VirtualDriver, Occupancy) {
  const Function f = function("scale");
  const Function bounded = function("bounded");
  int blocks = 0;
  const auto of = [&](Function which, int threads, std::size_t shared) {
    EXPECT_EQ(cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, which, threads, shared),
              Result::success);
    return blocks;
  };
  // 228 KiB on sm_90, of which 1 KiB of each block is the system's.
  EXPECT_EQ(of(f, 32, 100 * 1024), 2);
  EXPECT_EQ(of(f, 32, 227 * 1024), 1);
  EXPECT_EQ(of(f, 32, 228 * 1024), 0);
  EXPECT_EQ(of(f, 32, 0), 32);  // blocks
  EXPECT_EQ(of(bounded, 65, 0), 0);
  EXPECT_LE(of(f, 512, 0), 4);  // 2048 threads
  EXPECT_GE(blocks, 2);
  EXPECT_EQ(cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, f, 0, 0),
            Result::invalid_value);
}

TEST_F(VirtualDriver, LaunchAttributes) {
  LaunchAttribute attribute{.id = 6, .value = {1}};  // programmatic serialisation
  LaunchConfig config{.grid_x = 1,
                      .grid_y = 1,
                      .grid_z = 1,
                      .block_x = 32,
                      .block_y = 1,
                      .block_z = 1,
                      .shared_bytes = 0,
                      .stream = nullptr,
                      .attributes = &attribute,
                      .attribute_count = 1};
  const Function f = function("bounded");
  EXPECT_EQ(cu.cuLaunchKernelEx(&config, f, nullptr, nullptr), Result::success);
  EXPECT_EQ(report()["launches"].size(), 1);
  attribute = {.id = 2, .value = {1}};  // cooperative
  EXPECT_EQ(cu.cuLaunchKernelEx(&config, f, nullptr, nullptr), Result::not_supported);
  attribute.id = 1000;
  EXPECT_EQ(cu.cuLaunchKernelEx(&config, f, nullptr, nullptr), Result::invalid_value);
  config.attributes = nullptr;
  EXPECT_EQ(cu.cuLaunchKernelEx(&config, f, nullptr, nullptr), Result::invalid_value);
}

TEST_F(VirtualDriver, WrongModules) {
  Module module = nullptr;
  EXPECT_EQ(cu.cuModuleLoadData(&module, nullptr), Result::invalid_value);
  EXPECT_EQ(cu.cuModuleLoadData(nullptr, kKernels), Result::invalid_value);
  EXPECT_EQ(cu.cuModuleLoadData(&module,
                                "\x7F"
                                "ELF\x02\x01"),
            Result::no_binary_for_gpu);
  EXPECT_EQ(cu.cuModuleLoadData(&module, "no code"), Result::invalid_ptx);
  EXPECT_EQ(cu.cuModuleLoadData(&module, ""), Result::invalid_ptx);
  EXPECT_EQ(cu.cuModuleLoadData(&module, kNewKernel), Result::invalid_ptx) << "no entry";
  EXPECT_EQ(cu.cuModuleLoadData(&module, kNewerVersion), Result::unsupported_ptx_version);
  std::array<char, 200> log{};
  std::array<int, 2> options = {5, 6};
  std::array<void*, 2> values = {log.data(), reinterpret_cast<void*>(log.size())};
  EXPECT_EQ(cu.cuModuleLoadDataEx(&module, kUnknownInstruction, 2, options.data(), values.data()),
            Result::invalid_ptx);
  EXPECT_NE(std::string(log.data()).find("frobnicate"), std::string::npos) << log.data();
  EXPECT_NE(std::string(log.data()).find("line 8"), std::string::npos) << log.data();
  EXPECT_EQ(reinterpret_cast<std::size_t>(values[1]), std::string(log.data()).size() + 1);
  EXPECT_EQ(cu.cuModuleLoadDataEx(&module, kKernels, 1, nullptr, nullptr), Result::invalid_value);
  module = load();
  Function f = nullptr;
  Pointer pointer = 0;
  std::size_t bytes = 0;
  EXPECT_EQ(cu.cuModuleGetFunction(&f, module, "scales"), Result::not_found);
  EXPECT_EQ(cu.cuModuleGetFunction(&f, module, nullptr), Result::invalid_value);
  EXPECT_EQ(cu.cuModuleGetFunction(&f, fake_handle<Module>(), "scale"), Result::invalid_handle);
  EXPECT_EQ(cu.cuModuleGetGlobal_v2(&pointer, &bytes, module, "table"), Result::success);
  EXPECT_EQ(bytes, 16);
  EXPECT_EQ(cu.cuMemFree_v2(pointer), Result::invalid_value) << "a module's variable";
  EXPECT_EQ(cu.cuModuleGetGlobal_v2(&pointer, &bytes, module, "chair"), Result::not_found);
  EXPECT_EQ(cu.cuModuleGetFunction(&f, module, "bounded"), Result::success);
  EXPECT_EQ(cu.cuModuleUnload(module), Result::success);
  EXPECT_EQ(cu.cuModuleUnload(module), Result::invalid_handle);
  EXPECT_EQ(launch(f, 1, 1), Result::invalid_handle) << "its module is gone";
}

TEST_F(VirtualDriver, LibrariesServeAllContexts) {
  Library library = nullptr;
  CudaKernel kernel = nullptr;
  const auto load_library = [&](const void* code) {
    return cu.cuLibraryLoadData(&library, code, nullptr, nullptr, 0, nullptr, nullptr, 0);
  };
  EXPECT_EQ(load_library("\x7F"
                         "ELF"),
            Result::no_binary_for_gpu);
  EXPECT_EQ(load_library(kUnknownInstruction), Result::invalid_ptx);
  EXPECT_EQ(load_library(kKernels), Result::success);
  EXPECT_EQ(cu.cuLibraryGetKernel(&kernel, library, "nothing"), Result::not_found);
  EXPECT_EQ(cu.cuLibraryGetKernel(&kernel, library, "adds"), Result::success);
  unsigned count = 0;
  EXPECT_EQ(cu.cuLibraryGetKernelCount(&count, library), Result::success);
  EXPECT_EQ(count, 5);
  // One handle, and each context has its own counter.
  const auto as_function = reinterpret_cast<Function>(kernel);
  const auto counter = [&] {
    Pointer pointer = 0;
    int value = -1;
    EXPECT_EQ(cu.cuLibraryGetGlobal(&pointer, nullptr, library, "counter"), Result::success);
    EXPECT_EQ(cu.cuMemcpyDtoH_v2(&value, pointer, 4), Result::success);
    return value;
  };
  EXPECT_EQ(launch(as_function, 2, 32), Result::success);
  EXPECT_EQ(counter(), 64);
  Context second = nullptr;
  EXPECT_EQ(cu.cuCtxCreate_v2(&second, 0, 1), Result::success);
  EXPECT_EQ(counter(), 0);
  EXPECT_EQ(launch(as_function, 1, 1), Result::success);
  EXPECT_EQ(counter(), 1);
  EXPECT_EQ(report()["launches"][1]["model"], "t4");
  EXPECT_EQ(cu.cuCtxDestroy_v2(second), Result::success);
  EXPECT_EQ(counter(), 64);
  // A context that was ended has what it has anew.
  EXPECT_EQ(cu.cuDevicePrimaryCtxReset_v2(0), Result::success);
  EXPECT_EQ(counter(), 0);
  EXPECT_EQ(launch(as_function, 1, 1), Result::success);
  EXPECT_EQ(counter(), 1);
  Function f = nullptr;
  EXPECT_EQ(cu.cuKernelGetFunction(&f, kernel), Result::success);
  Module module = nullptr;
  EXPECT_EQ(cu.cuLibraryGetModule(&module, library), Result::success);
  EXPECT_EQ(cu.cuModuleUnload(module), Result::not_permitted) << "the library's; no entry";
  EXPECT_EQ(cu.cuLibraryUnload(library), Result::success);
  EXPECT_EQ(cu.cuLibraryUnload(library), Result::invalid_handle);
  EXPECT_EQ(launch(as_function, 1, 1), Result::invalid_handle);
  EXPECT_EQ(launch(f, 1, 1), Result::invalid_handle);
}

TEST_F(VirtualDriver, FaultsStayUntilReset) {
  const Function f = function("past_end");
  Pointer good = allocate(4);
  Pointer bad = good + 4;
  std::array<void*, 1> parameters = {&bad};
  EXPECT_EQ(launch(f, 1, 1, nullptr, parameters.data()), Result::success) << "it is not waited for";
  EXPECT_EQ(cu.cuCtxSynchronize(), Result::illegal_address);
  Pointer other = 0;
  EXPECT_EQ(cu.cuMemAlloc_v2(&other, 4), Result::illegal_address);
  EXPECT_EQ(cu.cuStreamSynchronize(nullptr), Result::illegal_address);
  EXPECT_EQ(launch(f, 1, 1, nullptr, parameters.data()), Result::illegal_address);
  const auto finding = report()["launches"][0]["findings"][0];
  EXPECT_EQ(finding["check"], "out_of_bounds");
  EXPECT_EQ(finding["kernel"], "past_end");
  cu.reset();
  EXPECT_EQ(cu.cuCtxSynchronize(), Result::success);
  parameters = {&good};
  EXPECT_EQ(launch(f, 1, 1, nullptr, parameters.data()), Result::success);
  // Freed memory is the same fault.
  EXPECT_EQ(cu.cuMemFree_v2(good), Result::success);
  EXPECT_EQ(launch(f, 1, 1, nullptr, parameters.data()), Result::success);
  EXPECT_EQ(cu.cuStreamSynchronize(nullptr), Result::illegal_address);
  EXPECT_NE(report()["launches"][1]["findings"][0]["detail"].get<std::string>().find("freed"),
            std::string::npos);
}

TEST_F(VirtualDriver, TrapsAreFaults) {
  EXPECT_EQ(launch(function("traps"), 1, 32), Result::success);
  EXPECT_EQ(cu.cuStreamSynchronize(nullptr), Result::launch_failed);
  EXPECT_NE(report()["launches"][0]["trap"], "");
}

TEST_F(VirtualDriver, StreamsAndEvents) {
  const Stream s = stream(1);
  EXPECT_EQ(cu.cuStreamQuery(s), Result::success);
  EXPECT_EQ(cu.cuStreamSynchronize(s), Result::success);
  Stream bad = nullptr;
  EXPECT_EQ(cu.cuStreamCreate(&bad, 2), Result::invalid_value);
  EXPECT_EQ(cu.cuStreamCreate(nullptr, 0), Result::invalid_value);
  unsigned flags = 0;
  EXPECT_EQ(cu.cuStreamGetFlags(s, &flags), Result::success);
  EXPECT_EQ(flags, 1);
  Event start = nullptr;
  Event end = nullptr;
  Event untimed = nullptr;
  float ms = -1;
  EXPECT_EQ(cu.cuEventCreate(&start, 0), Result::success);
  EXPECT_EQ(cu.cuEventCreate(&end, 0), Result::success);
  EXPECT_EQ(cu.cuEventCreate(&untimed, 2), Result::success);
  EXPECT_EQ(cu.cuEventCreate(&untimed, 64), Result::invalid_value);
  EXPECT_EQ(cu.cuEventQuery(start), Result::success) << "never recorded";
  EXPECT_EQ(cu.cuEventElapsedTime(&ms, start, end), Result::invalid_handle) << "never recorded";
  EXPECT_EQ(cu.cuEventRecord(start, s), Result::success);
  EXPECT_EQ(launch(function("bounded"), 1, 1, s), Result::success);
  EXPECT_EQ(cu.cuEventRecord(end, s), Result::success);
  EXPECT_EQ(cu.cuStreamWaitEvent(nullptr, end, 0), Result::success);
  EXPECT_EQ(cu.cuEventSynchronize(end), Result::success);
  EXPECT_EQ(cu.cuEventElapsedTime(&ms, start, end), Result::success);
  EXPECT_GT(ms, 0);
  EXPECT_EQ(cu.cuEventRecord(untimed, s), Result::success);
  EXPECT_EQ(cu.cuEventElapsedTime(&ms, start, untimed), Result::invalid_handle);
  EXPECT_EQ(cu.cuEventElapsedTime(nullptr, start, end), Result::invalid_value);
  Context second = nullptr;
  EXPECT_EQ(cu.cuCtxCreate_v2(&second, 0, 1), Result::success);
  EXPECT_EQ(cu.cuEventRecord(start, nullptr), Result::invalid_handle) << "of another context";
  EXPECT_EQ(cu.cuCtxDestroy_v2(second), Result::success);
  EXPECT_EQ(cu.cuEventDestroy_v2(start), Result::success);
  EXPECT_EQ(cu.cuEventDestroy_v2(start), Result::invalid_handle);
  EXPECT_EQ(cu.cuEventRecord(start, s), Result::invalid_handle);
  EXPECT_EQ(cu.cuStreamDestroy_v2(s), Result::success);
  EXPECT_EQ(cu.cuStreamDestroy_v2(s), Result::invalid_handle);
  EXPECT_EQ(cu.cuStreamSynchronize(s), Result::invalid_handle);
}

TEST_F(VirtualDriver, TwoThreadsWorkAtOnce) {
  const Function f = function("scale");
  const auto work = [&](float a) {
    ASSERT_EQ(cu.cuCtxPushCurrent_v2(context), Result::success);
    const Stream s = stream(1);
    const std::vector<float> values = numbers(500);
    for (int i = 0; i < 30; ++i) {
      const Pointer x = upload(values);
      const Pointer out = allocate(2000);
      ASSERT_EQ(scale(f, out, x, a, 500, s), Result::success);
      ASSERT_EQ(cu.cuStreamSynchronize(s), Result::success);
      ASSERT_EQ(download(out, 500), times(a, values));
      ASSERT_EQ(cu.cuMemFree_v2(x), Result::success);
      ASSERT_EQ(cu.cuMemFree_v2(out), Result::success);
    }
  };
  std::thread other(work, 2.0F);
  work(3.0F);
  other.join();
  EXPECT_EQ(report()["launches"].size(), 60);
}

}  // namespace
}  // namespace grkan::vgpu::driver
