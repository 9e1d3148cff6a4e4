// A virtual GPU as a device of the C ABI: plans run on it like on any other, and nothing is timed.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/sample.h"
#include "grkan.h"
#include "grkan_cuda.h"

namespace grkan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kProblem = "p5q4-A-c96-g4-f32-last";
constexpr std::int64_t kRows = 77;

// Memory of a virtual GPU, as a caller has it.
class DriverMemory {
 public:
  explicit DriverMemory(const char* device) {
    EXPECT_EQ(grkan_cuda_open(&cuda_, device), 0) << cuda_.error;
    cuda_.reset();
  }
  ~DriverMemory() { grkan_cuda_close(&cuda_); }
  DriverMemory(const DriverMemory&) = delete;
  DriverMemory& operator=(const DriverMemory&) = delete;

  void* allocate(std::size_t bytes) const {
    void* memory = nullptr;
    EXPECT_EQ(cuda_.allocate(&memory, bytes), 0);
    return memory;
  }
  void* copy(const SampleBuffer& buffer) const {
    void* memory = allocate(buffer.bytes());
    EXPECT_EQ(cuda_.copy_in(memory, buffer.data(), buffer.bytes()), 0);
    return memory;
  }
  void fetch(SampleBuffer& buffer, const void* memory) const {
    EXPECT_EQ(cuda_.copy_out(buffer.data(), memory, buffer.bytes()), 0);
  }
  [[nodiscard]] Json launches() const { return Json::parse(cuda_.report()).at("launches"); }

 private:
  grkan_cuda cuda_;
};

class VirtualDevice : public ::testing::Test {
 protected:
  VirtualDevice() {
    std::string name = ::testing::TempDir() + "grkan_virtual_XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
    setenv("GRKAN_CUDA_DRIVER", GRKAN_VIRTUAL_CUDA, 1);
    grkan_context_options options{};
    options.size = sizeof options;
    options.cache_dir = folder.c_str();
    options.effort = GRKAN_EFFORT_QUICK;  // a plan that could would tune
    options.log = [](void* user, std::int32_t, const char* message) {
      *static_cast<std::string*>(user) += std::string(message) + "\n";
    };
    options.log_user = &log;
    EXPECT_EQ(grkan_context_create(&options, &context), GRKAN_OK) << grkan_last_error();
    EXPECT_EQ(grkan_problem_parse(kProblem, &problem), GRKAN_OK) << grkan_last_error();
  }
  ~VirtualDevice() override {
    for (grkan_plan* plan : plans) grkan_plan_destroy(plan);
    grkan_context_destroy(context);
    fs::remove_all(folder);
  }

  grkan_plan* plan(const char* device, std::int32_t gradients = 0) {
    grkan_plan* made = nullptr;
    EXPECT_EQ(grkan_plan_create(context, &problem, device, gradients, &made), GRKAN_OK)
        << grkan_last_error();
    plans.push_back(made);
    return made;
  }
  // Where there is no NVRTC nothing can run.
  static bool cannot_compile(grkan_plan* plan) {
    const grkan_status status = grkan_plan_prepare(plan, kRows, kRows, 1, 1);
    EXPECT_TRUE(status == GRKAN_OK || status == GRKAN_NO_COMPILER) << grkan_last_error();
    return status == GRKAN_NO_COMPILER;
  }
  static Json explain(grkan_plan* plan) {
    grkan_text text{};
    EXPECT_EQ(grkan_plan_explain(plan, GRKAN_FORWARD, kRows, 1, &text), GRKAN_OK)
        << grkan_last_error();
    const Json document = Json::parse(text.data);
    grkan_text_free(&text);
    return document;
  }

  std::string folder;
  std::string log;
  grkan_context* context = nullptr;
  grkan_problem problem{};
  std::vector<grkan_plan*> plans;
};

