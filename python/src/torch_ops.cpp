// PyTorch's operators: torch.ops.grkan.forward, forward_out and backward, on CPU and CUDA tensors.
// What they promise stands in python/grkan/torch/functional.py.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "python/src/plans.h"
#include "python/src/recording.h"
#include "python/src/torch_abi.h"

namespace grkan::torch {
namespace {

namespace fw = frameworks;

Abi abi;
std::atomic<bool> own_pool = false;

// ---------------------------------------------------------------- errors

struct Failure {
  grkan_status status = GRKAN_OK;  // GRKAN_OK: PyTorch failed
  bool is_type = false;            // types don't go together
  const char* field = "";          // of grkan.h
  std::string text;
};

// Of this thread: why its last call failed.
thread_local Failure last_failure;

[[noreturn]] void fail_value(std::string text) {
  throw Failure{GRKAN_INVALID_ARGUMENT, false, "", std::move(text)};
}
[[noreturn]] void fail_type(std::string text) {
  throw Failure{GRKAN_INVALID_ARGUMENT, true, "", std::move(text)};
}

// Throws what grkan.h reported.
void check(grkan_status status) {
  if (status == GRKAN_OK) return;
  const char* field = grkan_last_error_field();
  const bool is_type =
      status == GRKAN_INVALID_ARGUMENT && std::string_view(field).ends_with("_type");
  throw Failure{status, is_type, field, grkan_last_error()};
}

// Throws what PyTorch reported.
void check(Result result, const char* doing) {
  if (result == 0) return;
  std::string text = "PyTorch failed at " + std::string(doing);
  if (abi.exception_text != nullptr) text += ": " + std::string(abi.exception_text());
  throw Failure{GRKAN_OK, false, "", std::move(text)};
}

// ---------------------------------------------------------------- tensors

constexpr std::int64_t kMostDimensions = 64;
using Dimensions = std::array<std::int64_t, kMostDimensions>;

// A reference that is given back.
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  explicit Owned(Slot slot) : handle_(reinterpret_cast<Handle>(slot)) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ != nullptr) abi.delete_tensor(handle_);
  }

  [[nodiscard]] Handle get() const { return handle_; }
  [[nodiscard]] Slot release() { return reinterpret_cast<Slot>(std::exchange(handle_, nullptr)); }

 private:
  Handle handle_ = nullptr;
};

struct Device {
  std::int32_t type = 0;
  std::int32_t index = 0;
  bool operator==(const Device&) const = default;
};

struct Facts {
  Handle handle = nullptr;
  const char* name = "";
  int dimensions = 0;
  const std::int64_t* sizes = nullptr;
  const std::int64_t* strides = nullptr;
  std::int32_t dtype = 0;
  Device device;

  [[nodiscard]] std::int64_t elements() const {
    std::int64_t product = 1;
    for (int d = 0; d < dimensions; ++d) product *= sizes[d];
    return product;
  }
};

struct Codes {
  std::int32_t f32, f64, f16, bf16, u8, cpu, cuda;
} codes;

std::string device_text(const Device& device) {
  if (device.type == codes.cpu) return "cpu";
  return (device.type == codes.cuda ? "cuda:" : "device ") + std::to_string(device.index);
}

std::string shape_text(const Facts& t) {
  std::string text = "[";
  for (int d = 0; d < t.dimensions; ++d) {
    text += (d > 0 ? ", " : "") + std::to_string(t.sizes[d]);
  }
  return text + "]";
}

Facts facts_of(const char* name, const Owned& tensor) {
  Facts t;
  t.handle = tensor.get();
  t.name = name;
  std::int64_t dimensions = 0;
  std::int64_t* sizes = nullptr;
  std::int64_t* strides = nullptr;
  check(abi.get_dim(t.handle, &dimensions), "the number of dimensions");
  check(abi.get_sizes(t.handle, &sizes), "the sizes");
  check(abi.get_strides(t.handle, &strides), "the strides");
  check(abi.get_dtype(t.handle, &t.dtype), "the dtype");
  check(abi.get_device_type(t.handle, &t.device.type), "the device");
  check(abi.get_device_index(t.handle, &t.device.index), "the device");
  if (dimensions > kMostDimensions) {
    fail_value(std::string(name) + " has " + std::to_string(dimensions) +
               " dimensions; at most 64 are taken");
  }
  t.dimensions = int(dimensions);
  t.sizes = sizes;
  t.strides = strides;
  return t;
}

