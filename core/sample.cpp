#include "core/sample.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/half.h"

namespace grkan {
namespace {

constexpr std::int64_t kAlignment = 64;
constexpr std::int64_t kGuard = 128;
// As floats of any type these are NaN (inputs), and NaN or huge (outputs): what a kernel reads or
// leaves by mistake shows in its results.
constexpr std::byte kInputPattern{0xFF};
constexpr std::byte kOutputPattern{0xFE};
constexpr double kLargestX = 6;

// SplitMix64 (Steele, Lea, Flood 2014): integers only, hence the same on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
    return z ^ z >> 31;
  }
  // In [0, 1).
  double uniform() { return double(next() >> 11) * 0x1p-53; }
  // Mean 0, variance 1, within +-6: the sum of twelve uniforms. Exact arithmetic, no libm.
  double normal() {
    std::uint64_t sum = 6;
    for (int i = 0; i < 6; ++i) {
      const std::uint64_t bits = next();
      sum += (bits >> 32) + (bits & 0xFFFFFFFFULL);
    }
    return double(sum) * 0x1p-32 - 6;
  }

 private:
  std::uint64_t state_;
};

void fill_normal(const SampleBuffer& buffer, Type type, std::int64_t rows, std::int64_t dense,
                 std::uint64_t seed) {
  Random random(seed);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t i = 0; i < dense; ++i) {
      store_element(type, buffer.data(), row * buffer.stride() + i, random.normal());
    }
  }
}

// Every 37th element, so that narrow groups have clean elements too.
void fill_specials(const SampleBuffer& buffer, Type type, std::int64_t rows, std::int64_t dense) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double tiny = smallest_subnormal(type);
  const double large = largest_finite(type);
  const std::array<double, 9> specials = {0.0,    -0.0,      tiny,       -tiny,       large,
                                          -large, kInfinity, -kInfinity, std::nan("")};
  std::size_t next = 0;
  for (std::int64_t i = 0; i < rows * dense; i += 37) {
    const std::int64_t at = i / dense * buffer.stride() + i % dense;
    store_element(type, buffer.data(), at, specials.at(next++ % specials.size()));
  }
}

// Uniform in [-1, 1] / 3^power.
double coefficient(Random& random, int power) {
  double value = 2 * random.uniform() - 1;
  for (int i = 0; i < power; ++i) value /= 3;
  return value;
}

void fill_numerator(const SampleBuffer& buffer, const Problem& p, std::uint64_t seed) {
  Random random(seed);
  for (std::int64_t at = 0; at < p.numerator_groups * p.numerator_terms(); ++at) {
    const auto power = int(at % p.numerator_terms());
    store_element(p.coefficient_type(), buffer.data(), at, coefficient(random, power));
  }
}

// With specials some b whose sign is db's are +0 and -0.
// A Q that has poles elsewhere is > 0.2 for |x| <= kLargestX: even coefficients are positive, and
// an odd one is at most 0.8 of both neighbours, since |x|^i <= (|x|^(i-1) + |x|^(i+1)) / 2; a last
// odd one, without an upper neighbour, is at most 0.4 / kLargestX of the lower.
void fill_denominator(const SampleBuffer& buffer, const Problem& p, std::uint64_t seed,
                      bool specials) {
  Random random(seed);
  const bool zeros = specials && p.denominator().absolute_terms();
  const int terms = p.denominator_terms();
  const int first = p.denominator().first_power;
  for (std::int64_t group = 0; group < p.denominator_groups; ++group) {
    std::array<double, kMaxDegree + 2> b{};
    for (int i = first; i <= p.denominator_degree; ++i) {
      b.at(std::size_t(i)) = coefficient(random, i);
      if (zeros && (group + i) % 3 == 0)
        b.at(std::size_t(i)) = std::copysign(0.0, b.at(std::size_t(i)));
    }
    if (p.denominator().has_poles()) {
      b[0] = 1;
      for (std::size_t i = 2; i < b.size(); i += 2) b.at(i) = std::abs(b.at(i));
      for (std::size_t i = 1; i < b.size(); i += 2) {
        const double below = b.at(i - 1);
        const bool last = int(i) == p.denominator_degree;
        const double most = last ? 0.4 / kLargestX * below : 0.8 * std::min(below, b.at(i + 1));
        b.at(i) = std::clamp(b.at(i), -most, most);
      }
    }
    for (int i = first; i <= p.denominator_degree; ++i) {
      store_element(p.coefficient_type(), buffer.data(), group * terms + i - first,
                    b.at(std::size_t(i)));
    }
  }
}

}  // namespace