TEST_F(VirtualDevice, ForwardAndBackwardAgreeWithTheReference) {
  grkan_plan* made = plan("virtual:a100-80", GRKAN_DX | GRKAN_DA | GRKAN_DB);
  ASSERT_NE(made, nullptr);
  if (cannot_compile(made)) GTEST_SKIP() << "SKIP: no NVRTC on this machine";
  const DriverMemory memory("virtual:a100-80");
  const std::array<Task, 2> tasks = {forward_task(parse_problem(kProblem)),
                                     backward_task(parse_problem(kProblem))};
  for (const Task& task : tasks) {
    Sample sample(task, {.rows = kRows});
    const Reference reference = make_reference(task, sample.call());
    const Call call = sample.call();
    std::size_t bytes = 0;
    ASSERT_EQ(grkan_plan_workspace_size(made, task.backward() ? GRKAN_BACKWARD : GRKAN_FORWARD, 1,
                                        &bytes),
              GRKAN_OK);
    void* workspace = memory.allocate(bytes + 64);
    void* out = memory.allocate(sample.out.bytes());
    void* da = task.backward() ? memory.allocate(sample.da.bytes()) : nullptr;
    void* db = task.backward() ? memory.allocate(sample.db.bytes()) : nullptr;
    if (task.backward()) {
      grkan_backward_args args{};
      args.size = sizeof args;
      args.rows = kRows;
      args.x = memory.copy(sample.x);
      args.x_stride = call.x_stride;
      args.dy = memory.copy(sample.dy);
      args.dy_stride = call.dy_stride;
      args.dx = out;
      args.dx_stride = call.out_stride;
      args.a = memory.copy(sample.a);
      args.b = memory.copy(sample.b);
      args.da = da;
      args.db = db;
      args.workspace = workspace;
      args.workspace_size = bytes;
      ASSERT_EQ(grkan_backward(made, &args), GRKAN_OK) << grkan_last_error();
      memory.fetch(sample.da, da);
      memory.fetch(sample.db, db);
    } else {
      grkan_forward_args args{};
      args.size = sizeof args;
      args.rows = kRows;
      args.x = memory.copy(sample.x);
      args.x_stride = call.x_stride;
      args.y = out;
      args.y_stride = call.out_stride;
      args.a = memory.copy(sample.a);
      args.b = memory.copy(sample.b);
      args.workspace = workspace;
      args.workspace_size = bytes;
      ASSERT_EQ(grkan_forward(made, &args), GRKAN_OK) << grkan_last_error();
    }
    memory.fetch(sample.out, out);
    const Schedule schedule = default_schedule(task, {"sm_80"}, kRows);
    const TensorErrors errors = compare(task, schedule, reference, sample.call());
    EXPECT_TRUE(errors.passes()) << errors.why_failed();
  }
  const Json launches = memory.launches();
  ASSERT_EQ(launches.size(), 3U);  // forward; backward and its second pass
  for (const Json& launch : launches) {
    EXPECT_EQ(launch["model"], "a100-80");
    EXPECT_EQ(launch["findings"], Json::array());
    EXPECT_EQ(launch["registers_estimated"], false) << "the cubin came first";
  }
  EXPECT_EQ(explain(made)["registers"], launches[0]["registers"]) << "as ptxas reported";
}

TEST_F(VirtualDevice, ModelsAreDevicesOfTheirOwn) {
  const Json h200 = explain(plan("virtual:h200"));
  const Json t4 = explain(plan("virtual:t4"));
  const Json again = explain(plan("virtual:h200"));
  EXPECT_EQ(h200["device"], "virtual:h200");
  EXPECT_EQ(h200["model"], "NVIDIA H200 SXM (virtual GPU)");
  EXPECT_EQ(h200["target"], "sm_90");
  EXPECT_EQ(t4["model"], "NVIDIA T4 (virtual GPU)");
  EXPECT_EQ(t4["target"], "sm_75");
  EXPECT_EQ(again, h200);
  // The same library in place of libcuda: its first device.
  const Json cuda = explain(plan("cuda:0"));
  EXPECT_EQ(cuda["device"], "cuda:0");
  EXPECT_NE(cuda["model"].get<std::string>().find("(virtual GPU)"), std::string::npos);
}

// grkan_cuda.h, where it can't open a device.
TEST_F(VirtualDevice, WhatCannotBeOpenedIsSaid) {
  const auto reason = [](const char* device) {
    grkan_cuda cuda;
    EXPECT_EQ(grkan_cuda_open(&cuda, device), -1) << device;
    return std::string(cuda.error);
  };
  EXPECT_EQ(reason("cpu"), "expected cuda:N or virtual:MODEL, not cpu");
  EXPECT_NE(reason("cuda:99").find("cuda:99: "), std::string::npos) << reason("cuda:99");
  setenv("GRKAN_CUDA_DRIVER", "/nowhere/libcuda.so.1", 1);
  EXPECT_NE(reason("cuda:0").find("/nowhere/libcuda.so.1"), std::string::npos) << reason("cuda:0");
  setenv("GRKAN_CUDA_DRIVER", GRKAN_VIRTUAL_CUDA, 1);
}

TEST_F(VirtualDevice, UnknownModelsAreNamedWithTheKnownOnes) {
  grkan_plan* made = nullptr;
  EXPECT_EQ(grkan_plan_create(context, &problem, "virtual:riva128", 0, &made),
            GRKAN_INVALID_ARGUMENT);
  const std::string message = grkan_last_error();
  EXPECT_NE(message.find("riva128"), std::string::npos) << message;
  EXPECT_NE(message.find("h200"), std::string::npos) << message;
}

TEST_F(VirtualDevice, APlanDoesNotTune) {
  for (const char* device : {"virtual:h200", "cuda:0"}) {
    grkan_plan* made = plan(device);
    ASSERT_NE(made, nullptr);
    if (cannot_compile(made)) continue;
    EXPECT_EQ(explain(made)["evidence"], "default");
  }
  EXPECT_FALSE(fs::exists(folder + "/winners"));
  EXPECT_FALSE(fs::exists(folder + "/measurements"));
}

}  // namespace
}  // namespace grkan
