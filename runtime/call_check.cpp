#include "runtime/call_check.h"

#include <limits>

#include "core/error.h"

namespace grkan {
namespace {

// Bytes that a tensor may span: offsets are 64-bit and signed.
constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max() / 2;

std::int64_t product(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? kLargest + 1 : result;
}

}  // namespace

// What a pointer covers: `rows` runs of `run` bytes, `step` bytes from one to the next.
struct CallCheck::Span {
  const char* name = "";
  const std::byte* begin = nullptr;
  std::int64_t bytes = 0;  // from the first to the last; 0: nothing
  std::int64_t run = 0;
  std::int64_t step = 0;

  [[nodiscard]] bool overlaps(const Span& other) const {
    if (bytes == 0 || other.bytes == 0) return false;
    const auto a = reinterpret_cast<std::intptr_t>(begin);
    const auto b = reinterpret_cast<std::intptr_t>(other.begin);
    if (a + bytes <= b || b + other.bytes <= a) return false;
    if (step != other.step || step == 0) return true;
    // Columns of one matrix, side by side: they share rows but no byte.
    const std::int64_t ahead = ((b - a) % step + step) % step;
    return ahead < run || ahead + other.run > step;
  }
  void must_not_overlap(const Span& other) const {
    if (overlaps(other)) {
      fail_field(name, "{} ({}, {} bytes) overlaps {} ({}, {} bytes); give it memory of its own",
                 name, static_cast<const void*>(begin), bytes, other.name,
                 static_cast<const void*>(other.begin), other.bytes);
    }
  }
};

CallCheck::CallCheck(const Task& task, WorkspaceBound workspace, bool on_cpu)
    : task_(task),
      workspace_(workspace),
      on_cpu_(on_cpu),
      channels_first_(task.problem.layout == Layout::channels_first),
      x_size_(size_of(task.problem.x_type)),
      y_size_(size_of(task.problem.y_type)),
      coefficient_size_(size_of(task.problem.coefficient_type())),
      a_entries_(task.problem.numerator_groups * task.problem.numerator_terms()),
      b_entries_(task.problem.denominator_groups * task.problem.denominator_terms()) {}

void CallCheck::check_size(std::int64_t rows, std::int64_t inner) const {
  if (rows < 0) fail_field("rows", "rows {} is negative; use 0 or more", rows);
  if (!channels_first_ && inner != 1) {
    fail_field("inner", "inner {} came with channels-last, where it is 1; use 1, or channels-first",
               inner);
  }
  if (inner < 0) fail_field("inner", "inner {} is negative; use 0 or more", inner);
  const std::int64_t row = product(task_.problem.channels, inner);
  if (product(product(rows, row), 8) > kLargest) {
    fail_field("rows",
               "rows {} x channels {} x inner {} are more elements than can be addressed; use "
               "fewer rows",
               rows, task_.problem.channels, inner);
  }
}

struct CallCheck::Stride {
  const char* name;
  std::int64_t value;
  bool input;
};

CallCheck::Span CallCheck::tensor(const char* name, const void* pointer, const Stride& stride,
                                  std::size_t size, const Call& call) const {
  const std::int64_t row = task_.problem.channels * call.inner;
  if (call.rows == 0 || row == 0) return {.name = name};
  if (pointer == nullptr) {
    fail_field(name, "{} is null, but {} rows were given; bring its memory", name, call.rows);
  }
  if (reinterpret_cast<std::uintptr_t>(pointer) % size != 0) {
    fail_field(name, "{} is at {}, not aligned to its element of {} bytes", name, pointer, size);
  }
  if (call.rows > 1 && stride.value < row && !(stride.input && stride.value == 0)) {
    fail_field(stride.name, "{} {} is less than a row's {} elements; strides are in elements",
               stride.name, stride.value, row);
  }
  const auto bytes = std::int64_t(size);
  const std::int64_t step = call.rows > 1 ? product(stride.value, bytes) : 0;
  const std::int64_t last = product(step, call.rows - 1);
  if (step > kLargest || last > kLargest - row * bytes) {
    fail_field(stride.name, "{} {} x rows {} is more than can be addressed; use fewer rows",
               stride.name, stride.value, call.rows);
  }
  return {name, static_cast<const std::byte*>(pointer), last + row * bytes, row * bytes, step};
}

CallCheck::Span CallCheck::dense(const char* name, const void* pointer, std::int64_t entries,
                                 std::size_t size) {
  if (entries == 0) return {.name = name};
  if (pointer == nullptr) {
    fail_field(name, "{} is null, but it has {} entries; bring its memory", name, entries);
  }
  if (reinterpret_cast<std::uintptr_t>(pointer) % size != 0) {
    fail_field(name, "{} is at {}, not aligned to its element of {} bytes", name, pointer, size);
  }
  const std::int64_t bytes = entries * std::int64_t(size);
  return {name, static_cast<const std::byte*>(pointer), bytes, bytes, 0};
}

void CallCheck::check(const Call& call, const Workspace& workspace) const {
  check_size(call.rows, call.inner);
  if (on_cpu_ && workspace.stream != nullptr) {
    fail_field("stream", "stream is {}, but a CPU plan has no streams; give NULL",
               workspace.stream);
  }
  const bool empty = call.rows == 0 || call.inner == 0;
  const bool backward = task_.backward();
  const Gradients& wanted = task_.gradients;
  const auto unasked = [](const char* name, const void* pointer) {
    if (pointer != nullptr) {
      fail_field(name,
                 "{} is {}, but the plan was not made for this gradient; give NULL, or make the "
                 "plan with it",
                 name, pointer);
    }
  };
  const Span x = tensor("x", call.x, {"x_stride", call.x_stride, true}, x_size_, call);
  const Span dy =
      backward ? tensor("dy", call.dy, {"dy_stride", call.dy_stride, true}, y_size_, call) : Span{};
  const Span a = dense("a", call.a, empty ? 0 : a_entries_, coefficient_size_);
  const Span b = dense("b", call.b, empty ? 0 : b_entries_, coefficient_size_);
  Span out;
  Span da;
  Span db;
  if (!backward) {
    out = tensor("y", call.out, {"y_stride", call.out_stride, false}, y_size_, call);
  } else {
    if (wanted.dx)
      out = tensor("dx", call.out, {"dx_stride", call.out_stride, false}, x_size_, call);
    if (wanted.da) da = dense("da", call.da, a_entries_, coefficient_size_);
    if (wanted.db) db = dense("db", call.db, b_entries_, coefficient_size_);
    if (!wanted.dx) unasked("dx", call.out);
    if (!wanted.da) unasked("da", call.da);
    if (!wanted.db) unasked("db", call.db);
  }
  const std::size_t needed = empty ? 0 : workspace_.bytes(call.rows, call.inner);
  if (workspace.size < needed || (workspace.data == nullptr && needed > 0)) {
    fail_field("workspace_size",
               "workspace of {} bytes at {} is too small; a call of this size needs {} bytes",
               workspace.size, workspace.data, needed);
  }
  if (needed > 0 && reinterpret_cast<std::uintptr_t>(workspace.data) % 64 != 0) {
    fail_field("workspace", "workspace is at {}, not aligned to 64 bytes", workspace.data);
  }
  const Span space = {"workspace", static_cast<const std::byte*>(workspace.data),
                      std::int64_t(needed), std::int64_t(needed), 0};

  // In place: y over x, dx over dy.
  const Span& source = backward ? dy : x;
  const bool in_place = out.begin == source.begin && out.step == source.step &&
                        x_size_ == y_size_ && task_.problem.x_type == task_.problem.y_type;
  if (!in_place) out.must_not_overlap(source);
  if (backward) out.must_not_overlap(x);
  for (const Span* gradient : {&da, &db}) {
    if (gradient->bytes == 0) continue;
    gradient->must_not_overlap(x);
    gradient->must_not_overlap(dy);
    gradient->must_not_overlap(out);
    gradient->must_not_overlap(a);
    gradient->must_not_overlap(b);
  }
  da.must_not_overlap(db);
  out.must_not_overlap(a);
  out.must_not_overlap(b);
  if (needed == 0) return;
  for (const Span* span : std::initializer_list<const Span*>{&x, &dy, &a, &b, &out, &da, &db}) {
    space.must_not_overlap(*span);
  }
}

}  // namespace grkan