const void* data_of(Handle tensor) {
  const void* data = nullptr;
  check(abi.get_const_data(tensor, &data), "the data of an input");
  return data;
}

void* writable_data_of(Handle tensor) {
  void* data = nullptr;
  check(abi.get_mutable_data(tensor, &data), "the data of an output");
  return data;
}

Owned empty(int dimensions, const std::int64_t* sizes, const std::int64_t* strides,
            std::int32_t dtype, const Device& device) {
  Handle made = nullptr;
  check(abi.empty_strided(dimensions, sizes, strides, dtype, device.type, device.index, &made),
        "allocating a tensor");
  return Owned(made);
}

// What stands for a gradient that was not asked for.
Owned nothing(const Facts& like) {
  const std::int64_t size = 0;
  const std::int64_t stride = 1;
  return empty(1, &size, &stride, like.dtype, like.device);
}

// ---------------------------------------------------------------- types

std::int32_t type_code(std::int32_t dtype) {
  if (dtype == codes.f32) return GRKAN_F32;
  if (dtype == codes.f64) return GRKAN_F64;
  if (dtype == codes.f16) return GRKAN_F16;
  if (dtype == codes.bf16) return GRKAN_BF16;
  return 0;
}

std::int32_t dtype_of(std::int32_t code) {
  if (code == GRKAN_F64) return codes.f64;
  if (code == GRKAN_F16) return codes.f16;
  if (code == GRKAN_BF16) return codes.bf16;
  return codes.f32;
}

std::size_t size_of(std::int32_t code) {
  if (code == GRKAN_F64) return 8;
  return code == GRKAN_F32 ? 4 : 2;
}

const char* type_text(std::int32_t code) {
  if (code == GRKAN_F64) return "float64";
  if (code == GRKAN_F32) return "float32";
  if (code == GRKAN_F16) return "float16";
  return code == GRKAN_BF16 ? "bfloat16" : "a type that is none of these";
}

std::int32_t floating_code(const Facts& t) {
  const std::int32_t code = type_code(t.dtype);
  if (code == 0) {
    fail_type(std::string(t.name) + " must be float32, float64, float16 or bfloat16");
  }
  return code;
}

// ---------------------------------------------------------------- layouts

// The strides that torch.empty_like gives: its own where the tensor is dense without overlap, else
// those of a dense tensor whose dimensions lie in the same order.
void dense_strides(const Facts& t, Dimensions& strides) {
  const int n = t.dimensions;
  std::copy_n(t.strides, n, strides.begin());
  std::array<int, kMostDimensions> order;  // NOLINT: not to be cleared
  int count = 0;
  for (int d = 0; d < n; ++d) {
    if (t.sizes[d] == 0) return;
    if (t.sizes[d] == 1) continue;
    int at = count++;
    for (; at > 0 && t.strides[order[at - 1]] > t.strides[d]; --at) order[at] = order[at - 1];
    order[at] = d;
  }
  std::int64_t expected = 1;
  int dense = 0;
  for (; dense < count && t.strides[order[dense]] == expected; ++dense) {
    expected *= t.sizes[order[dense]];
  }
  if (dense == count) return;

  // The innermost first; PyTorch's order of comparisons decides where strides are equal or 0.
  for (int d = 0; d < n; ++d) order[d] = n - 1 - d;
  for (int i = 1; i < n; ++i) {
    int at = i;
    for (int before = i - 1; before >= 0; --before) {
      const int inner = order[before];
      const int outer = order[at];
      const std::int64_t a = t.strides[inner];
      const std::int64_t b = t.strides[outer];
      if (a == 0 || b == 0) continue;  // says nothing
      if (a < b) break;
      if (a == b && t.sizes[inner] <= t.sizes[outer]) continue;
      std::swap(order[before], order[at]);
      at = before;
    }
  }
  expected = 1;
  for (int i = 0; i < n; ++i) {
    strides[order[i]] = expected;
    expected *= std::max<std::int64_t>(1, t.sizes[order[i]]);
  }
}

