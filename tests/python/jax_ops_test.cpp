// The handlers that JAX calls, by call frames made here: on the CPU with threads of the test's, on
// CUDA by the virtual GPU's driver.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/sample.h"
#include "core/target.h"
#include "grkan.h"
#include "grkan_cuda.h"
#include "python/src/xla_ffi.h"

// What XLA gives a meaning to.
struct grkan::xla::Error {
  Code code;
  std::string text;
};

struct grkan::xla::Context {
  void* stream = nullptr;
  std::int32_t ordinal = 0;
  std::int64_t threads = 1;
  std::function<Error*(void (*task)(void*), void* data)> schedule;
  std::function<void*(std::size_t bytes)> allocate;
  std::function<void(void* memory)> free;
};

namespace grkan {
namespace {

using Dims = std::vector<std::int64_t>;
using Handler = xla::Error* (*)(xla::CallFrame*);

int errors_alive = 0;

xla::Error* error(xla::Code code, const char* text) {
  ++errors_alive;
  return new xla::Error{code, text};
}

xla::Api make_api() {
  xla::Api api{};
  api.size = sizeof api;
  api.error_create = [](xla::ErrorCreate* a) { return error(a->code, a->message); };
  api.error_message = [](xla::ErrorMessage* a) { a->message = a->error->text.c_str(); };
  api.error_destroy = [](xla::ErrorDestroy* a) {
    --errors_alive;
    delete a->error;
  };
  api.stream_get = [](xla::StreamGet* a) -> xla::Error* {
    a->stream = a->context->stream;
    return nullptr;
  };
  api.memory_allocate = [](xla::MemoryAllocate* a) -> xla::Error* {
    a->data = a->context->allocate(a->bytes);
    return a->data != nullptr ? nullptr : error(xla::Code::resource_exhausted, "no more");
  };
  api.memory_free = [](xla::MemoryFree* a) -> xla::Error* {
    a->context->free(a->data);
    return nullptr;
  };
  api.threads_schedule = [](xla::ThreadsSchedule* a) {
    return a->context->schedule(a->task, a->data);
  };
  api.threads_count = [](xla::ThreadsCount* a) -> xla::Error* {
    *a->count = a->context->threads;
    return a->context->threads > 0 ? nullptr : error(xla::Code::unimplemented, "no threads");
  };
  api.ordinal_get = [](xla::OrdinalGet* a) -> xla::Error* {
    a->ordinal = a->context->ordinal;
    return nullptr;
  };
  return api;
}

class Frame {
 public:
  using Type = xla::DataType;

  void argument(Dims dims, void* data, Type type = Type::f32) {
    add(arguments_, std::move(dims), data, type);
  }
  void result(Dims dims, void* data, Type type = Type::f32) {
    add(results_, std::move(dims), data, type);
  }
  void attribute(std::string_view name, std::int64_t value) {
    values_.push_back(value);
    scalars_.push_back({Type::s64, &values_.back()});
    spans_.push_back({name.data(), name.size()});
  }

  // What the handler reports, "" for nothing.
  std::string call(Handler handler, xla::Context& context, const xla::Api& api) {
    std::vector<std::int32_t> kinds(8, xla::kBuffer);
    std::vector<std::int32_t> scalar(8, xla::kScalar);
    std::vector<xla::ByteSpan*> names;
    std::vector<void*> values;
    for (xla::ByteSpan& span : spans_) names.push_back(&span);
    for (xla::Scalar& value : scalars_) values.push_back(&value);
    std::vector<void*> arguments = pointers(arguments_);
    std::vector<void*> results = pointers(results_);
    const auto arrays = [&](std::vector<void*>& from) {
      return xla::Arrays{sizeof(xla::Arrays), nullptr, std::int64_t(from.size()), kinds.data(),
                         from.data()};
    };
    xla::CallFrame frame{
        .size = sizeof frame,
        .extensions = nullptr,
        .api = &api,
        .context = &context,
        .stage = xla::kExecute,
        .arguments = arrays(arguments),
        .results = arrays(results),
        .attributes = {sizeof(xla::Attributes), nullptr, std::int64_t(values.size()), scalar.data(),
                       names.data(), values.data()}};
    xla::Error* failed = handler(&frame);
    if (failed == nullptr) return "";
    last_code = failed->code;
    std::string text = failed->text;
    xla::ErrorDestroy destroy{sizeof destroy, nullptr, failed};
    api.error_destroy(&destroy);
    return text;
  }