SampleBuffer::SampleBuffer(std::int64_t rows, std::int64_t dense, std::int64_t stride,
                           std::size_t size, bool misaligned, std::byte pattern)
    : bytes_(std::size_t(rows * stride) * size),
      rows_(rows),
      dense_(dense),
      stride_(stride),
      size_(size),
      pattern_(pattern) {
  storage_.assign(bytes_ + 2 * kGuard + 2 * kAlignment, pattern);
  const auto address = reinterpret_cast<std::uintptr_t>(storage_.data()) + kGuard;
  const std::uintptr_t aligned = (address + kAlignment - 1) / kAlignment * kAlignment;
  data_ = storage_.data() + kGuard + (aligned - address) + (misaligned ? size : 0);
}

std::string SampleBuffer::why_damaged() const {
  const auto intact = [this](const std::byte* begin, const std::byte* end) {
    return std::all_of(begin, end, [this](std::byte b) { return b == pattern_; });
  };
  if (data_ == nullptr) return {};
  if (!intact(storage_.data(), data_)) return "bytes before the tensor were overwritten";
  if (!intact(data_ + bytes_, storage_.data() + storage_.size())) {
    return "bytes behind the tensor were overwritten";
  }
  for (std::int64_t row = 0; row < rows_; ++row) {
    const std::byte* start = data_ + std::size_t(row * stride_) * size_;
    if (!intact(start + std::size_t(dense_) * size_, start + std::size_t(stride_) * size_)) {
      return fmt::format("the padding after row {} was overwritten", row);
    }
  }
  return {};
}

Sample::Sample(const Task& task, const SampleOptions& options) : task_(task), options_(options) {
  validate(task);
  const Problem& p = task.problem;
  if (options.rows < 0 || options.inner < 0 || options.padding < 0) {
    fail_argument("rows {}, inner {} and padding {} of a sample must not be negative", options.rows,
                  options.inner, options.padding);
  }
  if (p.layout == Layout::channels_last && options.inner != 1) {
    fail_argument("inner {} does not apply to channels-last; use 1", options.inner);
  }
  if (options.in_place && p.x_type != p.y_type) {
    fail_argument("in place needs equal types, but x is {} and y is {}", to_string(p.x_type),
                  to_string(p.y_type));
  }
  const std::int64_t dense = p.channels * options.inner;
  const std::int64_t stride = dense + options.padding;
  const auto tensor = [&](Type type, std::byte pattern) {
    return SampleBuffer(options.rows, dense, stride, size_of(type), options.misaligned, pattern);
  };
  const auto coefficients = [&](std::int64_t count, std::byte pattern) {
    return count == 0 ? SampleBuffer()
                      : SampleBuffer(1, count, count, size_of(p.coefficient_type()),
                                     options.misaligned, pattern);
  };
  const std::int64_t a_count = p.numerator_groups * p.numerator_terms();
  const std::int64_t b_count = p.denominator_groups * p.denominator_terms();
  x = tensor(p.x_type, kInputPattern);
  a = coefficients(a_count, kInputPattern);
  b = coefficients(b_count, kInputPattern);
  if (task.backward()) dy = tensor(p.y_type, kInputPattern);
  const bool writes = !task.backward() || task.gradients.dx;
  if (writes && !options.in_place) {
    out = tensor(task.backward() ? p.x_type : p.y_type, kOutputPattern);
  }
  if (task.gradients.da) da = coefficients(a_count, kOutputPattern);
  if (task.gradients.db) db = coefficients(b_count, kOutputPattern);
  fill();
  input_hash_ = input_hash();
}

