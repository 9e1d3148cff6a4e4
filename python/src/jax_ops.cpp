// JAX's operators: handlers of XLA's typed FFI for CPU and CUDA. python/grkan/jax/_ops.py registers
// them, and has checked what it passes.
//
//   forward:  x, a, b -> y             attributes: variant, channel_dim
//   backward: dy, x, a, b -> dx, da, db, those of them that the attribute gradients names
//
// Arrays are dense in the order of their dimensions. jax.vmap puts the same number of dimensions in
// front of all of them, each of its size or, where an argument has no such dimension, of 1; so
// coefficients have two more than those. channel_dim counts from the end.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "python/src/plans.h"
#include "python/src/recording.h"
#include "python/src/xla_ffi.h"

namespace grkan::jax {
namespace {

namespace fw = frameworks;

// ---------------------------------------------------------------- errors

struct Failure {
  xla::Code code;
  std::string text;
};

void check(grkan_status status) {
  xla::Code code = xla::Code::internal;
  switch (status) {
    case GRKAN_OK:
      return;
    case GRKAN_INVALID_ARGUMENT:
      code = xla::Code::invalid_argument;
      break;
    case GRKAN_UNSUPPORTED:
      code = xla::Code::unimplemented;
      break;
    case GRKAN_OUT_OF_MEMORY:
      code = xla::Code::resource_exhausted;
      break;
    case GRKAN_NO_DEVICE:
    case GRKAN_NO_COMPILER:
      code = xla::Code::not_found;
      break;
    default:
      break;
  }
  throw Failure{code, std::string("grkan: ") + grkan_last_error()};
}

void expect(bool right, const char* what) {
  if (!right) {
    throw Failure{xla::Code::invalid_argument, std::string("grkan: a call must have ") + what};
  }
}

// What XLA reported, which is ours to free.
void check(const xla::Api& api, xla::Error* error, const char* doing) {
  if (error == nullptr) return;
  xla::ErrorMessage message{sizeof message, nullptr, error, ""};
  api.error_message(&message);
  Failure failure{xla::Code::internal,
                  std::string("grkan: XLA failed at ") + doing + ": " + message.message};
  xla::ErrorDestroy destroy{sizeof destroy, nullptr, error};
  api.error_destroy(&destroy);
  throw failure;
}

// ---------------------------------------------------------------- arguments

std::int32_t type_code(xla::DataType type) {
  switch (type) {
    case xla::DataType::f32:
      return GRKAN_F32;
    case xla::DataType::f64:
      return GRKAN_F64;
    case xla::DataType::f16:
      return GRKAN_F16;
    case xla::DataType::bf16:
      return GRKAN_BF16;
    default:
      throw Failure{xla::Code::invalid_argument, "grkan: arrays of floating point alone"};
  }
}

std::int64_t size_of(std::int32_t code) {
  if (code == GRKAN_F64) return 8;
  return code == GRKAN_F32 ? 4 : 2;
}

struct Array {
  std::byte* data = nullptr;
  std::int32_t type = 0;
  std::int64_t rank = 0;
  const std::int64_t* dims = nullptr;

  Array(const xla::Arrays& arrays, std::int64_t index) {
    expect(index < arrays.count && arrays.types[index] == xla::kBuffer, "all of its arrays");
    const auto& buffer = *static_cast<const xla::Buffer*>(arrays.values[index]);
    data = static_cast<std::byte*>(buffer.data);
    type = type_code(buffer.type);
    rank = buffer.rank;
    dims = buffer.dims;
  }

