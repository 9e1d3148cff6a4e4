// Stream capture and graphs of the virtual GPU's driver; codes as virtual_driver_test.cpp says.
#include <array>
#include <functional>
#include <thread>
#include <vector>

#include "tests/virtual_gpu/virtual_driver.h"

namespace grkan::vgpu::driver {
namespace {

constexpr int kGlobal = 0;
constexpr int kThreadLocal = 1;
constexpr int kRelaxed = 2;

struct VirtualCapture : VirtualDriver {
  void begin(int mode = kGlobal) {
    EXPECT_EQ(cu.cuStreamBeginCapture_v2(s, mode), Result::success);
  }
  Result end() {
    graph = fake_handle<Graph>();
    return cu.cuStreamEndCapture(s, &graph);
  }
  [[nodiscard]] int status() const {
    int value = -1;
    EXPECT_EQ(cu.cuStreamIsCapturing(s, &value), Result::success);
    return value;
  }
  Stream s = stream(1);  // apart from the legacy stream
  Stream other = stream(1);
  Graph graph = nullptr;
};

TEST_F(VirtualCapture, GraphsRunWhatWasCaptured) {
  const std::vector<float> values = numbers(100);
  const Function f = function("scale");
  const Pointer x = upload(values);
  const Pointer y = allocate(400);
  const Pointer z = allocate(400);
  EXPECT_EQ(cu.cuMemsetD8_v2(z, 0, 400), Result::success);
  begin();
  EXPECT_EQ(status(), 1);
  float a = 3;
  EXPECT_EQ(cu.cuMemsetD32Async(y, 0, 100, s), Result::success);
  EXPECT_EQ(scale(f, y, x, a, 100, s), Result::success);
  a = 0;  // the parameters were copied
  EXPECT_EQ(cu.cuMemcpyDtoDAsync_v2(z, y, 400, s), Result::success);
  EXPECT_EQ(end(), Result::success);
  EXPECT_EQ(status(), 0);
  EXPECT_EQ(download(z, 100), std::vector<float>(100)) << "nothing ran yet";
  std::size_t count = 0;
  EXPECT_EQ(cu.cuGraphGetNodes(graph, nullptr, &count), Result::success);
  ASSERT_EQ(count, 3);
  std::array<GraphNode, 3> nodes{};
  EXPECT_EQ(cu.cuGraphGetNodes(graph, nodes.data(), &count), Result::success);
  int type = -1;
  EXPECT_EQ(cu.cuGraphNodeGetType(nodes[1], &type), Result::success);
  EXPECT_EQ(type, 0);
  GraphExec exec = nullptr;
  EXPECT_EQ(cu.cuGraphInstantiateWithFlags(&exec, graph, 0), Result::success);
  EXPECT_EQ(cu.cuGraphDestroy(graph), Result::success);
  EXPECT_EQ(cu.cuGraphDestroy(graph), Result::invalid_value);
  EXPECT_EQ(cu.cuGraphLaunch(exec, s), Result::success);
  EXPECT_EQ(download(z, 100), times(3, values));
  EXPECT_EQ(cu.cuMemcpyHtoD_v2(x, times(2, values).data(), 400), Result::success);
  EXPECT_EQ(cu.cuGraphLaunch(exec, nullptr), Result::success);
  EXPECT_EQ(download(z, 100), times(6, values));
  EXPECT_EQ(report()["launches"].size(), 2);
  EXPECT_EQ(cu.cuGraphExecDestroy(exec), Result::success);
  EXPECT_EQ(cu.cuGraphExecDestroy(exec), Result::invalid_value);
  EXPECT_EQ(cu.cuGraphLaunch(exec, s), Result::invalid_value);
  EXPECT_EQ(cu.cuGraphInstantiateWithFlags(&exec, fake_handle<Graph>(), 0), Result::invalid_value);
}

TEST_F(VirtualCapture, ForbiddenCallsEndIt) {
  Pointer pointer = 0;
  Module module = nullptr;
  const auto calls =
      std::array<std::function<Result()>, 6>{[&] { return cu.cuStreamSynchronize(s); },
                                             [&] { return cu.cuStreamQuery(s); },
                                             [&] { return cu.cuCtxSynchronize(); },
                                             [&] { return cu.cuMemAlloc_v2(&pointer, 4); },
                                             [&] { return cu.cuModuleLoadData(&module, kKernels); },
                                             [&] { return cu.cuMemFree_v2(0x1234); }};
  for (std::size_t i = 0; i < calls.size(); ++i) {
    begin();
    EXPECT_EQ(calls[i](), Result::stream_capture_unsupported) << i;
    EXPECT_EQ(status(), 2) << i;
    EXPECT_EQ(cu.cuMemsetD8Async(0, 0, 0, s), Result::stream_capture_invalidated) << i;
    EXPECT_EQ(end(), Result::stream_capture_invalidated) << i;
    EXPECT_EQ(graph, nullptr);
    EXPECT_EQ(status(), 0);
  }
  begin(kThreadLocal);
  EXPECT_EQ(cu.cuMemAlloc_v2(&pointer, 4), Result::stream_capture_unsupported);
  EXPECT_EQ(end(), Result::stream_capture_invalidated);
  // Whoever asks for it may allocate.
  begin(kRelaxed);
  EXPECT_EQ(cu.cuMemAlloc_v2(&pointer, 4), Result::success);
  EXPECT_EQ(cu.cuMemAllocAsync(&pointer, 4, s), Result::not_supported);
  EXPECT_EQ(end(), Result::success);
  begin();
  int mode = kRelaxed;
  EXPECT_EQ(cu.cuThreadExchangeStreamCaptureMode(&mode), Result::success);
  EXPECT_EQ(mode, kGlobal);
  EXPECT_EQ(cu.cuMemFree_v2(pointer), Result::success);
  EXPECT_EQ(cu.cuThreadExchangeStreamCaptureMode(&mode), Result::success);
  EXPECT_EQ(end(), Result::success);
}

// A kernel that was never loaded can't be loaded while a stream is captured.
TEST_F(VirtualCapture, LazyLoadingIsForbidden) {
  Library library = nullptr;
  CudaKernel kernel = nullptr;
  EXPECT_EQ(cu.cuLibraryLoadData(&library, kKernels, nullptr, nullptr, 0, nullptr, nullptr, 0),
            Result::success);
  EXPECT_EQ(cu.cuLibraryGetKernel(&kernel, library, "bounded"), Result::success);
  begin();
  EXPECT_EQ(launch(reinterpret_cast<Function>(kernel), 1, 1, s),
            Result::stream_capture_unsupported);
  EXPECT_EQ(end(), Result::stream_capture_invalidated);
  begin();
  Pointer pointer = 0;
  EXPECT_EQ(cu.cuLibraryGetGlobal(&pointer, nullptr, library, "counter"),
            Result::stream_capture_unsupported);
  EXPECT_EQ(end(), Result::stream_capture_invalidated);
  Function f = nullptr;
  EXPECT_EQ(cu.cuKernelGetFunction(&f, kernel), Result::success);
  int loaded = 0;
  EXPECT_EQ(cu.cuFuncIsLoaded(&loaded, f), Result::success);
  EXPECT_EQ(loaded, 1);
  begin();
  EXPECT_EQ(launch(reinterpret_cast<Function>(kernel), 1, 1, s), Result::success);
  EXPECT_EQ(end(), Result::success);
}

TEST_F(VirtualCapture, TheLegacyStreamWaitsForBlockingStreams) {
  const Function f = function("bounded");
  const Pointer pointer = allocate(4);
  int word = 0;
  const Stream blocking = stream(0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(cu.cuStreamBeginCapture_v2(blocking, kGlobal), Result::success);
    const Result result = i == 0   ? launch(f, 1, 1)
                          : i == 1 ? cu.cuMemcpyHtoD_v2(pointer, &word, 4)
                                   : cu.cuStreamSynchronize(nullptr);
    EXPECT_EQ(result, Result::stream_capture_implicit) << i;
    EXPECT_EQ(cu.cuStreamEndCapture(blocking, &graph), Result::stream_capture_invalidated);
  }
  begin();  // a non-blocking one
  EXPECT_EQ(launch(f, 1, 1), Result::success);
  EXPECT_EQ(end(), Result::success);
  EXPECT_EQ(cu.cuStreamBeginCapture_v2(nullptr, kGlobal), Result::stream_capture_unsupported);
}

TEST_F(VirtualCapture, EventsForkAndJoin) {
  const Function f = function("adds");
  Event forked = nullptr;
  Event joined = nullptr;
  EXPECT_EQ(cu.cuEventCreate(&forked, 2), Result::success);
  EXPECT_EQ(cu.cuEventCreate(&joined, 2), Result::success);
  const auto fork = [&] {
    begin();
    EXPECT_EQ(launch(f, 1, 1, s), Result::success);
    EXPECT_EQ(cu.cuEventRecord(forked, s), Result::success);
    EXPECT_EQ(cu.cuStreamWaitEvent(other, forked, 0), Result::success);
    EXPECT_EQ(launch(f, 1, 1, other), Result::success);
  };
  fork();
  EXPECT_EQ(cu.cuEventRecord(joined, other), Result::success);
  EXPECT_EQ(cu.cuStreamWaitEvent(s, joined, 0), Result::success);
  EXPECT_EQ(end(), Result::success);
  EXPECT_EQ(cu.cuStreamQuery(other), Result::success) << "it left the capture too";
  fork();
  EXPECT_EQ(end(), Result::stream_capture_unjoined);
  EXPECT_EQ(cu.cuStreamQuery(other), Result::success);
  fork();
  EXPECT_EQ(cu.cuStreamEndCapture(other, &graph), Result::stream_capture_unmatched);
  EXPECT_EQ(end(), Result::stream_capture_invalidated);
  fork();
  EXPECT_EQ(cu.cuEventQuery(forked), Result::captured_event);
  EXPECT_EQ(end(), Result::stream_capture_invalidated);
  // Across the border, and two captures.
  EXPECT_EQ(cu.cuEventRecord(joined, other), Result::success);
  begin();
  EXPECT_EQ(cu.cuStreamWaitEvent(s, joined, 0), Result::stream_capture_isolation);
  EXPECT_EQ(end(), Result::stream_capture_invalidated);
  begin();
  EXPECT_EQ(cu.cuEventRecord(forked, s), Result::success);
  EXPECT_EQ(cu.cuStreamBeginCapture_v2(other, kGlobal), Result::success);
  EXPECT_EQ(cu.cuStreamWaitEvent(other, forked, 0), Result::stream_capture_merge);
  EXPECT_EQ(cu.cuStreamEndCapture(other, &graph), Result::stream_capture_invalidated);
  EXPECT_EQ(end(), Result::stream_capture_invalidated);
}

TEST_F(VirtualCapture, BeginsAndEndsInOrder) {
  EXPECT_EQ(end(), Result::illegal_state) << "no entry";
  begin();
  EXPECT_EQ(cu.cuStreamBeginCapture_v2(s, kGlobal), Result::illegal_state) << "no entry";
  EXPECT_EQ(cu.cuStreamEndCapture(s, nullptr), Result::invalid_value);
  std::thread([&] {
    EXPECT_EQ(end(), Result::stream_capture_wrong_thread);
    int mode = kThreadLocal;
    EXPECT_EQ(cu.cuThreadExchangeStreamCaptureMode(&mode), Result::success);
    EXPECT_EQ(cu.cuCtxPushCurrent_v2(context), Result::success);
    Pointer pointer = 0;
    EXPECT_EQ(cu.cuMemAlloc_v2(&pointer, 4), Result::success) << "another thread's capture";
  }).join();
  std::uint64_t id = 0;
  int state = 0;
  Graph early = nullptr;
  EXPECT_EQ(cu.cuStreamGetCaptureInfo_v2(s, &state, &id, &early, nullptr, nullptr),
            Result::success);
  EXPECT_EQ(end(), Result::success);
  EXPECT_EQ(graph, early);
  EXPECT_EQ(cu.cuStreamBeginCapture_v2(s, 7), Result::invalid_value);
  begin();
  EXPECT_EQ(cu.cuStreamDestroy_v2(s), Result::success) << "while it is captured";
  EXPECT_EQ(end(), Result::invalid_handle);
}

}  // namespace
}  // namespace grkan::vgpu::driver