// How a tensor's dimensions become grkan.h's rows, channels and inner: those further out than the
// channels in memory are rows, those further in are inner. Size-1 dimensions are in neither.
struct Grid {
  int dimensions = 0;
  int channel = 0;
  std::int64_t channels = 1;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  Dimensions dense;  // strides of the outputs
  int row_count = 0;
  int inner_count = 0;
  std::array<int, kMostDimensions> row_dims, inner_dims;  // the outermost first

  Grid(const Facts& x, int channel_dim);
  // The stride from row to row (0: all rows are one) where the tensor lies in this order, densely
  // within a row; -1 where it does not.
  [[nodiscard]] std::int64_t row_stride(const std::int64_t* strides,
                                        const std::int64_t* sizes) const;
};

void insert(std::array<int, kMostDimensions>& dims, int& count, int d, const Dimensions& strides) {
  int at = count++;
  for (; at > 0 && strides[dims[at - 1]] < strides[d]; --at) dims[at] = dims[at - 1];
  dims[at] = d;
}

Grid::Grid(const Facts& x, int channel_dim)  // NOLINT: arrays are filled as far as they are used
    : dimensions(x.dimensions), channel(channel_dim), channels(x.sizes[channel_dim]) {
  dense_strides(x, dense);
  for (int d = 0; d < x.dimensions; ++d) {
    if (d == channel || x.sizes[d] == 1) continue;
    if (channels > 1 && dense[d] < dense[channel]) {
      insert(inner_dims, inner_count, d, dense);
      inner *= x.sizes[d];
    } else {
      insert(row_dims, row_count, d, dense);
      rows *= x.sizes[d];
    }
  }
}

std::int64_t Grid::row_stride(const std::int64_t* strides, const std::int64_t* sizes) const {
  std::int64_t expected = 1;
  for (int i = inner_count - 1; i >= 0; --i) {
    if (strides[inner_dims[i]] != expected) return -1;
    expected *= sizes[inner_dims[i]];
  }
  if (channels > 1 && strides[channel] != expected) return -1;
  expected *= channels;
  if (row_count == 0) return expected;
  const std::int64_t step = strides[row_dims[row_count - 1]];
  if (step != 0 && step < expected) return -1;
  std::int64_t next = step;
  for (int i = row_count - 1; i >= 0; --i) {
    if (strides[row_dims[i]] != next) return -1;
    next *= sizes[row_dims[i]];
  }
  return step;
}

// An input as grkan.h takes it: itself, or a copy.
struct Input {
  const void* data = nullptr;
  std::int64_t stride = 0;
  Owned copy;
};

Owned copy_of(const Facts& t, const std::int64_t* sizes, const std::int64_t* strides,
              std::int32_t dtype) {
  Owned made = empty(t.dimensions, sizes, strides, dtype, t.device);
  Owned view;
  Handle from = t.handle;
  if (sizes != t.sizes) {
    check(abi.as_strided(t.handle, sizes, t.strides, &from), "a view");
    view = Owned(from);
  }
  check(abi.copy(made.get(), from, 0), "copying an input");
  return made;
}