void Sample::fill() {
  const Problem& p = task_.problem;
  const std::int64_t dense = p.channels * options_.inner;
  fill_normal(x, p.x_type, options_.rows, dense, options_.seed * 8);
  if (options_.specials) fill_specials(x, p.x_type, options_.rows, dense);
  if (dy.data() != nullptr) fill_normal(dy, p.y_type, options_.rows, dense, options_.seed * 8 + 1);
  fill_numerator(a, p, options_.seed * 8 + 2);
  if (b.data() != nullptr) fill_denominator(b, p, options_.seed * 8 + 3, options_.specials);
  reset();
}

void Sample::reset() {
  const Problem& p = task_.problem;
  const std::int64_t dense = p.channels * options_.inner;
  const bool overwritten = options_.in_place && (!task_.backward() || task_.gradients.dx);
  if (overwritten && task_.backward()) {
    fill_normal(dy, p.y_type, options_.rows, dense, options_.seed * 8 + 1);
  } else if (overwritten) {
    fill_normal(x, p.x_type, options_.rows, dense, options_.seed * 8);
    if (options_.specials) fill_specials(x, p.x_type, options_.rows, dense);
  }
  std::uint64_t stream = options_.seed * 8 + 4;
  for (const SampleBuffer* buffer : {&out, &da, &db}) {
    if (buffer->data() == nullptr) continue;
    std::memset(buffer->data(), int(kOutputPattern), buffer->bytes());
    if (buffer == &out || !options_.accumulate) continue;
    const auto count = std::int64_t(buffer->bytes() / size_of(p.coefficient_type()));
    fill_normal(*buffer, p.coefficient_type(), 1, count, stream++);
  }
}

Call Sample::call() const {
  Call c;
  c.rows = options_.rows;
  c.inner = options_.inner;
  const auto pointer = [](const SampleBuffer& buffer) -> void* {
    return buffer.bytes() == 0 ? nullptr : buffer.data();
  };
  const SampleBuffer& input = task_.backward() ? dy : x;
  const bool writes = !task_.backward() || task_.gradients.dx;
  const SampleBuffer& output = options_.in_place && writes ? input : out;
  c.x = pointer(x);
  c.x_stride = x.stride();
  c.dy = pointer(dy);
  c.dy_stride = dy.stride();
  c.out = pointer(output);
  c.out_stride = output.stride();
  c.a = pointer(a);
  c.b = pointer(b);
  c.da = pointer(da);
  c.db = pointer(db);
  c.accumulate = options_.accumulate;
  return c;
}

std::uint64_t Sample::input_hash() const {
  const bool writes = !task_.backward() || task_.gradients.dx;
  const bool x_changes = options_.in_place && writes && !task_.backward();
  const bool dy_changes = options_.in_place && writes && task_.backward();
  std::uint64_t hash = 0;
  const auto add = [&hash](const SampleBuffer& buffer) {
    hash = XXH3_64bits_withSeed(buffer.data(), buffer.bytes(), hash);
  };
  if (!x_changes) add(x);
  if (!dy_changes) add(dy);
  add(a);
  add(b);
  return hash;
}

std::string Sample::why_damaged() const {
  struct Named {
    const char* name;
    const SampleBuffer* buffer;
  };
  const std::array<Named, 7> buffers = {{{"x", &x},
                                         {"dy", &dy},
                                         {task_.backward() ? "dx" : "y", &out},
                                         {"a", &a},
                                         {"b", &b},
                                         {"da", &da},
                                         {"db", &db}}};
  for (const Named& named : buffers) {
    if (const std::string why = named.buffer->why_damaged(); !why.empty()) {
      return fmt::format("{}: {}", named.name, why);
    }
  }
  return input_hash() == input_hash_ ? "" : "an input tensor was overwritten";
}

}  // namespace grkan