  [[nodiscard]] std::int64_t product(std::int64_t begin, std::int64_t end) const {
    std::int64_t result = 1;
    for (std::int64_t d = begin; d < end; ++d) result *= dims[d];
    return result;
  }
  [[nodiscard]] bool same_dims(const Array& other, std::int64_t begin) const {
    return rank == other.rank && std::equal(dims + begin, dims + rank, other.dims + begin);
  }
  // Of entry `index` of a batch as large as the first `depth` dimensions of `full`.
  [[nodiscard]] void* entry(const Array& full, std::int64_t depth, std::int64_t index) const {
    std::int64_t offset = 0;
    std::int64_t step = product(depth, rank) * size_of(type);
    for (std::int64_t d = depth - 1; d >= 0; --d) {
      if (dims[d] != 1) offset += index % full.dims[d] * step;
      index /= full.dims[d];
      step *= dims[d];
    }
    return data + offset;
  }
};

std::int64_t attribute(const xla::Attributes& all, std::string_view name) {
  for (std::int64_t i = 0; i < all.count; ++i) {
    if (std::string_view(all.names[i]->data, all.names[i]->size) != name) continue;
    expect(all.types[i] == xla::kScalar, "whole numbers as attributes");
    const auto& scalar = *static_cast<const xla::Scalar*>(all.values[i]);
    if (scalar.type == xla::DataType::s64) return *static_cast<const std::int64_t*>(scalar.value);
    expect(scalar.type == xla::DataType::s32, "whole numbers as attributes");
    return *static_cast<const std::int32_t*>(scalar.value);
  }
  throw Failure{xla::Code::invalid_argument, "grkan: a call has no " + std::string(name)};
}

// ---------------------------------------------------------------- XLA's threads

// A run of which each thread takes the next item. Tasks that start late, when all is done, still
// look at it: the last one that leaves frees it.
struct Run {
  void (*body)(void* context, std::int64_t index);
  void* context;
  std::int64_t count;
  std::atomic<std::int64_t> holders = 1;
  std::atomic<std::int64_t> next = 0;
  std::atomic<std::int64_t> done = 0;