Input input_of(const Facts& t, const Grid& grid) {
  Input input;
  input.stride = grid.row_stride(t.strides, t.sizes);
  if (input.stride >= 0) {
    input.data = data_of(t.handle);
    return input;
  }
  // Rows that are all the same (a sum's gradient): one of them will do.
  Dimensions sizes;  // NOLINT: filled below
  std::copy_n(t.sizes, t.dimensions, sizes.begin());
  bool same = grid.row_count > 0;
  for (int i = 0; i < grid.row_count; ++i) {
    same = same && t.strides[grid.row_dims[i]] == 0;
    sizes[grid.row_dims[i]] = 1;
  }
  input.copy = copy_of(t, same ? sizes.data() : t.sizes, grid.dense.data(), t.dtype);
  input.stride = same ? 0 : grid.row_stride(grid.dense.data(), t.sizes);
  input.data = data_of(input.copy.get());
  return input;
}

// ---------------------------------------------------------------- calls

// Coefficients as grkan.h takes them: dense, of the type that the data allow. The one place where
// other types are converted.
struct Coefficients {
  Facts facts;
  std::int32_t dtype = 0;  // that the kernel reads, and writes gradients in
  const void* data = nullptr;
  Owned copy;
  std::array<std::int64_t, 2> dense{};

  Coefficients(const char* name, const Owned& tensor, const Facts& x, std::int32_t x_code)
      : facts(facts_of(name, tensor)) {
    const std::int32_t code = floating_code(facts);
    if ((code == GRKAN_F64) != (x_code == GRKAN_F64)) {
      fail_type(std::string(name) + " is " + type_text(code) + " and x " + type_text(x_code) +
                "; float64 goes with float64 alone: convert one of them");
    }
    if (facts.device != x.device) {
      fail_value(std::string(name) + " is on " + device_text(facts.device) + ", but x on " +
                 device_text(x.device) + "; move one of them");
    }
    if (facts.dimensions != 2) {
      fail_value(std::string(name) + " must be [groups, coefficients], but its shape is " +
                 shape_text(facts));
    }
    dtype = code == GRKAN_F64 ? codes.f64 : codes.f32;
    dense = {facts.sizes[1], 1};
  }
  [[nodiscard]] std::int64_t groups() const { return facts.sizes[0]; }
  [[nodiscard]] std::int64_t terms() const { return facts.sizes[1]; }

  void read() {
    const bool is_dense = facts.elements() == 0 || ((terms() == 1 || facts.strides[1] == 1) &&
                                                    (groups() == 1 || facts.strides[0] == terms()));
    if (is_dense && facts.dtype == dtype) {
      data = data_of(facts.handle);
    } else {
      copy = copy_of(facts, facts.sizes, dense.data(), dtype);
      data = data_of(copy.get());
    }
  }
  [[nodiscard]] Owned new_gradient() const {
    return empty(2, facts.sizes, dense.data(), dtype, facts.device);
  }
  // The gradient in the coefficients' own type.
  [[nodiscard]] Owned finish(Owned gradient) const {
    if (facts.dtype == dtype) return gradient;
    Owned made = empty(2, facts.sizes, dense.data(), facts.dtype, facts.device);
    check(abi.copy(made.get(), gradient.get(), 0), "converting a gradient");
    return made;
  }
};

// Makes a tensor's CUDA device the current one.
class OnDevice {
 public:
  explicit OnDevice(const Device& device) {
    if (device.type == codes.cpu) return;
    std::int32_t current = 0;
    check(abi.get_current_device(&current), "the current device");
    if (current != device.index) {
      check(abi.create_device_guard(device.index, &guard_), "changing the device");
    }
  }
  ~OnDevice() {
    if (guard_ != nullptr) abi.delete_device_guard(guard_);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  Guard guard_ = nullptr;
};

void run_on_torch_threads(void* /*user*/, std::int64_t count,
                          void (*body)(void* context, std::int64_t index), void* context) {
  struct Range {
    void (*body)(void* context, std::int64_t index);
    void* context;
  } range{body, context};
  abi.parallel_for(
      0, count, 1,
      [](std::int64_t begin, std::int64_t end, void* shared) {
        const auto& r = *static_cast<const Range*>(shared);
        for (std::int64_t i = begin; i < end; ++i) r.body(r.context, i);
      },
      &range);
}

grkan_parallel_for pool() {
  return own_pool.load(std::memory_order_relaxed) || fw::forked() ? nullptr : &run_on_torch_threads;
}

std::int16_t threads() {
  std::uint32_t count = 1;
  check(abi.get_num_threads(&count), "the number of threads");
  return std::int16_t(std::clamp<std::uint32_t>(count, 1, fw::kMostThreads));
}

// What forward and backward have in common.
struct Call {
  Facts x;
  Coefficients a, b;
  Grid grid;
  bool on_cpu;
  OnDevice on_device;
  fw::PlanKey key{};
  grkan_plan* plan = nullptr;
  void* stream = nullptr;

