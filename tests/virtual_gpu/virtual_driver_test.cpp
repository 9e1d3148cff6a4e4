// The virtual GPU's driver API, each code as cuda.h documents it ("no entry" where it does not, for
// the day of a GPU), and what a small program does with it.
#include "tests/virtual_gpu/virtual_driver.h"

#include <array>
#include <string>
#include <vector>

#include "tests/support/same_function.h"

#if __has_include(<cuda.h>)
#include <cuda.h>
#endif

namespace grkan::vgpu::driver {
namespace {

#if __has_include(<cuda.h>)
#define GRKAN_CHECK(name, parameters)                                        \
  static_assert(SameFunction<decltype(Api::name), decltype(&::name)>::value, \
                #name " is declared in another way than in cuda.h");
GRKAN_VIRTUAL_FUNCTIONS(GRKAN_CHECK)
static_assert(sizeof(LaunchConfig) == sizeof(CUlaunchConfig));
static_assert(offsetof(LaunchConfig, stream) == offsetof(CUlaunchConfig, hStream));
static_assert(offsetof(LaunchConfig, attributes) == offsetof(CUlaunchConfig, attrs));
static_assert(offsetof(LaunchConfig, attribute_count) == offsetof(CUlaunchConfig, numAttrs));
static_assert(sizeof(LaunchAttribute) == sizeof(CUlaunchAttribute));
static_assert(offsetof(LaunchAttribute, value) == offsetof(CUlaunchAttribute, value));
static_assert(sizeof(Uuid) == sizeof(CUuuid));
static_assert(int(Result::no_binary_for_gpu) == CUDA_ERROR_NO_BINARY_FOR_GPU);
static_assert(int(Result::stream_capture_implicit) == CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
TEST(VirtualDriverTable, AgreesWithCudaH) { SUCCEED() << "checked while compiling"; }

TEST(VirtualDriverTable, NamesErrorsAsCudaH) {
  const auto name = [](int code) {
    const char* text = "";
    const char* described = nullptr;
    open_api().cuGetErrorName(Result(code), &text);
    EXPECT_EQ(open_api().cuGetErrorString(Result(code), &described), Result::success) << code;
    EXPECT_NE(described, nullptr);
    return std::string(text);
  };
#define GRKAN_CHECK_NAME(error) EXPECT_EQ(name(error), #error)
  GRKAN_CHECK_NAME(CUDA_SUCCESS);
  GRKAN_CHECK_NAME(CUDA_ERROR_INVALID_VALUE);
  GRKAN_CHECK_NAME(CUDA_ERROR_OUT_OF_MEMORY);
  GRKAN_CHECK_NAME(CUDA_ERROR_NOT_INITIALIZED);
  GRKAN_CHECK_NAME(CUDA_ERROR_INVALID_DEVICE);
  GRKAN_CHECK_NAME(CUDA_ERROR_INVALID_CONTEXT);
  GRKAN_CHECK_NAME(CUDA_ERROR_NO_BINARY_FOR_GPU);
  GRKAN_CHECK_NAME(CUDA_ERROR_UNSUPPORTED_LIMIT);
  GRKAN_CHECK_NAME(CUDA_ERROR_INVALID_PTX);
  GRKAN_CHECK_NAME(CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
  GRKAN_CHECK_NAME(CUDA_ERROR_INVALID_HANDLE);
  GRKAN_CHECK_NAME(CUDA_ERROR_ILLEGAL_STATE);
  GRKAN_CHECK_NAME(CUDA_ERROR_NOT_FOUND);
  GRKAN_CHECK_NAME(CUDA_ERROR_ILLEGAL_ADDRESS);
  GRKAN_CHECK_NAME(CUDA_ERROR_LAUNCH_TIMEOUT);
  GRKAN_CHECK_NAME(CUDA_ERROR_CONTEXT_IS_DESTROYED);
  GRKAN_CHECK_NAME(CUDA_ERROR_MISALIGNED_ADDRESS);
  GRKAN_CHECK_NAME(CUDA_ERROR_LAUNCH_FAILED);
  GRKAN_CHECK_NAME(CUDA_ERROR_NOT_PERMITTED);
  GRKAN_CHECK_NAME(CUDA_ERROR_NOT_SUPPORTED);
  GRKAN_CHECK_NAME(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  GRKAN_CHECK_NAME(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  GRKAN_CHECK_NAME(CUDA_ERROR_STREAM_CAPTURE_MERGE);
  GRKAN_CHECK_NAME(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
  GRKAN_CHECK_NAME(CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
  GRKAN_CHECK_NAME(CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
  GRKAN_CHECK_NAME(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  GRKAN_CHECK_NAME(CUDA_ERROR_CAPTURED_EVENT);
  GRKAN_CHECK_NAME(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
  GRKAN_CHECK_NAME(CUDA_ERROR_UNKNOWN);
}
#else
TEST(VirtualDriverTable, AgreesWithCudaH) { GTEST_SKIP() << "SKIP: there is no cuda.h"; }
#endif

// A process of its own for what comes before cuInit.
struct VirtualDriverStart : ::testing::Test {
  VirtualDriverStart() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  [[noreturn]] static void init_and_exit(const char* text) {
    setenv("GRKAN_VIRTUAL", text, 1);
    std::exit(int(open_api().cuInit(0)));
  }
};

TEST_F(VirtualDriverStart, NothingGoesBeforeInit) {
  const auto body = [] {
    const Api& cu = open_api();
    int number = 0;
    Context context = nullptr;
    Pointer pointer = 0;
    const std::array results = {cu.cuDeviceGetCount(&number),    cu.cuDeviceGet(&number, 0),
                                cu.cuCtxGetCurrent(&context),    cu.cuMemAlloc_v2(&pointer, 4),
                                cu.cuStreamSynchronize(nullptr), cu.cuCtxSynchronize()};
    for (const Result result : results) {
      if (result != Result::not_initialized) std::exit(1);
    }
    const bool without_init = cu.cuDriverGetVersion(&number) == Result::success && number == 13000;
    std::exit(without_init && cu.cuInit(1) == Result::invalid_value ? 0 : 2);
  };
  EXPECT_EXIT(body(), ::testing::ExitedWithCode(0), "");
}

TEST_F(VirtualDriverStart, BadTextsSayWhatWasExpected) {
  EXPECT_EXIT(init_and_exit("model=h200,checks=races"), ::testing::ExitedWithCode(1),
              "there is no check 'races'; there are out_of_bounds, misaligned");
  EXPECT_EXIT(init_and_exit("model=riva128"), ::testing::ExitedWithCode(1), "riva128.*h200");
  EXPECT_EXIT(init_and_exit("seed=-1"), ::testing::ExitedWithCode(1),
              "seed=-1 is no number from 0 to 18446744073709551615");
  EXPECT_EXIT(init_and_exit("ulps=x"), ::testing::ExitedWithCode(1), "ulps=x is no number from 0");
  EXPECT_EXIT(init_and_exit("threads=5000"), ::testing::ExitedWithCode(1), "from 0 to 4096");
  EXPECT_EXIT(init_and_exit("speed=9"), ::testing::ExitedWithCode(1),
              "'speed=9' is none of model=, checks=, seed=, ulps=, threads=");
  EXPECT_EXIT(init_and_exit("model=t4,,"), ::testing::ExitedWithCode(1), "'' is none of");
  EXPECT_EXIT(init_and_exit("model=t4,checks=none,seed=1,ulps=2,threads=1"),
              ::testing::ExitedWithCode(0), "");
}

TEST_F(VirtualDriverStart, ProgramsConfigureToo) {
  const auto body = [] {
    const Api& cu = open_api();
    setenv("GRKAN_VIRTUAL", "model=t4,seed=3", 1);
    if (cu.configure("model=a10") != 0 || cu.configure("model=a11") != 1) std::exit(1);
    if (cu.configure(nullptr) != 1 || cu.cuInit(0) != Result::success) std::exit(2);
    std::array<char, 64> name{};
    int count = 0;
    cu.cuDeviceGetName(name.data(), int(name.size()), 0);
    if (std::string(name.data()) != "NVIDIA A10 (virtual GPU)") std::exit(3);
    if (cu.configure("model=l4") != 0) std::exit(4);
    if (cu.configure("model=l4+a10") != 0) std::exit(5);
    cu.cuDeviceGetCount(&count);
    std::exit(count == 2 ? 0 : 6);
  };
  EXPECT_EXIT(body(), ::testing::ExitedWithCode(0), "there is no|a11");
}

TEST_F(VirtualDriverStart, DevicesOfAModelAreMadeOnDemand) {
  EXPECT_EXIT(
      {
        setenv("GRKAN_VIRTUAL", "model=t4", 1);
        const Api& cu = open_api();
        int count = 0;
        int capability = 0;
        const bool right =
            cu.device("t4") == -1 && cu.cuInit(0) == Result::success && cu.device("t4") == 0 &&
            cu.device("h200") == 1 && cu.device("h200") == 1 && cu.device("t5") == -1 &&
            cu.device(nullptr) == -1 && cu.cuDeviceGetCount(&count) == Result::success &&
            count == 2 && cu.cuDeviceGetAttribute(&capability, 75, 1) == Result::success &&
            capability == 9;
        std::exit(right ? 0 : 1);
      },
      testing::ExitedWithCode(0), "t5");
}

TEST_F(VirtualDriver, ExportsEveryFunctionOfItsTable) {
#define GRKAN_CHECK_BOUND(name, parameters) EXPECT_NE(cu.name, nullptr) << #name;
  GRKAN_VIRTUAL_FUNCTIONS(GRKAN_CHECK_BOUND)
}

TEST_F(VirtualDriver, TellsItsDevices) {
  int count = 0;
  EXPECT_EQ(cu.cuDeviceGetCount(&count), Result::success);
  EXPECT_EQ(count, 2);
  std::array<char, 64> name{};
  EXPECT_EQ(cu.cuDeviceGetName(name.data(), 64, 0), Result::success);
  EXPECT_STREQ(name.data(), "NVIDIA H200 SXM (virtual GPU)");
  EXPECT_EQ(cu.cuDeviceGetName(name.data(), 7, 1), Result::success);
  EXPECT_STREQ(name.data(), "NVIDIA");
  // Figures of the programming guide.
  EXPECT_EQ(attribute(75) * 10 + attribute(76), 90);
  EXPECT_EQ(attribute(75, 1) * 10 + attribute(76, 1), 75);
  EXPECT_EQ(attribute(16), 132);
  EXPECT_EQ(attribute(39), 2048);
  EXPECT_EQ(attribute(39, 1), 1024);
  EXPECT_EQ(attribute(97), 227 * 1024);
  EXPECT_EQ(attribute(97, 1), 64 * 1024);
  EXPECT_EQ(attribute(106), 32);
  EXPECT_EQ(attribute(106, 1), 16);
  std::size_t bytes = 0;
  EXPECT_EQ(cu.cuDeviceTotalMem_v2(&bytes, 0), Result::success);
  EXPECT_EQ(bytes, std::size_t{141} << 30);
  Uuid first{};
  Uuid second{};
  EXPECT_EQ(cu.cuDeviceGetUuid_v2(&first, 0), Result::success);
  EXPECT_EQ(cu.cuDeviceGetUuid_v2(&second, 1), Result::success);
  EXPECT_NE(std::string(first.bytes, 16), std::string(second.bytes, 16));
}

TEST_F(VirtualDriver, WrongDeviceQueries) {
  int value = 0;
  Device device = 0;
  std::size_t bytes = 0;
  std::array<char, 8> name{};
  EXPECT_EQ(cu.cuDeviceGet(&device, 2), Result::invalid_device);
  EXPECT_EQ(cu.cuDeviceGet(&device, -1), Result::invalid_device);
  EXPECT_EQ(cu.cuDeviceGet(nullptr, 0), Result::invalid_value);
  EXPECT_EQ(cu.cuDeviceGetCount(nullptr), Result::invalid_value);
  EXPECT_EQ(cu.cuDeviceGetName(name.data(), 8, 5), Result::invalid_device);
  EXPECT_EQ(cu.cuDeviceGetName(nullptr, 8, 0), Result::invalid_value);
  EXPECT_EQ(cu.cuDeviceGetAttribute(&value, 100000, 0), Result::invalid_value);
  EXPECT_EQ(cu.cuDeviceGetAttribute(&value, 16, 9), Result::invalid_device);
  EXPECT_EQ(cu.cuDeviceTotalMem_v2(&bytes, 9), Result::invalid_device);
  const char* text = nullptr;
  EXPECT_EQ(cu.cuGetErrorName(Result(12345), &text), Result::invalid_value);
  EXPECT_EQ(text, nullptr);
  EXPECT_EQ(cu.cuGetErrorName(Result::invalid_ptx, &text), Result::success);
  EXPECT_STREQ(text, "CUDA_ERROR_INVALID_PTX");
}

TEST_F(VirtualDriver, Contexts) {
  Context made = nullptr;
  Context current = nullptr;
  Device device = 0;
  EXPECT_EQ(cu.cuCtxCreate_v2(&made, 0, 1), Result::success);
  EXPECT_EQ(cu.cuCtxGetDevice(&device), Result::success);
  EXPECT_EQ(device, 1);
  EXPECT_EQ(cu.cuCtxPopCurrent_v2(&current), Result::success);
  EXPECT_EQ(current, made);
  EXPECT_EQ(cu.cuCtxGetCurrent(&current), Result::success);
  EXPECT_EQ(current, context);
  EXPECT_EQ(cu.cuCtxSetCurrent(made), Result::success);
  EXPECT_EQ(cu.cuCtxDestroy_v2(made), Result::success);
  // Destroyed: its handle is no context any more, and this thread has none.
  EXPECT_EQ(cu.cuCtxDestroy_v2(made), Result::invalid_context);
  EXPECT_EQ(cu.cuCtxPushCurrent_v2(made), Result::invalid_context);
  EXPECT_EQ(cu.cuCtxGetDevice(&device), Result::invalid_context);
  EXPECT_EQ(cu.cuCtxPopCurrent_v2(&current), Result::invalid_context);
  EXPECT_EQ(cu.cuCtxGetCurrent(&current), Result::success);
  EXPECT_EQ(current, nullptr);
  Pointer pointer = 0;
  EXPECT_EQ(cu.cuMemAlloc_v2(&pointer, 4), Result::invalid_context);
  EXPECT_EQ(cu.cuStreamSynchronize(nullptr), Result::invalid_context);
  EXPECT_EQ(cu.cuCtxSetCurrent(fake_handle<Context>()), Result::invalid_context);
  EXPECT_EQ(cu.cuCtxCreate_v2(&made, 0, 7), Result::invalid_device);
  EXPECT_EQ(cu.cuCtxDestroy_v2(context), Result::invalid_context) << "a primary context";
}

TEST_F(VirtualDriver, ContextLimits) {
  std::size_t value = 0;
  EXPECT_EQ(cu.cuCtxGetLimit(&value, 0), Result::success);
  EXPECT_EQ(value, 1024);
  EXPECT_EQ(cu.cuCtxSetLimit(0, 4096), Result::success);
  EXPECT_EQ(cu.cuCtxGetLimit(&value, 0), Result::success);
  EXPECT_EQ(value, 4096);
  EXPECT_EQ(cu.cuCtxGetLimit(&value, 77), Result::unsupported_limit);
  EXPECT_EQ(cu.cuCtxSetLimit(-1, 0), Result::unsupported_limit);
}

TEST_F(VirtualDriver, PrimaryContextsAreCounted) {
  Context again = nullptr;
  EXPECT_EQ(cu.cuDevicePrimaryCtxRetain(&again, 0), Result::success);
  EXPECT_EQ(again, context);
  EXPECT_EQ(cu.cuDevicePrimaryCtxRelease_v2(0), Result::success);
  const Pointer pointer = allocate(64);
  EXPECT_EQ(cu.cuDevicePrimaryCtxRelease_v2(0), Result::success);
  EXPECT_EQ(cu.cuDevicePrimaryCtxRelease_v2(0), Result::invalid_context);
  EXPECT_EQ(cu.cuCtxSynchronize(), Result::context_is_destroyed);
  unsigned flags = 0;
  int active = 1;
  EXPECT_EQ(cu.cuDevicePrimaryCtxGetState(0, &flags, &active), Result::success);
  EXPECT_EQ(active, 0);
  EXPECT_EQ(cu.cuDevicePrimaryCtxRetain(&again, 0), Result::success);
  EXPECT_EQ(cu.cuMemFree_v2(pointer), Result::invalid_value) << "its memory went with it";
}

TEST_F(VirtualDriver, MemoryIsAccountedFor) {
  std::size_t before = 0;
  std::size_t after = 0;
  std::size_t total = 0;
  EXPECT_EQ(cu.cuMemGetInfo_v2(&before, &total), Result::success);
  const Pointer pointer = allocate(1 << 20);
  EXPECT_EQ(cu.cuMemGetInfo_v2(&after, &total), Result::success);
  EXPECT_EQ(before - after, std::size_t{1} << 20);
  EXPECT_EQ(total, std::size_t{141} << 30);
  EXPECT_EQ(pointer % 256, 0);
  Pointer other = 0;
  EXPECT_EQ(cu.cuMemAlloc_v2(&other, std::size_t{142} << 30), Result::out_of_memory);
  EXPECT_EQ(cu.cuMemAlloc_v2(&other, 0), Result::invalid_value);
  EXPECT_EQ(cu.cuMemAlloc_v2(nullptr, 4), Result::invalid_value);
  EXPECT_EQ(cu.cuMemFree_v2(pointer + 4), Result::invalid_value);
  EXPECT_EQ(cu.cuMemFree_v2(0x1234), Result::invalid_value);
  EXPECT_EQ(cu.cuMemFree_v2(0), Result::success) << "no entry";
  EXPECT_EQ(cu.cuMemFree_v2(pointer), Result::success);
  EXPECT_EQ(cu.cuMemFree_v2(pointer), Result::invalid_value);
  int word = 0;
  EXPECT_EQ(cu.cuMemcpyHtoD_v2(pointer, &word, 4), Result::invalid_value) << "freed";
  EXPECT_EQ(cu.cuMemcpy(reinterpret_cast<Pointer>(&word), pointer, 4), Result::invalid_value);
}

TEST_F(VirtualDriver, CopiesAllWays) {
  const std::vector<float> values = numbers(100);
  const Pointer a = upload(values);
  const Pointer b = allocate(400);
  std::vector<float> got(100);
  const auto host = reinterpret_cast<Pointer>(got.data());
  const Stream s = stream();
  EXPECT_EQ(cu.cuMemcpyDtoD_v2(b, a, 400), Result::success);
  EXPECT_EQ(download(b, 100), values);
  EXPECT_EQ(cu.cuMemsetD8_v2(b, 0, 400), Result::success);
  EXPECT_EQ(cu.cuMemcpyDtoDAsync_v2(b, a, 400, s), Result::success);
  EXPECT_EQ(cu.cuMemcpyDtoHAsync_v2(got.data(), b, 400, s), Result::success);
  EXPECT_EQ(got, values);
  EXPECT_EQ(cu.cuMemcpyHtoDAsync_v2(b, times(2, values).data(), 400, s), Result::success);
  EXPECT_EQ(cu.cuMemcpy(host, b, 400), Result::success);
  EXPECT_EQ(got, times(2, values));
  EXPECT_EQ(cu.cuMemcpyAsync(a, host, 400, nullptr), Result::success);
  EXPECT_EQ(download(a, 100), times(2, values));
  // Between devices.
  Context second = nullptr;
  EXPECT_EQ(cu.cuCtxCreate_v2(&second, 0, 1), Result::success);
  const Pointer there = allocate(400);
  EXPECT_NE(there, a);
  EXPECT_EQ(cu.cuMemcpy(there, a, 400), Result::success);
  EXPECT_EQ(download(there, 100), times(2, values));
  EXPECT_EQ(cu.cuCtxDestroy_v2(second), Result::success);
  // Past an end, from nowhere, at null.
  EXPECT_EQ(cu.cuMemcpyDtoD_v2(b, a, 401), Result::invalid_value);
  EXPECT_EQ(cu.cuMemcpyDtoH_v2(got.data(), a + 4, 400), Result::invalid_value);
  EXPECT_EQ(cu.cuMemcpyHtoD_v2(host, got.data(), 4), Result::invalid_value) << "a host address";
  EXPECT_EQ(cu.cuMemcpyHtoD_v2(a, nullptr, 4), Result::invalid_value);
  EXPECT_EQ(cu.cuMemcpyDtoHAsync_v2(nullptr, a, 4, s), Result::invalid_value);
  EXPECT_EQ(cu.cuMemcpyDtoHAsync_v2(got.data(), a, 4, fake_handle<Stream>()),
            Result::invalid_handle);
  EXPECT_EQ(cu.cuMemcpyDtoH_v2(got.data(), a, 0), Result::success);
}

TEST_F(VirtualDriver, SetsMemory) {
  const Pointer p = allocate(64);
  std::array<unsigned char, 64> got{};
  const auto byte = [&](std::size_t i) {
    EXPECT_EQ(cu.cuMemcpyDtoH_v2(got.data(), p, 64), Result::success);
    return int(got[i]);
  };
  EXPECT_EQ(cu.cuMemsetD8_v2(p, 0x11, 64), Result::success);
  EXPECT_EQ(byte(63), 0x11);
  EXPECT_EQ(cu.cuMemsetD16_v2(p, 0x2233, 32), Result::success);
  EXPECT_EQ(byte(62), 0x33);
  EXPECT_EQ(byte(63), 0x22);
  EXPECT_EQ(cu.cuMemsetD32_v2(p, 0x44556677, 16), Result::success);
  EXPECT_EQ(byte(60), 0x77);
  EXPECT_EQ(cu.cuMemsetD32Async(p, 1, 1, nullptr), Result::success);
  EXPECT_EQ(byte(0), 1);
  EXPECT_EQ(byte(4), 0x77);
  EXPECT_EQ(cu.cuMemsetD8Async(p, 9, 1, nullptr), Result::success);
  EXPECT_EQ(cu.cuMemsetD16Async(p + 2, 0x0A0B, 1, nullptr), Result::success);
  EXPECT_EQ(byte(0), 9);
  EXPECT_EQ(byte(2), 0x0B);
  EXPECT_EQ(cu.cuMemsetD8_v2(p, 0, 65), Result::invalid_value);
  EXPECT_EQ(cu.cuMemsetD32_v2(p + 2, 0, 1), Result::invalid_value) << "misaligned";
  EXPECT_EQ(cu.cuMemsetD32_v2(p, 0, std::size_t{1} << 62), Result::invalid_value);
}

TEST_F(VirtualDriver, PoolsAndHostMemory) {
  Pool pool = nullptr;
  Pointer pointer = 0;
  EXPECT_EQ(cu.cuDeviceGetDefaultMemPool(&pool, 0), Result::success);
  EXPECT_EQ(cu.cuMemAllocAsync(&pointer, 256, nullptr), Result::success);
  std::uint64_t used = 0;
  EXPECT_EQ(cu.cuMemPoolGetAttribute(pool, 7, &used), Result::success);
  EXPECT_EQ(used, 256);
  EXPECT_EQ(cu.cuMemFreeAsync(pointer, nullptr), Result::success);
  EXPECT_EQ(cu.cuMemFreeAsync(pointer, nullptr), Result::invalid_value);
  EXPECT_EQ(cu.cuMemAllocFromPoolAsync(&pointer, 8, fake_handle<Pool>(), nullptr),
            Result::invalid_value);
  EXPECT_EQ(cu.cuMemAllocFromPoolAsync(&pointer, 8, pool, nullptr), Result::success);
  EXPECT_EQ(cu.cuMemFree_v2(pointer), Result::success);
  std::uint64_t threshold = 12345;
  EXPECT_EQ(cu.cuMemPoolSetAttribute(pool, 4, &threshold), Result::success);
  EXPECT_EQ(cu.cuMemPoolTrimTo(pool, 0), Result::success);
  void* host = nullptr;
  EXPECT_EQ(cu.cuMemAllocHost_v2(&host, 100), Result::success);
  unsigned type = 0;
  EXPECT_EQ(cu.cuPointerGetAttribute(&type, 2, reinterpret_cast<Pointer>(host)), Result::success);
  EXPECT_EQ(type, 1);
  EXPECT_EQ(cu.cuMemFreeHost(host), Result::success);
  EXPECT_EQ(cu.cuMemFreeHost(host), Result::invalid_value);
  const Pointer device = allocate(16);
  EXPECT_EQ(cu.cuPointerGetAttribute(&type, 2, device + 15), Result::success);
  EXPECT_EQ(type, 2);
  int ordinal = -1;
  EXPECT_EQ(cu.cuPointerGetAttribute(&ordinal, 9, device), Result::success);
  EXPECT_EQ(ordinal, 0);
  EXPECT_EQ(cu.cuPointerGetAttribute(&type, 2, device + 16), Result::invalid_value);
  EXPECT_EQ(cu.cuPointerGetAttribute(&type, 2, reinterpret_cast<Pointer>(&type)),
            Result::invalid_value);
  Pointer base = 0;
  std::size_t size = 0;
  EXPECT_EQ(cu.cuMemGetAddressRange_v2(&base, &size, device + 3), Result::success);
  EXPECT_EQ(base, device);
  EXPECT_EQ(size, 16);
  EXPECT_EQ(cu.cuMemGetAddressRange_v2(&base, &size, 16), Result::not_found);
}

TEST_F(VirtualDriver, FindsFunctionsByName) {
  void* found = nullptr;
  int status = -1;
  EXPECT_EQ(cu.cuGetProcAddress_v2("cuMemAlloc", &found, 13000, 0, &status), Result::success);
  EXPECT_EQ(found, reinterpret_cast<void*>(cu.cuMemAlloc_v2));
  EXPECT_EQ(status, 0);
  EXPECT_EQ(cu.cuGetProcAddress_v2("cuCtxCreate", &found, 12000, 0, &status), Result::success);
  EXPECT_EQ(found, reinterpret_cast<void*>(cu.cuCtxCreate_v2));
  EXPECT_EQ(cu.cuGetProcAddress_v2("cuCtxCreate", &found, 13000, 0, &status), Result::success);
  EXPECT_EQ(found, reinterpret_cast<void*>(cu.cuCtxCreate_v4));
  EXPECT_EQ(cu.cuGetProcAddress_v2("cuMoonPhase", &found, 13000, 0, &status), Result::success);
  EXPECT_EQ(found, nullptr);
  EXPECT_EQ(status, 1);
  EXPECT_EQ(cu.cuGetProcAddress_v2("cuGraphInstantiate", &found, 11000, 0, &status),
            Result::success);
  EXPECT_EQ(status, 2);
  EXPECT_EQ(cu.cuGetProcAddress_v2("cuInit", &found, 13010, 0, &status), Result::invalid_value);
  EXPECT_EQ(cu.cuGetProcAddress("cuMoonPhase", &found, 13000, 0), Result::not_found);
  const void* table = &status;
  EXPECT_EQ(cu.cuGetExportTable(&table, nullptr), Result::not_supported) << "no entry";
  EXPECT_EQ(table, nullptr);
}

}  // namespace
}  // namespace grkan::vgpu::driver
