// The CUDA road without a GPU: the hand-made declarations against cuda.h, and opening, loading and
// launching against a driver that keeps a log of calls.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "cuda/device.h"
#include "cuda/driver.h"
#include "cuda/launch.h"
#include "runtime/call_check.h"
#include "runtime/context.h"
#include "runtime/plan.h"
#include "tests/support/same_function.h"

#if __has_include(<cuda.h>)
#include <cuda.h>
#endif

namespace grkan {
namespace {

// Passes when `text` has `part` in it.
::testing::AssertionResult contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "'" << text << "' does not contain '" << part << "'";
}

#if __has_include(<cuda.h>)
// A symbol such as cuMemAlloc_v2 is what cuda.h makes of cuMemAlloc.
#define GRKAN_CHECK(symbol, name, parameters)                                           \
  static_assert(SameFunction<decltype(cuda::Driver::name), decltype(&::symbol)>::value, \
                #symbol " is declared in another way than in cuda.h");
GRKAN_CUDA_FUNCTIONS(GRKAN_CHECK)
static_assert(cuda::kSuccess == CUDA_SUCCESS && cuda::kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY);
static_assert(cuda::kProgrammaticStreamSerialization ==
              CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
static_assert(sizeof(cuda::LaunchAttribute) == sizeof(CUlaunchAttribute));
static_assert(offsetof(cuda::LaunchAttribute, value) == offsetof(CUlaunchAttribute, value));
static_assert(sizeof(cuda::LaunchConfig) == sizeof(CUlaunchConfig));
static_assert(offsetof(cuda::LaunchConfig, block_x) == offsetof(CUlaunchConfig, blockDimX));
static_assert(offsetof(cuda::LaunchConfig, stream) == offsetof(CUlaunchConfig, hStream));
static_assert(offsetof(cuda::LaunchConfig, attributes) == offsetof(CUlaunchConfig, attrs));
static_assert(offsetof(cuda::LaunchConfig, attribute_count) == offsetof(CUlaunchConfig, numAttrs));
static_assert(cuda::kNoDevice == CUDA_ERROR_NO_DEVICE);
static_assert(cuda::kInvalidImage == CUDA_ERROR_INVALID_IMAGE);
static_assert(cuda::kInvalidContext == CUDA_ERROR_INVALID_CONTEXT);
static_assert(cuda::kNoBinaryForGpu == CUDA_ERROR_NO_BINARY_FOR_GPU);
static_assert(cuda::kInvalidPtx == CUDA_ERROR_INVALID_PTX);
static_assert(cuda::kUnsupportedPtxVersion == CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
static_assert(cuda::kMultiprocessorCount == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(cuda::kL2CacheSize == CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
static_assert(cuda::kCapabilityMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(cuda::kCapabilityMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(sizeof(cuda::Pointer) == sizeof(CUdeviceptr));
TEST(CudaDriver, DeclarationsAgreeWithCudaH) { SUCCEED() << "checked while compiling"; }
#else
TEST(CudaDriver, DeclarationsAgreeWithCudaH) { GTEST_SKIP() << "SKIP: there is no cuda.h"; }
#endif

// Functions of the fake driver itself.
struct Fake {
  void* library = dlopen(GRKAN_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
  template <class Function>
  Function get(const char* name) const {
    return reinterpret_cast<Function>(dlsym(library, name));
  }
  void reset() const { get<void (*)()>("fake_reset")(); }
  void fail(const char* what) const { get<void (*)(const char*)>("fake_fail")(what); }
  void version(int v) const { get<void (*)(int)>("fake_version")(v); }
  void current(int device) const { get<void (*)(int)>("fake_current")(device); }
  [[nodiscard]] std::string log() const { return get<const char* (*)()>("fake_log")(); }
};

struct CudaTest : ::testing::Test {
  CudaTest() {
    fake.reset();
    task = backward_task(parse_problem("p5q4-A-c64-g2-f32-last"));
    schedule = CudaSchedule(default_schedule(task, {"sm_90"}, 1000));
  }

  static Binary binary(const Task& of, const Schedule& wanted, const std::string& code) {
    Binary b;
    b.task = of;
    b.compiled_schedule = compiled_text(wanted);
    b.target = {"sm_90"};
    b.compiler = "nvrtc 13.0.88";
    b.code = code;
    b.ptx = "ptx";
    const bool narrow = CudaSchedule(wanted).columns == 1;
    b.kernels.resize(2);
    b.kernels[0].symbol = narrow ? "narrow" : "wide";
    b.kernels[1].symbol = narrow ? "narrow2" : "wide2";
    return b;
  }
  std::shared_ptr<const Kernel> load(Device& device, const std::string& code = "cubin") const {
    return device.load(task, schedule,
                       [&](const Schedule& wanted) { return binary(task, wanted, code); });
  }
  Call call(std::int64_t rows, std::size_t offset = 0) {
    return {.rows = rows,
            .x = data + offset,
            .x_stride = 64,
            .dy = data + 65536 + offset,
            .dy_stride = 64,
            .out = data + 131072 + offset,
            .out_stride = 64,
            .a = data + 200000,
            .b = data + 201000,
            .da = data + 202000,
            .db = data + 203000};
  }
  template <class Body>
  static Error error_of(const Body& body) {
    try {
      body();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "no error";
    return {Status::ok, ""};
  }

  Fake fake;
  std::string driver = GRKAN_FAKE_CUDA;
  Task task;
  CudaSchedule schedule;
  std::vector<float> storage = std::vector<float>(300000);
  float* data = reinterpret_cast<float*>((reinterpret_cast<std::uintptr_t>(storage.data()) + 255) /
                                         256 * 256);
  std::vector<std::byte> space = std::vector<std::byte>(std::size_t{16} << 20);
  Workspace workspace{
      .data = space.data(), .size = space.size(), .stream = reinterpret_cast<void*>(7)};
};

TEST_F(CudaTest, DescribesTheDevice) {
  const auto device = make_cuda_device("cuda:1", driver);
  EXPECT_EQ(device->info().name, "cuda:1");
  EXPECT_EQ(device->info().model, "Fake GPU");
  EXPECT_EQ(device->info().target.name, "sm_90");
  EXPECT_EQ(device->info().units, 132);
  EXPECT_EQ(device->info().driver, "12.4");
  EXPECT_EQ(cuda_devices(driver).count, 2);
}

TEST_F(CudaTest, ErrorsOfOpening) {
  EXPECT_TRUE(contains(error_of([&] { make_cuda_device("cuda:5", driver); }).what(),
                       "cuda:5 does not exist: the driver"));
  fake.version(11080);
  Error error = error_of([&] { make_cuda_device("cuda:0", driver); });
  EXPECT_EQ(error.status(), Status::no_device);
  EXPECT_TRUE(contains(error.what(), "is of version 11.8, but 12.0 or later is needed"));
  fake.reset();
  fake.fail("cuInit=100");
  error = error_of([&] { make_cuda_device("cuda:0", driver); });
  EXPECT_EQ(error.status(), Status::no_device);
  EXPECT_TRUE(contains(error.what(), "can't be initialised"));
  driver = "/nonexistent/libcuda.so.1";
  EXPECT_EQ(error_of([&] { make_cuda_device("cuda:0", driver); }).status(), Status::no_device);
  EXPECT_EQ(cuda_devices(driver).count, 0);
  EXPECT_NE(cuda_devices(driver).why, "");
  driver = "libm.so.6";
  EXPECT_EQ(error_of([&] { make_cuda_device("cuda:0", driver); }).status(), Status::no_device);
}

TEST_F(CudaTest, LaunchesBothPassesOnTheCallersStream) {
  const auto device = make_cuda_device("cuda:0", driver);
  const auto kernel = load(*device);
  fake.reset();
  kernel->run(call(1000), workspace);
  const CudaLaunch launch = cuda_launch(task, schedule, 1000, 1, 132);
  const std::string expected =
      "cuLaunchKernel wide grid " + std::to_string(launch.grid_x) + "x" +
      std::to_string(launch.grid_y) + " threads " + std::to_string(launch.threads) +
      " stream 7\ncuLaunchKernelEx wide2 grid " + std::to_string(launch.second_pass_blocks) +
      "x1 threads " + std::to_string(launch.second_pass_threads) + " stream 7 early\n";
  EXPECT_EQ(fake.log(), expected);  // and nothing is synchronised
}

// Older drivers can't capture a launch that starts early.
TEST_F(CudaTest, TheSecondPassStartsEarlyFromDriver12_3On) {
  ASSERT_EQ(schedule.sums, CudaSchedule::programmatic);
  for (const int version : {12020, 12030}) {
    fake.version(version);
    const auto device = make_cuda_device("cuda:0", driver);
    const auto kernel = load(*device);
    fake.reset();
    kernel->run(call(1000), workspace);
    EXPECT_EQ(contains(fake.log(), " early"), version == 12030) << fake.log();
  }
}

// As of a compiler that told nothing: not a launch of nothing.
TEST_F(CudaTest, ABinaryWithoutKernelsIsAnError) {
  const auto device = make_cuda_device("cuda:0", driver);
  const Error error = error_of([&] {
    device->load(task, schedule, [&](const Schedule& wanted) {
      Binary nameless = binary(task, wanted, "cubin");
      nameless.kernels.clear();
      return nameless;
    });
  });
  EXPECT_TRUE(contains(error.what(), "names no kernel")) << error.what();
}

TEST_F(CudaTest, UnalignedPointersTakeTheNarrowKernel) {
  const auto device = make_cuda_device("cuda:0", driver);
  const auto kernel = load(*device);
  ASSERT_GT(schedule.columns, 1);
  fake.reset();
  kernel->run(call(1000, 1), workspace);
  EXPECT_TRUE(contains(fake.log(), "cuLaunchKernel narrow grid"));
  EXPECT_FALSE(contains(fake.log(), "wide"));
}

TEST_F(CudaTest, NarrowSchedulesAreLegal) {
  for (const char* text :
       {"p5q4-A-c64-g2-f32-last", "p5q4-A-c768-g8-bf16-last", "p5q4-A-c255-g5-f32-last",
        "p5q4-A-c3072-g1-f32:f16-last", "p5q4-A-c7-g7-f64-first", "p3q3-B-c1021-g1-f16-last",
        "p12q12-A-c1024-g8-f32-last", "p15q15-C-c1024-g8-f64-last"}) {
    for (const Task& t : {forward_task(parse_problem(text)), backward_task(parse_problem(text))}) {
      const Schedule wide = default_schedule(t, {"sm_90"}, 1000);
      const CudaSchedule narrow = narrow_schedule(t, CudaSchedule(wide));
      EXPECT_EQ(narrow.columns, 1);
      EXPECT_EQ(why_illegal(t, narrow, {"sm_90"}), "") << to_string(t);
    }
  }
}

TEST_F(CudaTest, AnotherDevicesContextIsAnErrorNamingBoth) {
  const auto device = make_cuda_device("cuda:0", driver);
  const auto kernel = load(*device);
  fake.current(1);
  const Error error = error_of([&] { kernel->run(call(10), workspace); });
  EXPECT_EQ(error.status(), Status::invalid_argument);
  EXPECT_TRUE(contains(error.what(),
                       "belongs to cuda:0, but the calling thread's context is of "
                       "cuda:1"));
  fake.current(0);
  EXPECT_NO_THROW(kernel->run(call(10), workspace));
}

TEST_F(CudaTest, FallsBackToPtx) {
  const auto device = make_cuda_device("cuda:0", driver);
  fake.reset();
  load(*device, "other cubin");
  EXPECT_TRUE(contains(fake.log(), "cuLibraryLoadData other cubin\ncuLibraryLoadData ptx\n"));
}

TEST_F(CudaTest, TooNewPtxNamesBothVersions) {
  const auto device = make_cuda_device("cuda:0", driver);
  const Error error = error_of([&] {
    device->load(task, schedule, [&](const Schedule& wanted) {
      Binary b = binary(task, wanted, "other cubin");
      b.ptx = "new ptx";
      return b;
    });
  });
  EXPECT_EQ(error.status(), Status::device_error);
  EXPECT_TRUE(contains(error.what(), "the driver of version 12.4 is older than nvrtc 13.0.88"));
}

TEST_F(CudaTest, LaunchErrorsHaveTheirNameAndCode) {
  const auto device = make_cuda_device("cuda:0", driver);
  const auto kernel = load(*device);
  fake.fail("cuLaunchKernel=719");
  const Error error = error_of([&] { kernel->run(call(10), workspace); });
  EXPECT_EQ(error.status(), Status::device_error);
  EXPECT_STREQ(error.what(), "cuLaunchKernel failed: CUDA_ERROR_FAKE (719): a fake error");
  fake.fail("cuMemAlloc=2");
  EXPECT_EQ(error_of([&] { device->allocate(100); }).status(), Status::out_of_memory);
}

TEST_F(CudaTest, RowsZeroClearsInStreamOrder) {
  const auto device = make_cuda_device("cuda:0", driver);
  fake.reset();
  Call c = call(0);
  storage.assign(storage.size(), 1);
  clear_gradients(*device, task, c, workspace.stream);
  EXPECT_EQ(fake.log(), "cuMemsetD8Async 48\ncuMemsetD8Async 32\n");
  c.accumulate = true;
  fake.reset();
  clear_gradients(*device, task, c, workspace.stream);
  EXPECT_EQ(fake.log(), "");
}

TEST_F(CudaTest, WorkspaceBoundHoldsForDefaults) {
  const auto device = make_cuda_device("cuda:0", driver);
  for (const char* text :
       {"p5q4-A-c64-g2-f32-last", "p5q4-A-c768-g8-bf16-last", "p5q4-A-c768-g768-f32-last",
        "p5q4-A-c3072-g1-f32-last", "p5q4-A-c64-g8-f32-first", "p5q4-A-c7-g7-f64-first",
        "p5q4-A-c8416-g16-f32-last", "p5q4-A-c10007-g1-f32-last"}) {
    const Task t = backward_task(parse_problem(text));
    const bool first = t.problem.layout == Layout::channels_first;
    const auto wide = CudaSchedule(default_schedule(t, {"sm_90"}, 1000));
    CudaSchedule last = wide;
    last.sums = CudaSchedule::last_block;
    CudaSchedule slabs = last;
    slabs.slab = 1;
    for (const CudaSchedule& s :
         {wide, narrow_schedule(t, wide), last, slabs, narrow_schedule(t, slabs)}) {
      for (const std::int64_t rows : {1, 1000, 1000000}) {
        for (const std::int64_t inner : {1, 49, 50176}) {
          if (!first && inner != 1) continue;
          EXPECT_LE(std::size_t(cuda_launch(t, s, rows, inner, 132).workspace_bytes),
                    device->workspace_bound(t).bytes(inner))
              << text << " " << to_string(Schedule(s)) << " " << rows << " " << inner;
        }
      }
    }
  }
}

// The counters are zeroed in the stream, before the one kernel.
TEST_F(CudaTest, LastBlockClearsItsCounters) {
  const auto device = make_cuda_device("cuda:0", driver);
  schedule.sums = CudaSchedule::last_block;
  const auto kernel = load(*device);
  fake.reset();
  kernel->run(call(1000), workspace);
  const CudaLaunch launch = cuda_launch(task, schedule, 1000, 1, 132);
  EXPECT_EQ(launch.second_pass_blocks, 0U);
  const std::string log = fake.log();
  EXPECT_TRUE(log.starts_with("cuMemsetD8Async")) << log;
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2) << log;
  EXPECT_TRUE(contains(log, "cuLaunchKernel wide grid")) << log;
}

TEST_F(CudaTest, TimesByEvents) {
  const auto device = make_cuda_device("cuda:0", driver);
  const auto timer = device->timer();
  timer->start();
  EXPECT_DOUBLE_EQ(timer->stop(), 0.002);
}

}  // namespace
}  // namespace grkan