  Call(const Owned& x_tensor, const Owned& a_tensor, const Owned& b_tensor, std::int64_t variant,
       std::int64_t channel_dim, std::int64_t y_code, std::int64_t determinism)
      : x(facts_of("x", x_tensor)),
        a("numerator", a_tensor, x, floating_code(x)),
        b("denominator", b_tensor, x, floating_code(x)),
        grid(x, checked_dim(x, channel_dim)),
        on_cpu(x.device.type == codes.cpu),
        on_device(x.device) {
    grkan_problem& p = key.problem;
    p.size = sizeof p;
    p.numerator_degree = std::int32_t(std::min<std::int64_t>(a.terms(), 1 << 20)) - 1;
    p.denominator_degree = std::int32_t(std::min<std::int64_t>(b.terms(), 1 << 20)) -
                           (variant == GRKAN_VARIANT_C ? 1 : 0);
    p.variant = std::int32_t(variant);
    p.layout = grid.inner > 1 ? GRKAN_CHANNELS_FIRST : GRKAN_CHANNELS_LAST;
    p.x_type = type_code(x.dtype);
    p.y_type = y_code == 0 ? p.x_type : std::int32_t(y_code);
    p.channels = grid.channels;
    p.numerator_groups = a.groups();
    p.denominator_groups = b.groups();
    take_half_coefficients();
    key.device = on_cpu ? fw::kCpu : x.device.index;
    key.determinism = std::int16_t(determinism);
    if (on_cpu) {
      key.pool = pool();
      key.threads = threads();
    } else {
      check(abi.get_current_cuda_stream == nullptr, "libtorch_cuda.so, which is not loaded");
      check(abi.get_current_cuda_stream(x.device.index, &stream), "the current stream");
    }
    if (grid.channels > 0) check(fw::find_plan(key, &plan));
    a.read();
    b.read();
  }

  // Coefficients of the data's 16-bit type need no conversion.
  void take_half_coefficients() {
    grkan_problem& p = key.problem;
    const std::int32_t code = type_code(a.facts.dtype);
    if (a.facts.dtype != b.facts.dtype || (code != GRKAN_F16 && code != GRKAN_BF16)) return;
    if (code != p.x_type && code != p.y_type) return;
    p.coefficient_type = code;
    a.dtype = a.facts.dtype;
    b.dtype = b.facts.dtype;
  }

  static int checked_dim(const Facts& x, std::int64_t dim) {
    if (x.dimensions == 0) fail_value("x has no dimensions; it needs one for its channels");
    if (dim < -x.dimensions || dim >= x.dimensions) {
      fail_value("channel_dim " + std::to_string(dim) + " is none of x, whose shape is " +
                 shape_text(x));
    }
    return int(dim < 0 ? dim + x.dimensions : dim);
  }
  [[nodiscard]] bool empty_data() const {
    return grid.rows == 0 || grid.channels == 0 || grid.inner == 0;
  }

  [[nodiscard]] Owned new_output(std::int32_t code) const {
    Owned made = empty(x.dimensions, x.sizes, grid.dense.data(), dtype_of(code), x.device);
    if (on_cpu && !empty_data()) {
      const std::int64_t elements = grid.rows * grid.channels * grid.inner;
      const std::size_t bytes = std::size_t(elements) * size_of(code);
      if (bytes >= fw::kHuge) fw::ask_for_huge_pages(writable_data_of(made.get()), bytes);
    }
    return made;
  }