  xla::Code last_code{};

 private:
  struct Held {
    Dims dims;
    xla::Buffer buffer;
  };

  static void add(std::deque<Held>& to, Dims dims, void* data, Type type) {
    Held& held = to.emplace_back(Held{std::move(dims), {}});
    held.buffer = {sizeof(xla::Buffer), nullptr, type, data, std::int64_t(held.dims.size()),
                   held.dims.data()};
  }
  static std::vector<void*> pointers(std::deque<Held>& from) {
    std::vector<void*> made;
    for (Held& held : from) made.push_back(&held.buffer);
    return made;
  }

  std::deque<Held> arguments_, results_;
  std::deque<std::int64_t> values_;
  std::deque<xla::Scalar> scalars_;
  std::deque<xla::ByteSpan> spans_;
};

// A device's memory, as bytes to be copied in and out.
struct Memory {
  std::function<void*(std::size_t bytes)> allocate;
  std::function<void(void* to, const void* from, std::size_t bytes)> copy_in, copy_out;
};

class JaxOps : public ::testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() { setenv("GRKAN_CUDA_DRIVER", GRKAN_VIRTUAL_CUDA, 1); }

  JaxOps() {
    void* library = dlopen(GRKAN_FRAMEWORKS, RTLD_NOW | RTLD_LOCAL);
    EXPECT_NE(library, nullptr) << dlerror();
    const auto find = [&](const char* name) {
      const std::string symbol = std::string("grkan_jax_") + name + "_" + GetParam();
      return reinterpret_cast<Handler>(dlsym(library, symbol.c_str()));
    };
    forward = find("forward");
    backward = find("backward");
    context.schedule = [this](void (*task)(void*), void* data) -> xla::Error* {
      threads.emplace_back(task, data);
      return nullptr;
    };
    context.threads = 3;
    if (!on_cuda()) {
      memory = {[this](std::size_t bytes) {
                  return storage.emplace_back(std::make_unique<std::byte[]>(bytes + 1)).get();
                },
                std::memcpy, std::memcpy};
      return;
    }
    EXPECT_EQ(grkan_cuda_open(&cuda, "cuda:0"), 0) << cuda.error;
    memory = {[this](std::size_t bytes) { return device_memory(bytes); },
              [this](void* to, const void* from, std::size_t bytes) {
                EXPECT_EQ(cuda.copy_in(to, from, bytes), 0);
              },
              [this](void* to, const void* from, std::size_t bytes) {
                EXPECT_EQ(cuda.stream_synchronize(context.stream), 0);
                EXPECT_EQ(cuda.copy_out(to, from, bytes), 0);
              }};
    EXPECT_EQ(cuda.stream_create(&context.stream, 1), 0);
    // Aligned to 16 bytes, as XLA promises, and to no more.
    context.allocate = [this](std::size_t bytes) {
      ++workspaces;
      return static_cast<std::byte*>(device_memory(bytes + 16)) + 16;
    };
    context.free = [this](void*) { --workspaces; };
  }
  ~JaxOps() override {
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(workspaces, 0);
    EXPECT_EQ(errors_alive, 0);
    if (on_cuda()) grkan_cuda_close(&cuda);
  }