  void work() {
    for (;;) {
      const std::int64_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= count) return;
      body(context, i);
      if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == count) done.notify_all();
    }
  }
  void wait() const {
    std::int64_t seen = done.load(std::memory_order_acquire);
    while (seen != count) {
      done.wait(seen, std::memory_order_acquire);
      seen = done.load(std::memory_order_acquire);
    }
  }
  void leave() {
    if (holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
};

// What this thread is calling for.
thread_local const xla::CallFrame* calling = nullptr;

// XLA's CPU threads run its own operators at the same time: more than those would only be in each
// other's way. No task is waited for that has not begun, so a pool that is busy stops nobody.
// Outside of a call there are none.
void run_on_xla_threads(void* /*user*/, std::int64_t count,
                        void (*body)(void* context, std::int64_t index), void* context) {
  if (calling == nullptr) {
    for (std::int64_t i = 0; i < count; ++i) body(context, i);
    return;
  }
  const xla::Api& api = *calling->api;
  Run* run = new Run{body, context, count};
  for (std::int64_t i = 1; i < count; ++i) {
    run->holders.fetch_add(1, std::memory_order_relaxed);
    xla::ThreadsSchedule schedule{sizeof schedule, nullptr, calling->context,
                                  [](void* shared) {
                                    auto* mine = static_cast<Run*>(shared);
                                    mine->work();
                                    mine->leave();
                                  },
                                  run};
    if (xla::Error* error = api.threads_schedule(&schedule)) {
      xla::ErrorDestroy destroy{sizeof destroy, nullptr, error};
      api.error_destroy(&destroy);
      run->leave();
      break;
    }
  }
  run->work();
  run->wait();
  run->leave();
}

std::int16_t xla_threads(const xla::CallFrame& frame) {
  std::int64_t threads = 1;
  xla::ThreadsCount count{sizeof count, nullptr, frame.context, &threads};
  if (xla::Error* error = frame.api->threads_count(&count)) {
    xla::ErrorDestroy destroy{sizeof destroy, nullptr, error};
    frame.api->error_destroy(&destroy);
  }
  return std::int16_t(std::clamp<std::int64_t>(threads, 1, fw::kMostThreads));
}

// ---------------------------------------------------------------- devices

// Where a call runs, and its workspace.
class Cpu {
 public:
  explicit Cpu(const xla::CallFrame& frame) : threads(xla_threads(frame)) { calling = &frame; }
  ~Cpu() { calling = nullptr; }
  Cpu(const Cpu&) = delete;
  Cpu& operator=(const Cpu&) = delete;

  static std::int32_t device(const xla::CallFrame& /*frame*/) { return fw::kCpu; }
  static constexpr grkan_parallel_for kPool = &run_on_xla_threads;

  class Workspace : public fw::Workspace {
   public:
    Workspace(const xla::CallFrame& /*frame*/, std::size_t bytes) : fw::Workspace(bytes) {}
  };
  static void prepare(const Array& output) {
    const std::int64_t bytes = output.product(0, output.rank) * size_of(output.type);
    fw::ask_for_huge_pages(output.data, std::size_t(bytes));
  }

  std::int16_t threads;
  static constexpr void* stream = nullptr;
};

class Cuda {
 public:
  explicit Cuda(const xla::CallFrame& frame) {
    xla::StreamGet get{sizeof get, nullptr, frame.context, nullptr};
    check(*frame.api, frame.api->stream_get(&get), "the stream");
    stream = get.stream;
  }

  static std::int32_t device(const xla::CallFrame& frame) {
    if (frame.api->size < sizeof(xla::Api)) {
      throw Failure{xla::Code::unimplemented, "grkan: CUDA needs jax 0.6 or newer"};
    }
    xla::OrdinalGet get{sizeof get, nullptr, frame.context, 0};
    check(*frame.api, frame.api->ordinal_get(&get), "the device");
    return get.ordinal;
  }
  static constexpr grkan_parallel_for kPool = nullptr;

  // Freed when all is queued: XLA gives it to nobody before the stream has come so far.
  class Workspace {
   public:
    Workspace(const xla::CallFrame& frame, std::size_t bytes) : frame_(frame) {
      if (bytes == 0) return;
      bytes_ = bytes + kAlignment;
      xla::MemoryAllocate allocate{sizeof allocate, nullptr, frame.context, bytes_, 16, nullptr};
      check(*frame.api, frame.api->memory_allocate(&allocate), "a workspace");
      memory_ = allocate.data;
    }
    ~Workspace() {
      if (memory_ == nullptr) return;
      xla::MemoryFree free{sizeof free, nullptr, frame_.context, bytes_, memory_};
      if (xla::Error* error = frame_.api->memory_free(&free)) {
        xla::ErrorDestroy destroy{sizeof destroy, nullptr, error};
        frame_.api->error_destroy(&destroy);
      }
    }
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;

    [[nodiscard]] void* data() const {
      const auto address = reinterpret_cast<std::uintptr_t>(memory_);
      return reinterpret_cast<void*>((address + kAlignment - 1) / kAlignment * kAlignment);
    }

   private:
    static constexpr std::size_t kAlignment = 64;  // grkan.h's; XLA promises 16
    const xla::CallFrame& frame_;
    std::size_t bytes_ = 0;
    void* memory_ = nullptr;
  };
  static void prepare(const Array& /*output*/) {}

  static constexpr std::int16_t threads = 0;
  void* stream = nullptr;
};

// ---------------------------------------------------------------- calls

// What forward and backward have in common. `x` stands at `first` among the arguments.
template <class Device>
struct Call {
  const xla::CallFrame& frame;
  Device device;
  Array x, a, b;
  std::int64_t depth;  // dimensions that vmap put in front
  std::int64_t rows = 1, inner = 1;
  fw::PlanKey key{};

  Call(const xla::CallFrame& f, std::int64_t first)
      : frame(f),
        device(f),
        x(f.arguments, first),
        a(f.arguments, first + 1),
        b(f.arguments, first + 2),
        depth(a.rank - 2) {
    const std::int64_t channel = x.rank + attribute(f.attributes, "channel_dim");
    const std::int64_t variant = attribute(f.attributes, "variant");
    expect(depth >= 0 && b.rank == a.rank, "coefficients of two dimensions");
    expect(channel >= depth && channel < x.rank, "channel_dim among the dimensions of x");
    expect(a.type == b.type, "coefficients of one type");
    rows = x.product(depth, channel);
    inner = x.product(channel + 1, x.rank);
    grkan_problem& p = key.problem;
    p.size = sizeof p;
    p.numerator_degree = std::int32_t(a.dims[depth + 1]) - 1;
    p.denominator_degree = std::int32_t(b.dims[depth + 1]) - (variant == GRKAN_VARIANT_C ? 1 : 0);
    p.variant = std::int32_t(variant);
    p.layout = inner > 1 ? GRKAN_CHANNELS_FIRST : GRKAN_CHANNELS_LAST;
    p.x_type = x.type;
    p.channels = x.dims[channel];
    p.numerator_groups = a.dims[depth];
    p.denominator_groups = b.dims[depth];
    p.coefficient_type = a.type;
    key.pool = Device::kPool;
    key.device = Device::device(f);
    key.threads = device.threads;
    key.determinism = GRKAN_DETERMINISM_RUN_TO_RUN;
  }

  [[nodiscard]] bool empty() const { return rows == 0 || inner == 0; }

  // How many calls a batch takes: one where its entries are no more than further rows, of the same
  // coefficients; else one for each.
  [[nodiscard]] std::int64_t entries(const Array& output, bool sums, const Array* dy = nullptr) {
    const std::int64_t all = output.product(0, depth);
    const bool one = !sums && a.product(0, depth) == 1 && b.product(0, depth) == 1 &&
                     x.product(0, depth) == all && (dy == nullptr || dy->product(0, depth) == all);
    if (one) rows *= all;
    return one ? 1 : all;
  }

  template <class Arguments>
  void set(Arguments& arguments) const {
    arguments.size = sizeof arguments;
    arguments.rows = empty() ? 0 : rows;
    arguments.inner = std::max<std::int64_t>(inner, 1);
    arguments.x_stride = key.problem.channels * inner;
    arguments.stream = device.stream;
  }
  void count(std::int32_t direction, std::int32_t gradients) const {
    if (fw::is_recording()) {
      fw::record(key, direction, gradients, rows, std::max<std::int64_t>(inner, 1));
    }
  }
  // The workspace's size, of which all entries need as much.
  [[nodiscard]] std::size_t workspace(grkan_plan* plan, std::int32_t direction) const {
    std::size_t bytes = 0;
    check(grkan_plan_workspace_for_rows(plan, direction, rows, std::max<std::int64_t>(inner, 1),
                                        &bytes));
    return bytes;
  }
};

template <class Device>
void forward(const xla::CallFrame& frame) {
  Call<Device> call(frame, 0);
  const Array y(frame.results, 0);
  expect(y.same_dims(call.x, call.depth), "y of x's shape");
  call.key.problem.y_type = y.type;
  if (call.empty()) return;
  grkan_plan* plan = nullptr;
  check(fw::find_plan(call.key, &plan));
  const std::int64_t entries = call.entries(y, false);
  const std::size_t bytes = call.workspace(plan, GRKAN_FORWARD);
  const typename Device::Workspace workspace(frame, bytes);
  Device::prepare(y);
  grkan_forward_args arguments{};
  call.set(arguments);
  arguments.y_stride = arguments.x_stride;
  arguments.workspace = workspace.data();
  arguments.workspace_size = bytes;
  for (std::int64_t i = 0; i < entries; ++i) {
    arguments.x = call.x.entry(y, call.depth, i);
    arguments.a = call.a.entry(y, call.depth, i);
    arguments.b = call.b.entry(y, call.depth, i);
    arguments.y = y.entry(y, call.depth, i);
    check(grkan_forward(plan, &arguments));
    call.count(GRKAN_FORWARD, 0);
  }
}

template <class Device>
void backward(const xla::CallFrame& frame) {
  Call<Device> call(frame, 1);
  const Array dy(frame.arguments, 0);
  expect(dy.same_dims(call.x, call.depth), "dy of x's shape");
  call.key.problem.y_type = dy.type;
  const std::int64_t wanted = attribute(frame.attributes, "gradients");
  std::int64_t next = 0;
  // A result where it is wanted; else an input of its shape, never written.
  const auto result = [&](std::int32_t flag, const Array& like) {
    if ((wanted & flag) == 0) return like;
    const Array made(frame.results, next++);
    expect(made.type == like.type && made.same_dims(like, call.depth), "gradients like arguments");
    return made;
  };
  const Array dx = result(GRKAN_DX, call.x);
  const Array da = result(GRKAN_DA, call.a);
  const Array db = result(GRKAN_DB, call.b);
  const bool wants_dx = (wanted & GRKAN_DX) != 0 && !call.empty();
  const bool wants_da = (wanted & GRKAN_DA) != 0;
  const bool wants_db = (wanted & GRKAN_DB) != 0 && call.b.dims[call.depth + 1] > 0;
  if (!wants_dx && !wants_da && !wants_db) return;

  grkan_plan* plan = nullptr;
  check(fw::find_plan(call.key, &plan));
  const Array output(frame.results, 0);
  const std::int64_t entries = call.entries(output, wants_da || wants_db, &dy);
  const std::size_t bytes = call.workspace(plan, GRKAN_BACKWARD);
  const typename Device::Workspace workspace(frame, bytes);
  if (wants_dx) Device::prepare(dx);
  grkan_backward_args arguments{};
  call.set(arguments);
  arguments.dy_stride = arguments.dx_stride = arguments.x_stride;
  // A denominator without coefficients has no db to leave out.
  const bool all_db = wants_db || call.b.dims[call.depth + 1] == 0;
  const std::int32_t gradients =
      (wants_dx ? GRKAN_DX : 0) | (wants_da ? GRKAN_DA : 0) | (all_db ? GRKAN_DB : 0);
  arguments.workspace = workspace.data();
  arguments.workspace_size = bytes;
  for (std::int64_t i = 0; i < entries; ++i) {
    const auto at = [&](const Array& t) { return t.entry(output, call.depth, i); };
    arguments.x = at(call.x);
    arguments.dy = at(dy);
    arguments.a = at(call.a);
    arguments.b = at(call.b);
    arguments.dx = wants_dx ? at(dx) : nullptr;
    arguments.da = wants_da ? at(da) : nullptr;
    arguments.db = wants_db ? at(db) : nullptr;
    check(grkan_backward(plan, &arguments));
    call.count(GRKAN_BACKWARD, gradients);
  }
}

// ---------------------------------------------------------------- handlers

xla::Error* report(const xla::CallFrame& frame, xla::Code code, const char* text) {
  xla::ErrorCreate create{sizeof create, nullptr, text, code};
  return frame.api->error_create(&create);
}

// The one catch-all. XLA also asks, once, for which version of its interface this was made.
template <void (*body)(const xla::CallFrame&)>
xla::Error* handle(xla::CallFrame* frame) {
  if (frame->extensions != nullptr && frame->extensions->type == xla::kMetadata) {
    xla::Metadata& metadata =
        *reinterpret_cast<xla::MetadataExtension*>(frame->extensions)->metadata;
    metadata.version = {sizeof(xla::Version), nullptr, xla::kMajor, xla::kMinor};
    metadata.traits = 0;
    return nullptr;
  }
  try {
    expect(frame->size >= sizeof(xla::CallFrame) && frame->stage == xla::kExecute,
           "a frame of XLA's FFI 0.1 or newer, to execute");
    body(*frame);
    return nullptr;
  } catch (const Failure& failure) {
    return report(*frame, failure.code, failure.text.c_str());
  } catch (const std::bad_alloc&) {
    return report(*frame, xla::Code::resource_exhausted, "grkan: out of memory");
  } catch (const std::exception& error) {
    return report(*frame, xla::Code::internal, error.what());
  }
}

}  // namespace
}  // namespace grkan::jax

extern "C" {

#define GRKAN_JAX_HANDLER(name, body)                                           \
  GRKAN_API grkan::xla::Error* grkan_jax_##name(grkan::xla::CallFrame* frame) { \
    return grkan::jax::handle<&grkan::jax::body>(frame);                        \
  }
GRKAN_JAX_HANDLER(forward_cpu, forward<grkan::jax::Cpu>)
GRKAN_JAX_HANDLER(backward_cpu, backward<grkan::jax::Cpu>)
GRKAN_JAX_HANDLER(forward_cuda, forward<grkan::jax::Cuda>)
GRKAN_JAX_HANDLER(backward_cuda, backward<grkan::jax::Cuda>)

// The pool that a plan of the CPU is made with; see PlanKey.
GRKAN_API grkan_parallel_for grkan_jax_pool() { return &grkan::jax::run_on_xla_threads; }

}  // extern "C"