  [[nodiscard]] std::int32_t gradients_of(const grkan_forward_args& /*arguments*/) const {
    return 0;
  }
  // A denominator without coefficients has no db to leave out.
  [[nodiscard]] std::int32_t gradients_of(const grkan_backward_args& g) const {
    const bool db = g.db != nullptr || b.facts.elements() == 0;
    return (g.dx != nullptr ? GRKAN_DX : 0) | (g.da != nullptr ? GRKAN_DA : 0) |
           (db ? GRKAN_DB : 0);
  }

  // Sets the fields that forward and backward share and calls; the workspace lives as long.
  template <class Arguments>
  void run(Arguments& arguments, std::int32_t direction,
           grkan_status (*function)(grkan_plan*, const Arguments*)) const {
    arguments.size = sizeof arguments;
    arguments.rows = grid.rows;
    arguments.inner = grid.inner;
    arguments.a = a.data;
    arguments.b = b.data;
    arguments.stream = stream;
    check(grkan_plan_workspace_for_rows(plan, direction, grid.rows, grid.inner,
                                        &arguments.workspace_size));
    if (on_cpu) {
      const fw::Workspace workspace(arguments.workspace_size);
      arguments.workspace = workspace.data();
      check(function(plan, &arguments));
    } else {
      const auto bytes = std::int64_t(arguments.workspace_size);
      const std::int64_t stride = 1;
      const Owned workspace = empty(1, &bytes, &stride, codes.u8, x.device);
      arguments.workspace = writable_data_of(workspace.get());
      check(function(plan, &arguments));
    }
    if (fw::is_recording()) {
      fw::record(key, direction, gradients_of(arguments), grid.rows, grid.inner);
    }
  }
};

void run_forward(const Call& call, void* y, std::int64_t y_stride) {
  const Input x = input_of(call.x, call.grid);
  grkan_forward_args arguments{};
  arguments.x = x.data;
  arguments.x_stride = x.stride;
  arguments.y = y;
  arguments.y_stride = y_stride;
  call.run(arguments, GRKAN_FORWARD, &grkan_forward);
}

std::int64_t output_stride(const Call& call) {
  return call.grid.row_stride(call.grid.dense.data(), call.x.sizes);
}

Owned forward(const Owned& x, const Owned& a, const Owned& b, std::int64_t variant,
              std::int64_t channel_dim, std::int64_t out_dtype) {
  const Call call(x, a, b, variant, channel_dim, out_dtype, GRKAN_DETERMINISM_RUN_TO_RUN);
  Owned y = call.new_output(call.key.problem.y_type);
  if (!call.empty_data()) run_forward(call, writable_data_of(y.get()), output_stride(call));
  return y;
}

void must_have_shape_of(const Facts& x, const Facts& t) {
  if (t.dimensions != x.dimensions || !std::equal(x.sizes, x.sizes + x.dimensions, t.sizes)) {
    fail_value(std::string(t.name) + " must have x's shape " + shape_text(x) + ", not " +
               shape_text(t));
  }
  if (t.device != x.device) {
    fail_value(std::string(t.name) + " is on " + device_text(t.device) + ", but x on " +
               device_text(x.device) + "; move one of them");
  }
}

// out may be x: then the operation is in place.
void forward_out(const Owned& x, const Owned& a, const Owned& b, const Owned& out,
                 std::int64_t variant, std::int64_t channel_dim) {
  const Facts y = facts_of("out", out);
  const Call call(x, a, b, variant, channel_dim, floating_code(y), GRKAN_DETERMINISM_RUN_TO_RUN);
  must_have_shape_of(call.x, y);
  if (call.empty_data()) return;
  const std::int64_t stride = call.grid.row_stride(y.strides, y.sizes);
  if (stride > 0) {
    run_forward(call, writable_data_of(out.get()), stride);
    return;
  }
  const Owned dense = call.new_output(call.key.problem.y_type);
  run_forward(call, writable_data_of(dense.get()), output_stride(call));
  check(abi.copy(out.get(), dense.get(), 0), "copying the result to out");
}

struct Gradients {
  Owned dx, da, db;
};

Gradients backward(const Owned& dy_tensor, const Owned& x, const Owned& a, const Owned& b,
                   std::int64_t variant, std::int64_t channel_dim, std::int64_t gradients,
                   std::int64_t determinism) {
  const Facts dy = facts_of("the gradient of y", dy_tensor);
  const Call call(x, a, b, variant, channel_dim, floating_code(dy), determinism);
  must_have_shape_of(call.x, dy);
  const bool wants_dx = (gradients & GRKAN_DX) != 0;
  const bool wants_da = (gradients & GRKAN_DA) != 0;
  const bool wants_db = (gradients & GRKAN_DB) != 0;
  const bool has_db = call.b.facts.elements() > 0;

  Gradients result;
  result.dx = wants_dx ? call.new_output(call.key.problem.x_type) : nothing(call.x);
  result.da = wants_da ? call.a.new_gradient() : nothing(call.a.facts);
  result.db = wants_db ? call.b.new_gradient() : nothing(call.b.facts);
  if (call.empty_data()) {
    if (wants_da) check(abi.zero(result.da.get()), "clearing a gradient");
    if (wants_db) check(abi.zero(result.db.get()), "clearing a gradient");
  } else if (wants_dx || wants_da || (wants_db && has_db)) {
    const Input x_input = input_of(call.x, call.grid);
    const Input dy_input = input_of(dy, call.grid);
    grkan_backward_args arguments{};
    arguments.x = x_input.data;
    arguments.x_stride = x_input.stride;
    arguments.dy = dy_input.data;
    arguments.dy_stride = dy_input.stride;
    arguments.dx = wants_dx ? writable_data_of(result.dx.get()) : nullptr;
    arguments.dx_stride = output_stride(call);
    arguments.da = wants_da ? writable_data_of(result.da.get()) : nullptr;
    arguments.db = wants_db && has_db ? writable_data_of(result.db.get()) : nullptr;
    call.run(arguments, GRKAN_BACKWARD, &grkan_backward);
  }
  if (wants_da) result.da = call.a.finish(std::move(result.da));
  if (wants_db) result.db = call.b.finish(std::move(result.db));
  return result;
}

// ---------------------------------------------------------------- registration

// The one catch-all. PyTorch's own exception is thrown, by PyTorch, when nothing of ours is left
// on the stack.
template <void (*body)(Slot* stack)>
void boxed(Slot* stack, std::uint64_t /*arguments*/, std::uint64_t /*results*/) {
  try {
    body(stack);
    return;
  } catch (Failure& failure) {
    last_failure = std::move(failure);
  } catch (const std::exception& error) {
    last_failure = {GRKAN_INTERNAL, false, "", error.what()};
  }
  abi.check(false, "grkan", __FILE__, __LINE__, last_failure.text.c_str());
}

std::int64_t number(Slot slot) { return static_cast<std::int64_t>(slot); }

void boxed_forward(Slot* s) {
  const Owned x(s[0]);
  const Owned a(s[1]);
  const Owned b(s[2]);
  s[0] = forward(x, a, b, number(s[3]), number(s[4]), number(s[5])).release();
}

void boxed_forward_out(Slot* s) {
  const Owned x(s[0]);
  const Owned a(s[1]);
  const Owned b(s[2]);
  const Owned out(s[3]);
  forward_out(x, a, b, out, number(s[4]), number(s[5]));
}

void boxed_backward(Slot* s) {
  const Owned dy(s[0]);
  const Owned x(s[1]);
  const Owned a(s[2]);
  const Owned b(s[3]);
  Gradients g = backward(dy, x, a, b, number(s[4]), number(s[5]), number(s[6]), number(s[7]));
  s[0] = g.dx.release();
  s[1] = g.da.release();
  s[2] = g.db.release();
}

struct Operator {
  const char* name;
  const char* schema;
  BoxedKernel kernel;
};

// The types of results: 0 is x's, else GRKAN_F32 ...; gradients: GRKAN_DX | GRKAN_DA | GRKAN_DB.
// Names with an underscore have no autograd rule: what the eager path calls, at half the price.
#define GRKAN_FORWARD_SCHEMA \
  "(Tensor x, Tensor a, Tensor b, int variant, int channel_dim, int out_dtype) -> Tensor"
#define GRKAN_BACKWARD_SCHEMA                                                                   \
  "(Tensor dy, Tensor x, Tensor a, Tensor b, int variant, int channel_dim, int gradients, int " \
  "determinism) -> (Tensor, Tensor, Tensor)"
constexpr std::array kOperators = {
    Operator{"forward", "forward" GRKAN_FORWARD_SCHEMA, &boxed<boxed_forward>},
    Operator{"_forward", "_forward" GRKAN_FORWARD_SCHEMA, &boxed<boxed_forward>},
    Operator{"backward", "backward" GRKAN_BACKWARD_SCHEMA, &boxed<boxed_backward>},
    Operator{"_backward", "_backward" GRKAN_BACKWARD_SCHEMA, &boxed<boxed_backward>},
    Operator{"forward_out",
             "forward_out(Tensor x, Tensor a, Tensor b, Tensor(a!) out, int variant, int "
             "channel_dim) -> ()",
             &boxed<boxed_forward_out>},
};

void register_operators() {
  if (std::string wrong = abi.load(); !wrong.empty()) {
    throw Failure{GRKAN_OK, false, "", std::move(wrong)};
  }
  codes = {.f32 = abi.dtype_float32(),
           .f64 = abi.dtype_float64(),
           .f16 = abi.dtype_float16(),
           .bf16 = abi.dtype_bfloat16(),
           .u8 = abi.dtype_uint8(),
           .cpu = abi.device_type_cpu(),
           .cuda = abi.device_type_cuda()};
  // Libraries are kept for ever: what they registered goes with them.
  Library library = nullptr;
  check(abi.library_init_def("grkan", __FILE__, __LINE__, &library), "defining the library grkan");
  for (const Operator& op : kOperators) check(abi.library_def(library, op.schema), op.schema);
  for (const char* key : {"CPU", "CUDA"}) {
    check(abi.library_init_impl("grkan", key, __FILE__, __LINE__, &library), "registering kernels");
    for (const Operator& op : kOperators) {
      check(abi.library_impl(library, op.name, op.kernel, kVersion), op.name);
    }
  }
}

}  // namespace
}  // namespace grkan::torch