  static bool on_cuda() { return std::string_view(GetParam()) == "cuda"; }
  void* device_memory(std::size_t bytes) const {
    void* made = nullptr;
    EXPECT_EQ(cuda.allocate(&made, bytes + 1), 0);
    return made;
  }
  void* in(const SampleBuffer& buffer) const {
    void* there = memory.allocate(buffer.bytes());
    if (buffer.bytes() > 0) memory.copy_in(there, buffer.data(), buffer.bytes());
    return there;
  }
  void* out(const SampleBuffer& buffer) const { return memory.allocate(buffer.bytes()); }
  void fetch(SampleBuffer& buffer, const void* from) const {
    if (buffer.bytes() > 0) memory.copy_out(buffer.data(), from, buffer.bytes());
  }
  // False where a kernel can't be compiled: then the test skips.
  static bool compiled(const std::string& problem) {
    if (problem.find("NVRTC") == std::string::npos) {
      EXPECT_EQ(problem, "");
      return true;
    }
    return false;
  }
  static void check(Sample& sample, const Reference& reference) {
    const Task& task = sample.task();
    const Target target = on_cuda() ? Target{"sm_90"} : host_target();
    const Schedule schedule = default_schedule(task, target, sample.options().rows);
    const TensorErrors errors = compare(task, schedule, reference, sample.call());
    EXPECT_TRUE(errors.passes()) << errors.why_failed();
    EXPECT_EQ(sample.why_damaged(), "");
  }