extern "C" {

// Registers the operators, once. 0; or 1, and why in the message.
GRKAN_API int grkan_torch_register(char* message, std::size_t size) {
  static bool registered = false;
  try {
    if (!registered) grkan::torch::register_operators();
    registered = true;
    return 0;
  } catch (const grkan::torch::Failure& failure) {
    std::snprintf(message, size, "%s", failure.text.c_str());
  } catch (const std::exception& error) {
    std::snprintf(message, size, "%s", error.what());
  }
  return 1;
}

// Whether CPU calls run on grkan's own threads (1) or on PyTorch's (0, the default).
GRKAN_API void grkan_torch_set_own_pool(int own) { grkan::torch::own_pool = own != 0; }

// The pool that a plan of the CPU is made with now; see PlanKey.
GRKAN_API grkan_parallel_for grkan_torch_pool() { return grkan::torch::pool(); }

// Why this thread's last failed call failed, of the status GRKAN_OK where PyTorch did; whether for
// types that don't go together; the field of grkan.h.
GRKAN_API const char* grkan_torch_last_error(grkan_status* status, std::int32_t* is_type,
                                             const char** field) {
  const grkan::torch::Failure& failure = grkan::torch::last_failure;
  *status = failure.status;
  *is_type = failure.is_type ? 1 : 0;
  *field = failure.field;
  return failure.text.c_str();
}

}  // extern "C"