  Handler forward = nullptr, backward = nullptr;
  xla::Context context;
  xla::Api api = make_api();
  Memory memory;
  grkan_cuda cuda{};
  int workspaces = 0;
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<std::byte[]>> storage;
};

INSTANTIATE_TEST_SUITE_P(Platforms, JaxOps, ::testing::Values("cpu", "cuda"),
                         [](const auto& platform) { return std::string(platform.param); });

TEST_P(JaxOps, TellTheVersionOfTheInterface) {
  xla::Metadata metadata{};
  xla::MetadataExtension extension{{sizeof extension, xla::kMetadata, nullptr}, &metadata};
  xla::CallFrame frame{};
  frame.size = sizeof frame;
  frame.extensions = &extension.base;
  for (const Handler handler : {forward, backward}) {
    EXPECT_EQ(handler(&frame), nullptr);
    EXPECT_EQ(metadata.version.major, 0);
    EXPECT_EQ(metadata.version.minor, 1);
    metadata = {};
  }
}

TEST_P(JaxOps, ForwardAndBackwardAgreeWithTheReference) {
  const Problem problem = parse_problem("p5q4-A-c96-g2x4-f32-first");
  const std::int64_t rows = 5;
  const std::int64_t inner = 12;
  Sample y(forward_task(problem), {.rows = rows, .inner = inner});
  const Reference y_reference = make_reference(y.task(), y.call());
  Frame f;
  f.argument({rows, 96, 3, 4}, in(y.x));
  f.argument({2, 6}, in(y.a));
  f.argument({4, 4}, in(y.b));
  void* y_there = out(y.out);
  f.result({rows, 96, 3, 4}, y_there);
  f.attribute("channel_dim", -3);
  f.attribute("variant", GRKAN_VARIANT_A);
  if (!compiled(f.call(forward, context, api))) GTEST_SKIP() << "SKIP: no NVRTC on this machine";
  fetch(y.out, y_there);
  check(y, y_reference);

  Sample g(backward_task(problem), {.rows = rows, .inner = inner});
  const Reference g_reference = make_reference(g.task(), g.call());
  Frame b;
  b.argument({rows, 96, 3, 4}, in(g.dy));
  b.argument({rows, 96, 3, 4}, in(g.x));
  b.argument({2, 6}, in(g.a));
  b.argument({4, 4}, in(g.b));
  const std::array<void*, 3> there = {out(g.out), out(g.da), out(g.db)};
  b.result({rows, 96, 3, 4}, there[0]);
  b.result({2, 6}, there[1]);
  b.result({4, 4}, there[2]);
  b.attribute("channel_dim", -3);
  b.attribute("gradients", GRKAN_DX | GRKAN_DA | GRKAN_DB);
  b.attribute("variant", GRKAN_VARIANT_A);
  ASSERT_EQ(b.call(backward, context, api), "");
  fetch(g.out, there[0]);
  fetch(g.da, there[1]);
  fetch(g.db, there[2]);
  check(g, g_reference);
}

// Two entries with coefficients of their own, of which dy has one for both.
TEST_P(JaxOps, BatchesHaveGradientsOfTheirOwn) {
  const Problem problem = parse_problem("p3q2-B-c24-g2-f32-last");
  Task task = backward_task(problem);
  std::vector<Sample> samples;
  for (const std::uint64_t seed : {1, 2})
    samples.emplace_back(task, SampleOptions{.rows = 7, .seed = seed});
  std::memcpy(samples[1].dy.data(), samples[0].dy.data(), samples[0].dy.bytes());
  std::vector<Reference> references;
  for (Sample& s : samples) references.push_back(make_reference(task, s.call()));

  const auto both = [&](SampleBuffer Sample::* which) {
    const std::size_t bytes = (samples[0].*which).bytes();
    auto* there = static_cast<std::byte*>(memory.allocate(2 * bytes));
    for (std::size_t i = 0; i < 2; ++i) {
      memory.copy_in(there + i * bytes, (samples[i].*which).data(), bytes);
    }
    return there;
  };
  Frame f;
  f.argument({1, 7, 24}, in(samples[0].dy));
  f.argument({2, 7, 24}, both(&Sample::x));
  f.argument({2, 2, 4}, both(&Sample::a));
  f.argument({2, 2, 2}, both(&Sample::b));
  const std::array<std::byte*, 3> there = {both(&Sample::out), both(&Sample::da),
                                           both(&Sample::db)};
  f.result({2, 7, 24}, there[0]);
  f.result({2, 2, 4}, there[1]);
  f.result({2, 2, 2}, there[2]);
  f.attribute("channel_dim", -1);
  f.attribute("gradients", GRKAN_DX | GRKAN_DA | GRKAN_DB);
  f.attribute("variant", GRKAN_VARIANT_B);
  if (!compiled(f.call(backward, context, api))) GTEST_SKIP() << "SKIP: no NVRTC on this machine";
  for (std::size_t i = 0; i < 2; ++i) {
    fetch(samples[i].out, there[0] + i * samples[i].out.bytes());
    fetch(samples[i].da, there[1] + i * samples[i].da.bytes());
    fetch(samples[i].db, there[2] + i * samples[i].db.bytes());
    const TensorErrors errors =
        compare(task, default_schedule(task, on_cuda() ? Target{"sm_90"} : host_target(), 7),
                references[i], samples[i].call());
    EXPECT_TRUE(errors.passes()) << i << ": " << errors.why_failed();
  }
}

TEST_P(JaxOps, NoRowsGiveZeros) {
  const std::vector<float> ones(12, 1.0F);
  void* a = memory.allocate(48);
  void* da = memory.allocate(48);
  memory.copy_in(a, ones.data(), 48);
  memory.copy_in(da, ones.data(), 48);
  Frame f;
  f.argument({0, 24}, nullptr);
  f.argument({0, 24}, nullptr);
  f.argument({2, 6}, a);
  f.argument({2, 0}, nullptr);
  f.result({0, 24}, nullptr);
  f.result({2, 6}, da);
  f.result({2, 0}, nullptr);
  f.attribute("channel_dim", -1);
  f.attribute("gradients", GRKAN_DX | GRKAN_DA | GRKAN_DB);
  f.attribute("variant", GRKAN_VARIANT_A);
  if (!compiled(f.call(backward, context, api))) GTEST_SKIP() << "SKIP: no NVRTC on this machine";
  std::vector<float> result(12, 1.0F);
  memory.copy_out(result.data(), da, 48);
  EXPECT_EQ(result, std::vector<float>(12, 0.0F));
}

TEST_P(JaxOps, WrongCallsAreToldFrom) {
  std::array<std::byte, 4096> data{};
  const auto call = [&](const std::function<void(Frame&)>& arguments, std::int64_t channel_dim = -1,
                        std::int64_t variant = GRKAN_VARIANT_A) {
    Frame f;
    arguments(f);
    f.attribute("channel_dim", channel_dim);
    f.attribute("variant", variant);
    std::string text = f.call(forward, context, api);
    EXPECT_EQ(f.last_code, xla::Code::invalid_argument) << text;
    return text;
  };
  const auto arrays = [&](Dims x, Dims a, Dims b, Dims y, xla::DataType type = xla::DataType::f32) {
    return [=, &data](Frame& f) {
      f.argument(x, data.data(), type);
      f.argument(a, data.data());
      f.argument(b, data.data());
      f.result(y, data.data(), type);
    };
  };
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(call([](Frame&) {}), "all of its arrays");
  has(call(arrays({4, 8}, {1, 6}, {1, 4}, {4, 7})), "y of x's shape");
  has(call(arrays({4, 8}, {6}, {4}, {4, 8})), "coefficients of two dimensions");
  has(call(arrays({4, 8}, {1, 6}, {1, 4}, {4, 8}), -3), "channel_dim");
  has(call(arrays({4, 8}, {3, 6}, {1, 4}, {4, 8})), "numerator groups 3");
  has(call(arrays({4, 8}, {1, 6}, {1, 4}, {4, 8}), -1, 9), "variant");
  has(call(arrays({4, 8}, {1, 6}, {1, 4}, {4, 8}, xla::DataType::s32)), "floating point");
}

class JaxOpsOnCuda : public JaxOps {};
INSTANTIATE_TEST_SUITE_P(Platform, JaxOpsOnCuda, ::testing::Values("cuda"));

// What XLA does not give: a number of the device in its older versions; memory.
TEST_P(JaxOpsOnCuda, WhatXlaRefusesIsTold) {
  Frame f;
  for (const Dims& dims : {Dims{1000, 8}, {1000, 8}, {1, 6}, {1, 4}}) {
    f.argument(dims, memory.allocate(32000));
  }
  f.result({1, 6}, memory.allocate(24));
  f.attribute("channel_dim", -1);
  f.attribute("gradients", GRKAN_DA);
  f.attribute("variant", GRKAN_VARIANT_A);
  context.allocate = [](std::size_t) { return nullptr; };
  EXPECT_EQ(f.call(backward, context, api), "grkan: XLA failed at a workspace: no more");
  api.size = offsetof(xla::Api, ordinal_get);
  EXPECT_EQ(f.call(backward, context, api), "grkan: CUDA needs jax 0.6 or newer");
  EXPECT_EQ(f.last_code, xla::Code::unimplemented);
}

class JaxOpsOnCpu : public JaxOps {};
INSTANTIATE_TEST_SUITE_P(Platform, JaxOpsOnCpu, ::testing::Values("cpu"));

// XLA's pool may be busy, may refuse, may not be there: results are the same.
TEST_P(JaxOpsOnCpu, AnyPoolWillDo) {
  const Task task = forward_task(parse_problem("p5q4-A-c96-g4-f32-last"));
  Sample sample(task, {.rows = 6000});
  const Reference reference = make_reference(task, sample.call());
  std::vector<std::pair<void (*)(void*), void*>> late;
  const std::array<decltype(context.schedule), 3> ways = {
      context.schedule,
      [&](void (*run)(void*), void* data) -> xla::Error* {
        late.emplace_back(run, data);
        return nullptr;
      },
      [](void (*)(void*), void*) { return error(xla::Code::unimplemented, "no pool"); }};
  for (const auto& way : ways) {
    for (const std::int64_t count : {0, 1, 4}) {
      context.schedule = way;
      context.threads = count;
      sample.reset();
      Frame f;
      f.argument({6000, 96}, sample.x.data());
      f.argument({4, 6}, sample.a.data());
      f.argument({4, 4}, sample.b.data());
      f.result({6000, 96}, sample.out.data());
      f.attribute("channel_dim", -1);
      f.attribute("variant", GRKAN_VARIANT_A);
      ASSERT_EQ(f.call(forward, context, api), "");
      check(sample, reference);
    }
  }
  EXPECT_FALSE(late.empty());
  for (const auto& [run, data] : late) run(data);  // after their calls have returned
}

}  // namespace
}  // namespace grkan
